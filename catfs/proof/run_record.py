"""The files of a finished run, decoded: every record strictly, by schema and by type."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self, TypeVar

from catfs.digest import Digest
from catfs.errors import CatfsError, ExitStatus, FormatError, printable
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    HISTORY_FILE,
    JOBSPEC_FILE,
    LEDGER_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    DomainRoots,
    History,
    JobSpec,
    LedgerRecord,
    Manifest,
    Moment,
    Outcome,
    Outputs,
    Proof,
    RestoreDiff,
    RunInfo,
    Status,
    StepResult,
    parse_canonical,
    schemas_of,
    step_file,
)
from catfs.records.ledger_record import REFERENCED_FILES
from catfs.records.run_files import STEPS_FOLDER
from catfs.records.schema import validate
from catfs.values import dataclass

SCHEMA_ITEMS_MAX: Final = 1000
"""Items of each list that are held against the schema, counted: jsonschema takes 0.2 ms for a row of a
manifest. All of them go through the decoders of `catfs.records`, which refuse whatever a schema refuses (a
test compares them), so the schemas are a second opinion and not the guard."""

_Record = TypeVar("_Record")


class VerificationError(CatfsError):
    """The record of a run does not hold.

    Args:
        file: Name of the file in the run folder.
        what: What of it.
        expected: What it should be.
        got: What it is.
    """

    exit_status = ExitStatus.DIRTY

    def __init__(self, file: str, what: str, expected: str, got: str) -> None:
        super().__init__(
            f"{printable(os.fsencode(file))}: {what}: expected {expected}, got {got}",
            hint="this record of a run proves nothing; get an untouched copy or run again",
        )
        self.file = file
        self.what = what
        self.expected = expected
        self.got = got

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str, str]]:
        """Let it cross from one process to another with all of its fields."""
        return type(self), (self.file, self.what, self.expected, self.got)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Every record of a run, each one sound in itself.

    Args:
        proof: PROOF.json.
        job: JOBSPEC.json.
        info: RUN_INFO.json.
        pre: PRE_MANIFEST.json.
        post: POST_MANIFEST.json.
        difference: RESTORE_DIFF.json.
        outputs: OUTPUTS.json.
        roots: DOMAIN_ROOTS.json.
        status: STATUS.json.
        results: steps/NN.json of the steps that ran, in order.
        ledger: LEDGER.json; None in runs from before there was one.
        history: HISTORY.json; None in runs that keep none.
    """

    proof: Proof
    job: JobSpec
    info: RunInfo
    pre: Manifest
    post: Manifest
    difference: RestoreDiff
    outputs: Outputs
    roots: DomainRoots
    status: Status
    results: tuple[StepResult, ...]
    ledger: LedgerRecord | None = None
    history: History | None = None

    @property
    def command_status(self) -> int:
        """Status of the first step that failed, else 0."""
        return next((result.status for result in self.results if result.status), 0)

    def disagreements(self) -> Iterator[VerificationError]:
        """Give the places where records that speak of the same thing do not agree."""
        run_id = self.proof.run_id
        for name, got in self._run_ids().items():
            if got != run_id:
                yield VerificationError(name, "the run id", run_id, got)
        for name, paths in self._domains().items():
            if paths != self.job.domains:
                expected, stated = _join(self.job.domains), _join(paths)
                yield VerificationError(name, "the domains", expected, stated)
        moments = {PRE_MANIFEST_FILE: (Moment.PRE, self.pre), POST_MANIFEST_FILE: (Moment.POST, self.post)}
        for name, (moment, manifest) in moments.items():
            if manifest.moment is not moment:
                yield VerificationError(name, "the moment", moment.value, manifest.moment.value)
        if self.info.transport != self.job.transport:
            yield VerificationError(RUN_INFO_FILE, "the transport", self.job.transport, self.info.transport)
        yield from self._step_disagreements()
        if self.ledger is not None:
            yield from self._ledger_disagreements(self.ledger)

    def _run_ids(self) -> dict[str, str]:
        return {
            JOBSPEC_FILE: self.job.run_id,
            RUN_INFO_FILE: self.info.run_id,
            PRE_MANIFEST_FILE: self.pre.run_id,
            POST_MANIFEST_FILE: self.post.run_id,
            RESTORE_DIFF_FILE: self.difference.run_id,
            OUTPUTS_FILE: self.outputs.run_id,
            DOMAIN_ROOTS_FILE: self.roots.run_id,
            STATUS_FILE: self.status.run_id,
        } | {
            name: record.run_id
            for name, record in ((LEDGER_FILE, self.ledger), (HISTORY_FILE, self.history))
            if record is not None
        }

    def _domains(self) -> dict[str, tuple[bytes, ...]]:
        kept = {} if self.history is None else {HISTORY_FILE: self.history.domains}
        return {
            PROOF_FILE: tuple(domain.roots.path for domain in self.proof.domains),
            PRE_MANIFEST_FILE: tuple(domain.path for domain in self.pre.domains),
            POST_MANIFEST_FILE: tuple(domain.path for domain in self.post.domains),
            RESTORE_DIFF_FILE: tuple(domain.path for domain in self.difference.domains),
            DOMAIN_ROOTS_FILE: tuple(domain.path for domain in self.roots.domains),
            **{name: tuple(domain.path for domain in domains) for name, domains in kept.items()},
        }

    def _step_disagreements(self) -> Iterator[VerificationError]:
        """A job runs its steps in order, until all are done or, unless it keeps going, one fails."""
        for step, result in zip(self.job.steps, self.results, strict=False):
            if result.argv != step.argv:
                name = step_file(step.index, "json")
                yield VerificationError(name, "the arguments", _join(step.argv), _join(result.argv))
        keeps_going = self.ledger is not None and self.ledger.keep_going
        failed = [result.index for result in self.results if result.status]
        last = failed[0] if failed and not keeps_going else len(self.job.steps)
        if keeps_going and failed and failed[-1] == len(self.results):
            last = failed[-1]  # it was asked to end, and this step with it
        if len(self.results) != last:
            got = f"{len(self.results)} of them"
            yield VerificationError(STEPS_FOLDER, "the results of steps", f"those of steps 1 to {last}", got)

    def _ledger_disagreements(self, ledger: LedgerRecord) -> Iterator[VerificationError]:
        """The ledger names the files that are there, and claims what the proof says."""
        for key, file in REFERENCED_FILES.items():
            expected, got = self.proof.files[file].hex, ledger.references[key].hex
            if expected != got:
                yield VerificationError(LEDGER_FILE, f"the reference {key}", expected, got)
        ran = tuple(result.index for result in self.results)
        noted = tuple(step.index for step in ledger.steps)
        if ran != noted:
            yield VerificationError(LEDGER_FILE, "the steps", str(ran), str(noted))
        restored = self.proof.outcome is Outcome.RESTORED
        if ledger.restoration_verified is not restored:
            got = str(ledger.restoration_verified)
            yield VerificationError(LEDGER_FILE, "the claim restoration_verified", str(restored), got)


def decode_proof(files: Mapping[str, bytes]) -> Proof:
    """Give the proof of a run.

    Raises:
        VerificationError: when it is not there, not canonical, or not sealed by its own digest.
    """
    if PROOF_FILE not in files:
        expected = "the proof, which is written last of all"
        raise VerificationError(PROOF_FILE, "the file", expected, "nothing: the run is incomplete")
    return _decode(files, PROOF_FILE, Proof.from_dict)


def decode_run(files: Mapping[str, bytes], proof: Proof) -> RunRecord:
    """Give every record of a run.

    Args:
        files: Name to content; every file that a proof must list is there.
        proof: What `decode_proof` gave.

    Raises:
        VerificationError: when a record does not fit its schema or type.
    """
    _validate(parse_canonical(files[PROOF_FILE], PROOF_FILE), PROOF_FILE)
    return RunRecord(
        proof=proof,
        job=_decode_valid(files, JOBSPEC_FILE, JobSpec.from_dict),
        info=_decode_valid(files, RUN_INFO_FILE, RunInfo.from_dict),
        pre=_decode_valid(files, PRE_MANIFEST_FILE, Manifest.from_dict),
        post=_decode_valid(files, POST_MANIFEST_FILE, Manifest.from_dict),
        difference=_decode_valid(files, RESTORE_DIFF_FILE, RestoreDiff.from_dict),
        outputs=_decode_valid(files, OUTPUTS_FILE, Outputs.from_dict),
        roots=_decode_valid(files, DOMAIN_ROOTS_FILE, DomainRoots.from_dict),
        status=_decode_valid(files, STATUS_FILE, Status.from_dict),
        results=_decode_steps(files),
        ledger=_decode_valid(files, LEDGER_FILE, LedgerRecord.from_dict) if LEDGER_FILE in files else None,
        history=_decode_valid(files, HISTORY_FILE, History.from_dict) if HISTORY_FILE in files else None,
    )


def _decode_steps(files: Mapping[str, bytes]) -> tuple[StepResult, ...]:
    names = {name for name in files if name.startswith(f"{STEPS_FOLDER}/")}
    results: list[StepResult] = []
    while names:
        index = len(results) + 1
        trio = {ending: step_file(index, ending) for ending in ("json", "stdout", "stderr")}
        if not names.issuperset(trio.values()):
            missing = min(set(trio.values()) - names)
            raise VerificationError(missing, "the file", f"three files for step {index}", "nothing")
        names -= set(trio.values())
        result = _decode_valid(files, trio["json"], StepResult.from_dict)
        if result.index != index:
            raise VerificationError(trio["json"], "the index", str(index), str(result.index))
        for ending, stream in (("stdout", result.stdout), ("stderr", result.stderr)):
            data = files[trio[ending]]
            if len(data) != stream.size or Digest.of(data) != stream.digest:
                expected, got = f"{stream.size} bytes, {stream.digest}", f"{len(data)}, {Digest.of(data)}"
                raise VerificationError(trio[ending], "the content", expected, got)
        results.append(result)
    return tuple(results)


def _decode_valid(files: Mapping[str, bytes], name: str, from_dict: Callable[[object], _Record]) -> _Record:
    """Decode a record and check it by its schema too."""

    def read(value: object) -> _Record:
        _validate(value, name)
        return from_dict(value)

    return _decode(files, name, read)


def _decode(files: Mapping[str, bytes], name: str, read: Callable[[object], _Record]) -> _Record:
    try:
        return read(parse_canonical(files[name], name))
    except FormatError as error:
        raise VerificationError(name, "the content", "a canonical record", error.problem) from error


def _validate(value: object, name: str) -> None:
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema not in schemas_of(name):
        expected = " or ".join(schemas_of(name))
        raise VerificationError(name, "the content", f"a record of {expected}", f"one of {schema!r}")
    try:
        validate(_shortened(value), schema, name)
    except FormatError as error:
        raise VerificationError(name, "the content", f"a record of {schema}", error.problem) from error


def _shortened(value: object) -> object:
    """Give a JSON value with the first items only of every list."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value[:SCHEMA_ITEMS_MAX]]
    return value


def _join(parts: tuple[bytes, ...]) -> str:
    return b" ".join(parts).decode("utf-8", "backslashreplace") or "nothing"
