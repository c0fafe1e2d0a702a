"""A record of a run is verified by making it again, and no edit of it passes."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
import zstandard

from catfs.digest import Digest
from catfs.merkle import MemoryNodes, Tree
from catfs.proof import domain_manifest
from catfs.proof.run_record import VerificationError
from catfs.proof.verify import STEP_TITLES, verify_run
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    JOBSPEC_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    DomainTree,
    Leftovers,
    Manifest,
    Moment,
    Outcome,
    file_bytes,
)
from tests.run_samples import (
    BASE,
    DOMAIN,
    LEFTOVERS,
    LOG,
    OUTPUT_CHANGES,
    Sample,
    conflict,
    edited,
    log_bytes,
    reseal,
    sample_job,
    sample_run,
)
from tests.support.verified import require_verified

TIDY = sample_run()
DIRTY = sample_run({**OUTPUT_CHANGES, **LEFTOVERS})
FLAT = sample_run(flat=True, first=True)
EMPTY_ROOTS = Tree.from_entries(MemoryNodes(), BASE).root.hex


def _refusal(files: Mapping[str, bytes]) -> tuple[int, VerificationError]:
    """Give the step at which files are refused, and its first error."""
    for step in verify_run(files):
        if step.errors:
            return step.number, step.errors[0]
    raise AssertionError("the files were accepted")


@pytest.mark.parametrize(
    ("sample", "outcome"),
    [
        (TIDY, Outcome.RESTORED),
        (DIRTY, Outcome.DIRTY),
        (
            sample_run({**OUTPUT_CHANGES, **LEFTOVERS}, job=sample_job(leftovers=Leftovers.DISCARD)),
            Outcome.RESTORED,
        ),
        (sample_run({}), Outcome.MISSING_OUTPUT),
        (sample_run({}, job=sample_job(outputs=b"a/one")), Outcome.RESTORED),
        (sample_run(statuses=(3,)), Outcome.FAILED),
        (sample_run(statuses=(0, 130)), Outcome.FAILED),
        (sample_run(conflicts=(conflict(),)), Outcome.CONFLICT),
        (sample_run(commit_problem="the disk is full"), Outcome.INTERNAL),
        (sample_run(log=b""), Outcome.RESTORED),
        (FLAT, Outcome.RESTORED),
        (sample_run(flat=True), Outcome.RESTORED),
        (sample_run(LEFTOVERS, first=True, flat=True), Outcome.MISSING_OUTPUT),
    ],
    ids=lambda value: value.value if isinstance(value, Outcome) else "run",
)
def test_sound_runs_of_every_outcome_are_accepted(sample: Sample, outcome: Outcome) -> None:
    """Every step succeeds, whether the run did or not."""
    steps = verify_run(sample.files)
    assert [(step.number, step.ok) for step in steps] == [(number, True) for number in range(1, 8)]
    assert [step.title for step in steps] == list(STEP_TITLES)
    assert require_verified(sample.files).outcome is outcome


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize(
    "name",
    [PROOF_FILE, PRE_MANIFEST_FILE, POST_MANIFEST_FILE, OUTPUTS_FILE, WRITE_LOG_FILE, "steps/01.stdout"],
)
def test_every_changed_byte_is_found(name: str, part: int) -> None:
    """Whichever byte of a file is flipped, the run is refused and the file is named."""
    for at in range(part, len(TIDY.files[name]), 8):
        damaged = bytearray(TIDY.files[name])
        damaged[at] ^= 1 << (at % 8)
        _, error = _refusal({**TIDY.files, name: bytes(damaged)})
        assert error.file == name


@pytest.mark.parametrize("name", sorted(TIDY.files))
def test_a_missing_file_is_found(name: str) -> None:
    """A folder without one of its files is refused, and the file is named."""
    step, error = _refusal({other: data for other, data in TIDY.files.items() if other != name})
    assert (error.file, error.got.split(":")[0]) == (name, "nothing")
    assert step == (1 if name == PROOF_FILE else 2)


@pytest.mark.parametrize("name", ["NOTES.txt", "steps/03.json", "steps/01.stdout~", "a\udcff"])
def test_an_added_file_is_found(name: str) -> None:
    """A file that the proof does not list is refused, and named in a printable way."""
    step, error = _refusal({**TIDY.files, name: b"{}"})
    assert (step, error.file) == (2, name)
    assert str(error).isprintable()


@pytest.mark.parametrize("name", sorted(set(TIDY.files) - {"steps/01.stderr", "steps/02.stderr"}))
def test_a_file_of_another_run_is_found(name: str) -> None:
    """A file that is sound, but of another run, is refused."""
    other = sample_run(
        {**OUTPUT_CHANGES, **LEFTOVERS}, job=sample_job("run-2"), statuses=(0, 0), log=log_bytes(LOG[:2])
    )
    foreign = {**other.files, "steps/01.stdout": b"other\n", "steps/02.stdout": b"other\n"}
    foreign["steps/01.json"] = foreign["steps/02.json"]
    foreign["steps/02.json"] = other.files["steps/01.json"]
    _, error = _refusal({**TIDY.files, name: foreign[name]})
    assert name in {error.file, PROOF_FILE}


def test_swapped_files_are_found() -> None:
    """Two files of one run in each other's place are both named."""
    swapped = {
        **TIDY.files,
        PRE_MANIFEST_FILE: TIDY.files[POST_MANIFEST_FILE],
        POST_MANIFEST_FILE: TIDY.files[PRE_MANIFEST_FILE],
    }
    steps = verify_run(swapped)
    assert {error.file for error in steps[1].errors} == {PRE_MANIFEST_FILE, POST_MANIFEST_FILE}
    assert [step.reached for step in steps] == [True, True] + [False] * 5
    assert not steps[6].ok


def _json(files: Mapping[str, bytes], name: str) -> Any:
    return orjson.loads(files[name])


def _without_leftovers(files: Mapping[str, bytes]) -> dict[str, bytes]:
    domains = _json(files, RESTORE_DIFF_FILE)["domains"]
    domains[0]["leftovers"] = []
    return edited(files, RESTORE_DIFF_FILE, domains=domains)


def _forge_clean_difference() -> dict[str, bytes]:
    """Leave the leftovers out of the difference."""
    return reseal(_without_leftovers(DIRTY.files))


def _forge_clean_verdict() -> dict[str, bytes]:
    """Claim that the dirty run was tidy."""
    proof = _json(DIRTY.files, PROOF_FILE)
    proof["domains"][0]["leftovers"] = 0
    verdicts = {"isolated": True, "self_restored": True}
    return reseal(
        _without_leftovers(DIRTY.files),
        domains=proof["domains"],
        verdicts=verdicts,
        outcome="restored",
        exit_status=0,
    )


def _forge_view_root() -> dict[str, bytes]:
    """Claim the view of the tidy run for the dirty one, but keep its changes."""
    proof = _json(DIRTY.files, PROOF_FILE)
    root = TIDY.proof.domains[0].roots.view_root.hex
    proof["domains"][0] |= {"view_root": root, "replay_root": root}
    return reseal(DIRTY.files, domains=proof["domains"])


def _forge_declared_leftovers() -> dict[str, bytes]:
    """List leftovers among declared changes."""
    domains = _json(DIRTY.files, RESTORE_DIFF_FILE)["domains"]
    domains[0]["declared"] = [*domains[0]["leftovers"], *domains[0]["declared"]]
    domains[0]["leftovers"] = []
    return reseal(edited(DIRTY.files, RESTORE_DIFF_FILE, domains=domains))


def _forge_policy() -> dict[str, bytes]:
    """Claim that leftovers were to be discarded."""
    return reseal(edited(DIRTY.files, JOBSPEC_FILE, leftovers="discard"), policy={"leftovers": "discard"})


def _forge_base() -> dict[str, bytes]:
    """Give the base another file than its root says."""
    domains = _json(FLAT.files, PRE_MANIFEST_FILE)["domains"]
    domains[0]["rows"][2]["digest"] = Digest.of(b"forged").hex
    return reseal(edited(FLAT.files, PRE_MANIFEST_FILE, domains=domains))


def _forge_node() -> dict[str, bytes]:
    """Put another node in the place of one that is on the way to what was changed."""
    domains = _json(TIDY.files, PRE_MANIFEST_FILE)["domains"]
    other = base64.b64encode(b"\xc1\x01\x00\x00").decode()
    domains[0]["nodes"] = [other]
    return reseal(edited(TIDY.files, PRE_MANIFEST_FILE, domains=domains))


def _forge_fewer_nodes() -> dict[str, bytes]:
    """Leave a node out that is needed to follow the difference."""
    manifest = Manifest.from_dict(_json(DIRTY.files, PRE_MANIFEST_FILE))
    (domain,) = manifest.domains
    assert isinstance(domain, DomainTree)
    only_root = tuple(node for node in domain.nodes if Digest.of(node) == domain.root)
    assert 0 < len(only_root) < len(domain.nodes)
    shorter = replace(manifest, domains=(replace(domain, nodes=only_root),))
    return reseal({**DIRTY.files, PRE_MANIFEST_FILE: file_bytes(shorter)})


def _forge_root() -> dict[str, bytes]:
    """Name another root for the domain after the run."""
    domains = _json(TIDY.files, POST_MANIFEST_FILE)["domains"]
    domains[0]["root"] = Digest.of(b"forged").hex
    return reseal(edited(TIDY.files, POST_MANIFEST_FILE, domains=domains))


def _forge_orphan() -> dict[str, bytes]:
    """Leave a directory out of the base, but not what lies in it."""
    domains = _json(FLAT.files, PRE_MANIFEST_FILE)["domains"]
    del domains[0]["rows"][1]
    return reseal(edited(FLAT.files, PRE_MANIFEST_FILE, domains=domains))


def _forge_post() -> dict[str, bytes]:
    """Claim that the dirty run left a leftover in the domain, consistently in manifest, roots and proof."""
    post = Tree.from_entries(MemoryNodes(), {**BASE, b"evil": BASE[b"pipe"]})
    manifest = Manifest("run-1", Moment.POST, (domain_manifest(DOMAIN, post),))
    proof, roots = _json(DIRTY.files, PROOF_FILE), _json(DIRTY.files, DOMAIN_ROOTS_FILE)
    proof["domains"][0]["post_root"] = roots["domains"][0]["post_root"] = post.root.hex
    files = {**DIRTY.files, POST_MANIFEST_FILE: file_bytes(manifest)}
    return reseal(edited(files, DOMAIN_ROOTS_FILE, domains=roots["domains"]), domains=proof["domains"])


def _forge_status() -> dict[str, bytes]:
    """Let the short status claim success."""
    return reseal(edited(DIRTY.files, STATUS_FILE, outcome="restored", exit_status=0))


def _forge_step() -> dict[str, bytes]:
    """Let a failing step have succeeded."""
    return reseal(edited(sample_run(statuses=(0, 4)).files, "steps/02.json", status=0))


def _forge_output() -> dict[str, bytes]:
    """Claim another content of the output."""
    outputs = _json(TIDY.files, OUTPUTS_FILE)["outputs"]
    outputs[0]["entries"][1]["digest"] = Digest.of(b"forged").hex
    return reseal(edited(TIDY.files, OUTPUTS_FILE, outputs=outputs))


def _forge_commit() -> dict[str, bytes]:
    """Claim that the output of the dirty run was committed."""
    outputs = _json(DIRTY.files, OUTPUTS_FILE)["outputs"]
    outputs[0]["committed"] = True
    return reseal(edited(DIRTY.files, OUTPUTS_FILE, outputs=outputs))


def _forge_counts() -> dict[str, bytes]:
    """Miscount the paths of the view."""
    domains = _json(FLAT.files, PROOF_FILE)["domains"]
    domains[0]["view_entries"] += 1
    return reseal(FLAT.files, domains=domains)


def _forge_log_count() -> dict[str, bytes]:
    """Leave the last record out of the log."""
    packed = zstandard.ZstdCompressor().compress(log_bytes(LOG[:2]))
    return reseal({**TIDY.files, WRITE_LOG_FILE: packed})


def _forge_log_gap() -> dict[str, bytes]:
    """Leave a record out of the middle of the log."""
    lines = log_bytes().splitlines(keepends=True)
    packed = zstandard.ZstdCompressor().compress(lines[0] + lines[2])
    return reseal({**TIDY.files, WRITE_LOG_FILE: packed})


def _forge_log_domain() -> dict[str, bytes]:
    """Let a record speak of a domain that the run did not have."""
    records = [*LOG[:2], {**LOG[2], "domain": 1}]
    return reseal({**TIDY.files, WRITE_LOG_FILE: zstandard.ZstdCompressor().compress(log_bytes(records))})


def _forge_run_id() -> dict[str, bytes]:
    """Put the status of one run into another."""
    return reseal(edited(TIDY.files, STATUS_FILE, run_id="run-2"))


def _forge_moment() -> dict[str, bytes]:
    """Call the post manifest one from before."""
    return reseal(edited(TIDY.files, POST_MANIFEST_FILE, moment="pre"))


def _forge_transport() -> dict[str, bytes]:
    """Name another transport in the run info."""
    return reseal(edited(TIDY.files, RUN_INFO_FILE, transport="other"))


def _forge_domain() -> dict[str, bytes]:
    """Declare another domain than the one that was proven."""
    job = {"domains": ["/home/bob"], "outputs": ["/home/bob/dist"]}
    return reseal(edited(TIDY.files, JOBSPEC_FILE, **job))


def _forge_arguments() -> dict[str, bytes]:
    """Declare another command than the one that ran."""
    steps = _json(TIDY.files, JOBSPEC_FILE)["steps"]
    steps[1]["argv"] = ["false"]
    return reseal(edited(TIDY.files, JOBSPEC_FILE, steps=steps))


def _forge_lost_step() -> dict[str, bytes]:
    """Take the last step out of the folder and the list."""
    return reseal({name: data for name, data in TIDY.files.items() if not name.startswith("steps/02")})


def _forge_torn_step() -> dict[str, bytes]:
    """Take one stream of a step out of the folder and the list."""
    return reseal({name: data for name, data in TIDY.files.items() if name != "steps/02.stdout"})


def _forge_stream() -> dict[str, bytes]:
    """Change what a step wrote."""
    return reseal({**TIDY.files, "steps/01.stdout": b"all is well\n"})


def _forge_step_index() -> dict[str, bytes]:
    """Give a step the result of another."""
    return reseal({**TIDY.files, "steps/02.json": TIDY.files["steps/01.json"]})


def _forge_schema() -> dict[str, bytes]:
    """Add a field that nobody knows."""
    return reseal(edited(TIDY.files, STATUS_FILE, trust="me"))


def _forge_spelling() -> dict[str, bytes]:
    """Write a record with a space too many."""
    return reseal({**TIDY.files, STATUS_FILE: TIDY.files[STATUS_FILE].replace(b":", b": ", 1)})


def _forge_list() -> dict[str, bytes]:
    """Take a file out of the folder and the list."""
    return reseal({name: data for name, data in TIDY.files.items() if name != OUTPUTS_FILE})


def _forge_extra() -> dict[str, bytes]:
    """Add a file to folder and list."""
    return reseal({**TIDY.files, "NOTES.txt": b"trust me"})


FORGERIES: list[tuple[Callable[[], dict[str, bytes]], int, str]] = [
    (_forge_list, 2, PROOF_FILE),
    (_forge_extra, 2, "NOTES.txt"),
    (_forge_run_id, 3, STATUS_FILE),
    (_forge_moment, 3, POST_MANIFEST_FILE),
    (_forge_transport, 3, RUN_INFO_FILE),
    (_forge_domain, 3, PROOF_FILE),
    (_forge_arguments, 3, "steps/02.json"),
    (_forge_lost_step, 3, "steps"),
    (_forge_torn_step, 3, "steps/02.stdout"),
    (_forge_stream, 3, "steps/01.stdout"),
    (_forge_step_index, 3, "steps/02.json"),
    (_forge_schema, 3, STATUS_FILE),
    (_forge_spelling, 3, STATUS_FILE),
    (_forge_base, 4, PRE_MANIFEST_FILE),
    (_forge_orphan, 4, PRE_MANIFEST_FILE),
    (_forge_node, 4, PRE_MANIFEST_FILE),
    (_forge_fewer_nodes, 5, PRE_MANIFEST_FILE),
    (_forge_root, 4, POST_MANIFEST_FILE),
    (_forge_clean_difference, 5, RESTORE_DIFF_FILE),
    (_forge_clean_verdict, 5, RESTORE_DIFF_FILE),
    (_forge_view_root, 5, RESTORE_DIFF_FILE),
    (_forge_declared_leftovers, 6, RESTORE_DIFF_FILE),
    (_forge_policy, 6, PROOF_FILE),
    (_forge_post, 6, PROOF_FILE),
    (_forge_status, 6, STATUS_FILE),
    (_forge_step, 6, PROOF_FILE),
    (_forge_output, 6, OUTPUTS_FILE),
    (_forge_commit, 6, OUTPUTS_FILE),
    (_forge_counts, 6, PROOF_FILE),
    (_forge_log_count, 7, WRITE_LOG_FILE),
    (_forge_log_gap, 7, WRITE_LOG_FILE),
    (_forge_log_domain, 7, WRITE_LOG_FILE),
]


@pytest.mark.parametrize(
    ("forge", "step", "file"),
    FORGERIES,
    ids=[forge.__name__.removeprefix("_forge_") for forge, _, _ in FORGERIES],
)
def test_forgeries_with_fitting_digests_are_found(
    forge: Callable[[], dict[str, bytes]], step: int, file: str
) -> None:
    """Digests made to fit do not help: the step that recomputes the edited claim refuses it."""
    got_step, error = _refusal(forge())
    assert (got_step, error.file) == (step, file), str(error)


def test_an_incomplete_run_says_so() -> None:
    """A folder without proof is one of a run that was stopped."""
    with pytest.raises(VerificationError, match=r"PROOF\.json: .*the run is incomplete"):
        require_verified({name: data for name, data in TIDY.files.items() if name != PROOF_FILE})


def test_errors_say_what_is_wrong() -> None:
    """An error names file, what, expected and got, and ends a command with status 1."""
    damaged = {**TIDY.files, STATUS_FILE: b"{}"}
    with pytest.raises(VerificationError, match=r"STATUS\.json: the SHA-256 of the file: expected") as caught:
        require_verified(damaged)
    error = caught.value
    assert error.expected == Digest.of(TIDY.files[STATUS_FILE]).hex
    assert error.got == Digest.of(b"{}").hex
    assert error.exit_status == 1


def test_a_long_list_is_decoded_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond those that are held against the schema are still refused when they are bad."""
    monkeypatch.setattr("catfs.proof.run_record.SCHEMA_ITEMS_MAX", 3)
    domains = _json(FLAT.files, PRE_MANIFEST_FILE)["domains"]
    domains[0]["rows"][-1]["odd"] = 1
    step, error = _refusal(reseal(edited(FLAT.files, PRE_MANIFEST_FILE, domains=domains)))
    assert (step, error.file) == (3, PRE_MANIFEST_FILE)
    assert "unknown fields: odd" in error.got
