"""Reading run folders: their records, their logs, and which runs there are.

A reader believes nothing beyond the form of a file. Whether a run holds what it says is for
`catfs.proof.verify`, which takes `RunReader.files`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from catfs.errors import FormatError, UsageError
from catfs.ledger.log_file import LogFile
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    HISTORY_DATA_FILE,
    HISTORY_FILE,
    JOBSPEC_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    DomainRoots,
    History,
    JobSpec,
    Manifest,
    Outputs,
    Proof,
    RestoreDiff,
    RunInfo,
    Status,
    StepResult,
    parse_canonical,
    step_file,
)
from catfs.values import dataclass

LAST_RUN: Final = "last"
"""What names the newest run wherever a run is asked for."""

_Record = TypeVar("_Record")


class RunFiles(Mapping[str, bytes]):
    """The files of a run folder by name, each read when it is asked for.

    Only regular files count: a link or a special file in a run folder is an error.

    Args:
        folder: The run folder.

    Raises:
        FormatError: when the folder holds something that is neither a file nor a folder.
        OSError: when it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = dict.fromkeys(sorted(_names_below(folder)))

    def __contains__(self, name: object) -> bool:
        return name in self._names  # without reading the file, as a Mapping would

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            return stream.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class RunReader:
    """One run folder.

    Every method that gives a record raises `FormatError` when its file is missing or not what it should
    be, and `OSError` when it cannot be read.

    Args:
        folder: The run folder.

    Raises:
        UsageError: when there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"there is no run folder {self.folder}", hint="catfs runs lists what there is")

    @property
    def run_id(self) -> str:
        """The name of the folder, which is the run id."""
        return self.folder.resolve().name

    @property
    def is_complete(self) -> bool:
        """Whether the proof, which is written last, is there."""
        return (self.folder / PROOF_FILE).is_file()

    @property
    def files(self) -> RunFiles:
        """The files as they are now, for verification."""
        return RunFiles(self.folder)

    def proof(self) -> Proof:
        """Give the proof.

        Raises:
            FormatError: when the run is incomplete or the proof is not sealed by its own digest.
        """
        if not self.is_complete:
            hint = "it was stopped before its end; catfs doctor says what is left of it"
            raise FormatError(f"run {self.run_id}", f"is incomplete: it has no {PROOF_FILE}", hint=hint)
        return self._read(PROOF_FILE, Proof.from_dict)

    def job(self) -> JobSpec:
        """Give the declaration."""
        return self._read(JOBSPEC_FILE, JobSpec.from_dict)

    def info(self) -> RunInfo:
        """Give where, when and by whom the run was made."""
        return self._read(RUN_INFO_FILE, RunInfo.from_dict)

    def status(self) -> Status:
        """Give how the run ended."""
        return self._read(STATUS_FILE, Status.from_dict)

    def pre_manifest(self) -> Manifest:
        """Give every path before the run; its roots are not recomputed here."""
        return self._read(PRE_MANIFEST_FILE, Manifest.from_dict)

    def post_manifest(self) -> Manifest:
        """Give every path after the run; its roots are not recomputed here."""
        return self._read(POST_MANIFEST_FILE, Manifest.from_dict)

    def restore_diff(self) -> RestoreDiff:
        """Give what the program changed."""
        return self._read(RESTORE_DIFF_FILE, RestoreDiff.from_dict)

    def outputs(self) -> Outputs:
        """Give what became of the declared outputs."""
        return self._read(OUTPUTS_FILE, Outputs.from_dict)

    def domain_roots(self) -> DomainRoots:
        """Give the Merkle roots."""
        return self._read(DOMAIN_ROOTS_FILE, DomainRoots.from_dict)

    def history(self) -> History | None:
        """Give what it keeps of its history; None when it keeps none."""
        return self._read(HISTORY_FILE, History.from_dict) if self.has(HISTORY_FILE) else None

    @property
    def history_data(self) -> Path:
        """Where the data of its history is, unless it was removed."""
        return self.folder / HISTORY_DATA_FILE

    def has(self, name: str) -> bool:
        """Say whether it has a file."""
        return (self.folder / name).is_file()

    def step(self, index: int) -> StepResult:
        """Give how a step went.

        Args:
            index: The step, counted from 1.
        """
        return self._read(step_file(index, "json"), StepResult.from_dict)

    def log(self) -> LogFile:
        """Give the write log; in a complete run damage is an error, else it ends the reading."""
        return LogFile(self.folder / WRITE_LOG_FILE, whole=self.is_complete)

    def _read(self, name: str, from_dict: Callable[[object], _Record]) -> _Record:
        what = f"{name} of run {self.run_id}"
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise FormatError(what, "there is no such file") from None
        try:
            return from_dict(parse_canonical(data, what))
        except FormatError as error:
            raise FormatError(what, error.problem) from error


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder in a list.

    Args:
        run_id: Its name.
        path: Where it is.
        is_complete: Whether it has a proof.
        changed: When a file was last added to it, in nanoseconds since 1970.
    """

    run_id: str
    path: Path
    is_complete: bool
    changed: int


def list_runs(runs: str | os.PathLike[str]) -> list[RunFolder]:
    """Give the runs of a workspace, the oldest first.

    Args:
        runs: The folder `runs` of the workspace; when it is not there, there are no runs.

    Raises:
        OSError: when it cannot be read.
    """
    try:
        entries = list(os.scandir(runs))
    except FileNotFoundError:
        return []
    found = [
        RunFolder(
            entry.name,
            Path(entry.path),
            os.path.isfile(os.path.join(entry.path, PROOF_FILE)),
            entry.stat(follow_symlinks=False).st_mtime_ns,
        )
        for entry in entries
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
    ]
    return sorted(found, key=lambda run: (run.changed, run.run_id))


def find_run(runs: str | os.PathLike[str], name: str | None = None) -> RunReader:
    """Give the run that a name stands for.

    Args:
        runs: The folder `runs` of the workspace.
        name: A run id, the beginning of exactly one, or `last`; None means `last` too.

    Raises:
        UsageError: when it stands for no run or for several.
        OSError: when the folder cannot be read.
    """
    found = list_runs(runs)
    if not found:
        raise UsageError("there are no runs here yet", hint="catfs run makes one")
    by_id = {run.run_id: run for run in found}
    if name is not None and name in by_id:
        return RunReader(by_id[name].path)
    if name is None or name == LAST_RUN:
        return RunReader(found[-1].path)
    matches = [run for run in found if name and run.run_id.startswith(name)]
    if len(matches) == 1:
        return RunReader(matches[0].path)
    if matches:
        ids = ", ".join(run.run_id for run in matches[:5])
        raise UsageError(f"{name!r} is the beginning of {len(matches)} runs: {ids}", hint="give more of it")
    raise UsageError(f"there is no run {name!r}", hint="catfs runs lists what there is")


def _names_below(folder: Path, prefix: str = "") -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _names_below(Path(entry.path), f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise FormatError(name, "expected a regular file in a run folder")
