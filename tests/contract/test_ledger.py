"""What the ledger writes, the ledger reads and the verification accepts."""

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError
from catfs.ledger import LogFile, RunReader, RunWriter, find_run, list_runs, publish_proof
from catfs.proof.verify import verify_run
from catfs.records import (
    JOBSPEC_FILE,
    PENDING_PROOF_FILE,
    PROOF_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    Proof,
    file_bytes,
    schemas_of,
)
from catfs.records.log_lines import LogDamageError
from tests.run_samples import (
    LEFTOVERS,
    OUTPUT_CHANGES,
    Sample,
    log_bytes,
    sample_job,
    sample_run,
    summary_of,
)
from tests.support.verified import require_verified


class _Raw:
    """A record that is at hand as bytes."""

    def __init__(self, data: bytes) -> None:
        self._record: dict[str, object] = orjson.loads(data)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return self._record


def _write(folder: Path, sample: Sample, *, finish: bool = True) -> Proof:
    """Write a sample as a run does, and give the proof that fits the folder."""
    log = folder.parent / f"{folder.name}.jsonl"
    log.write_bytes(log_bytes())
    with RunWriter(folder) as writer:
        for name, data in sample.files.items():
            if name in {PROOF_FILE, WRITE_LOG_FILE}:
                continue
            if schemas_of(name):
                writer.write_record(name, _Raw(data))
            else:
                writer.write_bytes(name, data)
        assert writer.add_log(log) == summary_of(log_bytes())
        proof = replace(sample.proof, files=writer.files)
        if finish:
            writer.prepare(proof)
            assert publish_proof(folder)
    return proof


def test_a_written_run_is_read_and_verified(tmp_path: Path) -> None:
    """Each record comes back as it was, and every step of the verification succeeds."""
    sample = sample_run({**OUTPUT_CHANGES, **LEFTOVERS})
    proof = _write(tmp_path / "run-1", sample)
    reader = RunReader(tmp_path / "run-1")
    assert reader.is_complete
    assert reader.run_id == "run-1"
    assert reader.proof() == proof
    assert reader.job() == sample.job
    records = (
        reader.info(),
        reader.pre_manifest(),
        reader.post_manifest(),
        reader.restore_diff(),
        reader.outputs(),
        reader.domain_roots(),
        reader.status(),
        reader.step(2),
    )
    written = set(sample.files.values())
    assert all(file_bytes(record) in written for record in records)
    assert all(step.ok for step in verify_run(reader.files))
    assert require_verified(reader.files) == proof


def test_the_log_comes_back(tmp_path: Path) -> None:
    """The compressed log gives the records of the plain one."""
    _write(tmp_path / "run-1", sample_run())
    plain = LogFile(tmp_path / "run-1.jsonl", whole=True)
    assert list(RunReader(tmp_path / "run-1").log()) == list(plain)
    assert len(list(plain)) == 3


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    """What is written depends on the run alone."""
    for name in ("one", "two"):
        _write(tmp_path / name, sample_run())
    first, second = (RunReader(tmp_path / name).files for name in ("one", "two"))
    assert dict(first) == dict(second)


def test_a_run_id_is_taken_once(tmp_path: Path) -> None:
    """The second run of a name fails and touches nothing of the first."""
    _write(tmp_path / "run-1", sample_run())
    before = dict(RunReader(tmp_path / "run-1").files)
    with pytest.raises(UsageError, match="the run id run-1 is taken"):
        RunWriter(tmp_path / "run-1")
    assert dict(RunReader(tmp_path / "run-1").files) == before


def test_a_file_is_written_once(tmp_path: Path) -> None:
    """A second record under one name fails; the first stays."""
    with RunWriter(tmp_path / "run-1") as writer:
        writer.write_record(JOBSPEC_FILE, sample_job())
        with pytest.raises(FileExistsError) as caught:
            writer.write_record(JOBSPEC_FILE, sample_job("run-2"))
        assert caught.value.errno is not None
    assert RunReader(tmp_path / "run-1").job().run_id == "run-1"


def test_large_streams_are_copied_with_their_digest(tmp_path: Path) -> None:
    """The output of a step is copied and its size and digest are told."""
    content = os.urandom(1000) * 3000
    (tmp_path / "out").write_bytes(content)
    with RunWriter(tmp_path / "run-1") as writer:
        assert writer.add_file("steps/01.stdout", tmp_path / "out") == (len(content), Digest.of(content))
        assert writer.files == {"steps/01.stdout": Digest.of(content)}
    assert RunReader(tmp_path / "run-1").files["steps/01.stdout"] == content


def test_names_and_records_must_fit(tmp_path: Path) -> None:
    """Unknown names, the proof out of turn, and a record under another's name are refused."""
    job = sample_job()
    with RunWriter(tmp_path / "run-1") as writer:
        with pytest.raises(FormatError, match="no file of this name"):
            writer.write_record("NOTES.json", job)
        with pytest.raises(FormatError, match="no file of this name"):
            writer.write_bytes("../escape", b"")
        with pytest.raises(FormatError, match=r"expected a record of status\.v1"):
            writer.write_record(STATUS_FILE, job)
        with pytest.raises(FormatError, match="written by prepare"):
            writer.write_record(PROOF_FILE, sample_run().proof)
        with pytest.raises(FormatError, match="expected a record of no schema"):
            writer.write_record("steps/01.stdout", job)
    assert list(RunReader(tmp_path / "run-1").files) == []


def test_a_proof_must_list_what_is_there(tmp_path: Path) -> None:
    """A proof over other files is not published, and the run stays incomplete."""
    with RunWriter(tmp_path / "run-1") as writer:
        writer.write_record(JOBSPEC_FILE, sample_job())
        with pytest.raises(FormatError, match=r"expected the files of the folder, but .* differs"):
            writer.prepare(sample_run().proof)
    assert not RunReader(tmp_path / "run-1").is_complete


def test_a_stopped_run_is_incomplete_and_says_so(tmp_path: Path) -> None:
    """A folder without proof can be read, but proves nothing."""
    _write(tmp_path / "run-1", sample_run(), finish=False)
    reader = RunReader(tmp_path / "run-1")
    assert not reader.is_complete
    assert reader.status().outcome.value == "restored"
    with pytest.raises(FormatError, match=r"run run-1: is incomplete: it has no PROOF\.json"):
        reader.proof()
    assert [step.reached for step in verify_run(reader.files)] == [True] + [False] * 6


def test_the_proof_is_made_durable_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other file, and the proof itself, is on the disk before the proof has its name."""
    synced: list[str] = []
    fsync = os.fsync
    proof_path = tmp_path / "run-1" / PROOF_FILE
    named: list[bool] = []

    def watch(descriptor: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        named.append(proof_path.exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    proof = _write(tmp_path / "run-1", sample_run())
    others = {name.rpartition("/")[2] for name in proof.files}
    assert set(synced[: len(proof.files)]) == others
    assert synced[len(proof.files)] == "steps"
    assert synced[len(proof.files) + 1].startswith(".publish-")
    assert synced[len(proof.files) + 2 :] == ["run-1", tmp_path.name, "run-1"]
    assert named == [False] * (len(synced) - 1) + [True]


def test_a_prepared_proof_proves_nothing_until_it_is_published(tmp_path: Path) -> None:
    """Whoever finishes the commit can publish it, also twice; a folder without one stays incomplete."""
    sample = sample_run()
    proof = _write(tmp_path / "run-1", sample, finish=False)
    reader = RunReader(tmp_path / "run-1")
    assert not publish_proof(reader.folder)
    assert not publish_proof(tmp_path / "no such run")
    (reader.folder / PENDING_PROOF_FILE).write_bytes(file_bytes(proof))
    assert not reader.is_complete
    assert publish_proof(reader.folder)
    assert publish_proof(reader.folder)
    assert require_verified(reader.files) == proof


def test_a_record_that_was_given_up_is_written_anew(tmp_path: Path) -> None:
    """What was there before stays; a half written file and the prepared proof do not stand in the way."""
    with RunWriter(tmp_path / "run-1") as writer:
        writer.write_record(JOBSPEC_FILE, sample_job())
        writer.write_bytes("steps/01.stdout", b"said")
        kept = writer.files
        writer.write_bytes("steps/01.stderr", b"")
        (tmp_path / "run-1" / WRITE_LOG_FILE).write_bytes(b"half")
        (tmp_path / "run-1" / PENDING_PROOF_FILE).write_bytes(b"{}")
        writer.restart(kept)
        assert writer.files == kept
        assert set(RunReader(tmp_path / "run-1").files) == set(kept)
        writer.write_bytes("steps/01.stderr", b"anew")


def test_a_log_that_is_cut_off_is_not_recorded_as_whole(tmp_path: Path) -> None:
    """A log without its last newline is refused when a run is written."""
    (tmp_path / "log").write_bytes(log_bytes()[:-1])
    with RunWriter(tmp_path / "run-1") as writer, pytest.raises(LogDamageError, match="cut off") as caught:
        writer.add_log(tmp_path / "log")
    assert caught.value.records == 2


def test_a_living_log_is_read_up_to_its_tail(tmp_path: Path) -> None:
    """A record that is being written ends the reading; the damage is told, and gone when it is whole."""
    path = tmp_path / "log"
    path.write_bytes(log_bytes()[:-10])
    log = LogFile(path, whole=False)
    assert [record.seq for record in log] == [0, 1]
    assert log.damage is not None
    assert log.damage.records == 2
    path.write_bytes(log_bytes())
    assert [record.seq for record in log] == [0, 1, 2]
    assert log.damage is None


def test_damage_of_a_finished_log_is_an_error(tmp_path: Path) -> None:
    """A log that should be whole and is not is never taken for a shorter one."""
    path = tmp_path / "log"
    path.write_bytes(log_bytes()[:-10])
    with pytest.raises(LogDamageError, match=r"log: .*cut off"):
        list(LogFile(path, whole=True))


def test_a_damaged_record_names_run_and_file(tmp_path: Path) -> None:
    """Reading a damaged or missing file says which one of which run."""
    _write(tmp_path / "run-1", sample_run())
    reader = RunReader(tmp_path / "run-1")
    (reader.folder / STATUS_FILE).write_bytes(b"{}")
    with pytest.raises(FormatError, match=r"STATUS\.json of run run-1: expected the schema status\.v1"):
        reader.status()
    (reader.folder / STATUS_FILE).unlink()
    with pytest.raises(FormatError, match=r"STATUS\.json of run run-1: there is no such file"):
        reader.status()
    with pytest.raises(KeyError) as caught:
        reader.files[STATUS_FILE]
    assert caught.value.args == (STATUS_FILE,)


def test_links_in_a_run_folder_are_refused(tmp_path: Path) -> None:
    """A symlink would let a folder speak of files that are not in it."""
    _write(tmp_path / "run-1", sample_run())
    (tmp_path / "run-1" / "LINK").symlink_to(tmp_path)
    with pytest.raises(FormatError, match="LINK: expected a regular file"):
        len(RunReader(tmp_path / "run-1").files)


def _age(folder: Path, seconds: int) -> None:
    os.utime(folder, (seconds, seconds))


def test_runs_are_listed_by_age(tmp_path: Path) -> None:
    """The oldest run comes first; hidden folders and files are no runs."""
    runs = tmp_path / "runs"
    assert list_runs(runs) == []
    runs.mkdir()
    for age, name in ((3, "c-new"), (1, "b-old"), (2, "a-mid")):
        _write(runs / name, sample_run(), finish=name != "a-mid")
        _age(runs / name, age)
    (runs / ".hidden").mkdir()
    assert [(run.run_id, run.is_complete) for run in list_runs(runs)] == [
        ("b-old", True),
        ("a-mid", False),
        ("c-new", True),
    ]


def test_runs_are_found_by_name_beginning_and_age(tmp_path: Path) -> None:
    """An id, the beginning of one, and last stand for a run; anything else is told."""
    for age, name in ((1, "build"), (2, "build-2"), (3, "test")):
        (tmp_path / name).mkdir()
        _age(tmp_path / name, age)
    assert find_run(tmp_path).run_id == "test"
    assert find_run(tmp_path, "last").run_id == "test"
    assert find_run(tmp_path, "build").run_id == "build"
    assert find_run(tmp_path, "build-").run_id == "build-2"
    with pytest.raises(UsageError, match="'bu' is the beginning of 2 runs: build, build-2"):
        find_run(tmp_path, "bu")
    for name in ("x", "", "../build"):
        with pytest.raises(UsageError, match="there is no run"):
            find_run(tmp_path, name)


def test_no_runs_yet_is_told(tmp_path: Path) -> None:
    """Asking for a run before there is one says how to make one."""
    with pytest.raises(UsageError, match=r"no runs here yet \(catfs run makes one\)"):
        find_run(tmp_path / "runs")
    with pytest.raises(UsageError, match="there is no run folder"):
        RunReader(tmp_path / "none")
