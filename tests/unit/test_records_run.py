"""Every record of a run survives its file, fits its schema, and refuses what it should."""

import copy
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    JOBSPEC_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    REQUIRED_FILES,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    BaseConflict,
    Change,
    DomainManifest,
    DomainRoots,
    Entry,
    JobSpec,
    JobStep,
    Kind,
    Manifest,
    Output,
    Outputs,
    Proof,
    RestoreDiff,
    Row,
    RunInfo,
    Status,
    StepResult,
    check_run_id,
    file_bytes,
    listed_change,
    parse_canonical,
    schemas_of,
    step_file,
    walk_key,
)
from catfs.records.schema import load_schema, validate
from tests.run_samples import DOMAIN, LEFTOVERS, OUTPUT_CHANGES, conflict, sample_job, sample_run

READERS: dict[str, Callable[[object], Any]] = {
    JOBSPEC_FILE: JobSpec.from_dict,
    RUN_INFO_FILE: RunInfo.from_dict,
    PRE_MANIFEST_FILE: Manifest.from_dict,
    POST_MANIFEST_FILE: Manifest.from_dict,
    RESTORE_DIFF_FILE: RestoreDiff.from_dict,
    OUTPUTS_FILE: Outputs.from_dict,
    DOMAIN_ROOTS_FILE: DomainRoots.from_dict,
    STATUS_FILE: Status.from_dict,
    "steps/01.json": StepResult.from_dict,
    PROOF_FILE: Proof.from_dict,
}
SAMPLE = sample_run({**OUTPUT_CHANGES, **LEFTOVERS}, conflicts=(conflict(b"a/two\xff"),))
OLDER = sample_run(LEFTOVERS, flat=True, first=True)
FILES = {"flat": PRE_MANIFEST_FILE, "first": PROOF_FILE}
"""Name of an older form to its file."""
READERS |= {name: READERS[file] for name, file in FILES.items()}
DATA = {**SAMPLE.files, **{name: OLDER.files[file] for name, file in FILES.items()}}
VALUES = {name: orjson.loads(DATA[name]) for name in READERS}


@pytest.mark.parametrize("name", READERS)
def test_records_survive_their_file(name: str) -> None:
    """What is read and written again has the same bytes."""
    record = READERS[name](parse_canonical(DATA[name], name))
    assert file_bytes(record) == DATA[name]


@pytest.mark.parametrize("name", READERS)
def test_written_records_fit_their_schema(name: str) -> None:
    """The schema accepts what is written."""
    assert VALUES[name]["schema"] in schemas_of(FILES.get(name, name))
    validate(VALUES[name], VALUES[name]["schema"])


@pytest.mark.parametrize("name", READERS)
def test_missing_and_unknown_fields_are_refused(name: str) -> None:
    """Each field is needed, and no other is known; schema and decoder agree."""
    schema = VALUES[name]["schema"]
    for key in VALUES[name]:
        record = {other: value for other, value in VALUES[name].items() if other != key}
        with pytest.raises(FormatError, match=r"expected|missing|unknown"):
            READERS[name](record)
        with pytest.raises(FormatError, match="does not fit the schema"):
            validate(record, schema)
    with pytest.raises(FormatError, match=r"unknown fields: more|expected the digest"):
        READERS[name]({**VALUES[name], "more": 1})


@given(st.data())
def test_decoders_refuse_whatever_a_schema_refuses(data: st.DataObject) -> None:
    """However a record is bent, the decoder is at least as strict as the schema."""
    name = data.draw(st.sampled_from(sorted(READERS)))
    record = copy.deepcopy(VALUES[name])
    _bend(record, data)
    schema = VALUES[name]["schema"]
    try:
        READERS[name](record)
    except FormatError:
        return
    validate(record, schema)


_JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1.5, 2**60, "", "x", "0644", "/w==", [], {}, ["x"], [1], "0" * 64]
)


def _bend(record: Any, data: st.DataObject) -> None:
    """Change one place somewhere in a JSON value."""
    here = record
    while True:
        keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        below = here[key]
        if isinstance(below, dict | list) and below and data.draw(st.integers(0, 3)):
            here = below
            continue
        if data.draw(st.booleans()):
            here[key] = data.draw(_JUNK)
        elif isinstance(here, dict) and data.draw(st.booleans()):
            here[data.draw(st.sampled_from(["size", "path_base64", "digest", "odd"]))] = data.draw(_JUNK)
        else:
            del here[key]
        return


def test_every_file_of_a_run_has_a_known_name() -> None:
    """The names that a run may have are known, others are not."""
    assert {schemas_of(name) for name in (WRITE_LOG_FILE, "steps/01.stdout", "steps/12.stderr")} == {()}
    assert schemas_of("steps/100.json") == ("step-result.v1",)
    assert step_file(3, "json") == "steps/03.json"
    assert set(SAMPLE.files) >= REQUIRED_FILES
    for name in (
        "STATUS",
        "steps/1.json",
        "steps/007.json",
        "steps/01.txt",
        "../PROOF.json",
        "steps/01.json\n",
    ):
        with pytest.raises(FormatError, match="no file of this name"):
            schemas_of(name)


def test_there_is_no_schema_of_another_name() -> None:
    """A name that is no schema is refused, also when it is a path."""
    assert load_schema("proof.v1")["title"]
    for name in ("proof.v9", "../pyproject", ""):
        with pytest.raises(FormatError, match="catfs has no schema"):
            load_schema(name)


@pytest.mark.parametrize("run_id", ["", ".x", "-x", "a/b", "a b", "x" * 129, "a\n", "\u0661", "a\0"])
def test_bad_run_ids_are_refused(run_id: str) -> None:
    """A run id is the name of a folder, so few characters will do."""
    with pytest.raises(FormatError, match="run id: expected up to 128"):
        check_run_id(run_id)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"domains": ()}, "at least one domain"),
        ({"domains": (b"relative",)}, "expected an absolute path"),
        ({"domains": (DOMAIN, DOMAIN + b"/a")}, "stands twice or in another"),
        ({"domains": (DOMAIN, DOMAIN)}, "stands twice or in another"),
        ({"domains": (DOMAIN + b"/",)}, "single slashes"),
        ({"outputs": (b"/elsewhere/x",)}, "lies in no domain"),
        ({"outputs": (DOMAIN + b"/../x",)}, "single slashes"),
        ({"outputs": (DOMAIN + b"x",)}, "lies in no domain"),
        ({"steps": (JobStep(2, "", (b"x",)),)}, "counted from 1"),
        ({"run_id": "no id"}, "run id"),
    ],
)
def test_contradictory_declarations_are_refused(changes: dict[str, Any], problem: str) -> None:
    """A declaration checks itself when it is made."""
    job = sample_job()
    fields = {name: getattr(job, name) for name in JobSpec.__slots__} | changes
    with pytest.raises(FormatError, match=problem):
        JobSpec(**fields)


def test_outputs_are_told_by_domain() -> None:
    """Outputs become relative to the domain that holds them; a whole domain is the empty path."""
    job = sample_job()
    fields = {name: getattr(job, name) for name in JobSpec.__slots__}
    fields |= {"domains": (b"/a", b"/ab"), "outputs": (b"/a/x/y", b"/ab", b"/a/z")}
    both = JobSpec(**fields)
    assert both.outputs_of(b"/a") == (b"x/y", b"z")
    assert both.outputs_of(b"/ab") == (b"",)


def test_a_manifest_keeps_the_order_of_a_walk() -> None:
    """Rows in another order, twice, or without the domain itself are refused."""
    top, a, below, other = (Row(path, Entry(Kind.DIRECTORY, 0o755)) for path in (b"", b"a", b"a/b", b"a-b"))
    root = Digest.of(b"")
    assert DomainManifest(b"/d", root, (top, a, below, other)).rows[3].path == b"a-b"
    wrong: tuple[tuple[Row, ...], ...] = ((top, a, other, below), (top, a, a), (top, below, a))
    for rows in wrong:
        with pytest.raises(FormatError, match="order of a walk"):
            DomainManifest(b"/d", root, rows)
    headless: tuple[tuple[Row, ...], ...] = ((), (a,))
    for rows in headless:
        with pytest.raises(FormatError, match="directory of the domain itself"):
            DomainManifest(b"/d", root, rows)
    assert sorted([b"a-b", b"a/b", b"", b"a"], key=walk_key) == [b"", b"a", b"a/b", b"a-b"]


def test_a_change_that_contradicts_its_entries_is_refused() -> None:
    """The word and the entries must say the same."""
    record = copy.deepcopy(VALUES[RESTORE_DIFF_FILE])
    record["domains"][0]["leftovers"][0]["change"] = "removed"
    with pytest.raises(FormatError, match="expected changed by its entries, got removed"):
        RestoreDiff.from_dict(record)


def test_a_changed_node_digest_alone_is_no_change() -> None:
    """A directory in which something changed has not changed itself."""
    before, after = (Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(data)) for data in (b"1", b"2"))
    with pytest.raises(FormatError, match="nothing changed"):
        listed_change(Change(b"a", before, after))


def test_a_missing_output_is_neither_listed_nor_committed() -> None:
    """Entries, presence and commit of an output fit each other."""
    rows = (Row(b"x", Entry(Kind.FIFO, 0o600)),)
    for present, committed, entries in ((False, True, ()), (False, False, rows), (True, True, ())):
        with pytest.raises(FormatError, match="entries exactly when it is present"):
            Output(DOMAIN, b"x", present, committed, entries)


def test_a_proof_that_contradicts_itself_is_refused() -> None:
    """Verdicts fit the counts and conflicts beside them, whatever the digest says."""
    proof = SAMPLE.proof
    fields = {name: getattr(proof, name) for name in Proof.__slots__}
    for changed, problem in (
        ({"isolated": True}, "isolated exactly"),
        ({"self_restored": True}, "self_restored exactly"),
        ({"domains": ()}, "at least one domain"),
        ({"exit_status": 256}, "exit status from 0 to 255"),
    ):
        with pytest.raises(FormatError, match=problem):
            Proof(**{**fields, **changed})


def test_the_digest_of_a_proof_covers_all_of_it() -> None:
    """A proof with one field changed is refused."""
    for key in ("created", "transport", "exit_status"):
        record = {**VALUES[PROOF_FILE], key: {"created": "2027-01-01T00:00:00.000000000Z"}.get(key, 1)}
        record["transport"] = "other" if key == "transport" else record["transport"]
        with pytest.raises(FormatError, match="expected the digest"):
            Proof.from_dict(record)


def test_a_conflict_names_a_path_of_a_domain() -> None:
    """Paths in records are proper paths."""
    with pytest.raises(FormatError, match="single slashes"):
        BaseConflict(DOMAIN, b"../x", "a", "b")
