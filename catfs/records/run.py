"""How a run went: RUN_INFO.json, STATUS.json and steps/NN.json."""

from enum import Enum
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records.fields import Fields, put_bytes, put_bytes_list
from catfs.records.timestamp import format_time
from catfs.values import dataclass

RUN_INFO_SCHEMA: Final = "run-info.v1"
STATUS_SCHEMA: Final = "status.v1"
STEP_SCHEMA: Final = "step-result.v1"

EXIT_STATUS_MAX: Final = 255
"""Largest exit status of a process; one that a signal ended counts as 128 plus the signal."""


class Outcome(Enum):
    """How a run ended."""

    RESTORED = "restored"
    """Only declared outputs differed, or the rest was discarded on request; outputs are committed."""
    DIRTY = "dirty"
    """Something undeclared was left behind; nothing was committed."""
    FAILED = "failed"
    """The command failed; nothing was committed."""
    MISSING_OUTPUT = "missing_output"
    """A declared output was not there at the end; nothing was committed."""
    CONFLICT = "conflict"
    """The original changed underneath; nothing was committed."""
    INTERNAL = "internal"
    """catfs itself cannot vouch for the run; nothing was committed."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Where, when and by whom a run was made.

    Args:
        run_id: The run.
        catfs: Version of catfs.
        python: Version of Python.
        kernel: Release of the kernel.
        host: Name of the machine.
        uid: Id of the user.
        user: Name of the user; empty when there is none.
        cwd: Working directory of the `catfs` command.
        argv: Its arguments.
        started: When it began, in nanoseconds since 1970.
        ended: When all but the record was done, in nanoseconds since 1970.
        transport: Name of what served the kernel's requests.
        session: Id of the session.
    """

    run_id: str
    catfs: str
    python: str
    kernel: str
    host: str
    uid: int
    user: str
    cwd: bytes
    argv: tuple[bytes, ...]
    started: int
    ended: int
    transport: str
    session: str

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        record: dict[str, object] = {
            "schema": RUN_INFO_SCHEMA,
            "run_id": self.run_id,
            "catfs": self.catfs,
            "python": self.python,
            "kernel": self.kernel,
            "host": self.host,
            "uid": self.uid,
            "user": self.user,
            "started": format_time(self.started),
            "ended": format_time(self.ended),
            "transport": self.transport,
            "session": self.session,
        }
        put_bytes(record, "cwd", self.cwd)
        put_bytes_list(record, "argv", self.argv)
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "run info")
        fields.schema(RUN_INFO_SCHEMA)
        info = cls(
            run_id=fields.run_id(),
            catfs=fields.text("catfs"),
            python=fields.text("python"),
            kernel=fields.text("kernel"),
            host=fields.text("host"),
            uid=fields.number("uid"),
            user=fields.text("user"),
            cwd=fields.data("cwd"),
            argv=fields.data_list("argv"),
            started=fields.time("started"),
            ended=fields.time("ended"),
            transport=fields.text("transport"),
            session=fields.text("session"),
        )
        fields.end()
        return info


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run.

    Args:
        name: Such as mount, execute, fold, prove, commit.
        started: Nanoseconds since 1970.
        ended: Nanoseconds since 1970.
    """

    name: str
    started: int
    ended: int

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {"name": self.name, "started": format_time(self.started), "ended": format_time(self.ended)}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a phase out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.text("name"), fields.time("started"), fields.time("ended"))


@dataclass(frozen=True, slots=True)
class Status:
    """How a run ended, in short.

    Args:
        run_id: The run.
        outcome: How it ended.
        exit_status: Exit status of `catfs run`.
        command_status: Status of the first step that failed, else 0.
        sentence: The outcome for people.
        phases: The parts of the run, in the order in which they began.
    """

    run_id: str
    outcome: Outcome
    exit_status: int
    command_status: int
    sentence: str
    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        check_exit_status(self.exit_status, "status")
        check_exit_status(self.command_status, "status")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        return {
            "schema": STATUS_SCHEMA,
            "run_id": self.run_id,
            "outcome": self.outcome.value,
            "exit_status": self.exit_status,
            "command_status": self.command_status,
            "sentence": self.sentence,
            "phases": [phase.to_dict() for phase in self.phases],
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "status")
        fields.schema(STATUS_SCHEMA)
        status = cls(
            run_id=fields.run_id(),
            outcome=fields.choice("outcome", Outcome),
            exit_status=fields.number("exit_status"),
            command_status=fields.number("command_status"),
            sentence=fields.text("sentence"),
            phases=fields.parts("phases", Phase.take),
        )
        fields.end()
        return status


@dataclass(frozen=True, slots=True)
class Stream:
    """What a step wrote to its standard output or error.

    Args:
        size: Bytes.
        digest: SHA-256 of them.
    """

    size: int
    digest: Digest

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {"size": self.size, "digest": self.digest.hex}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a stream out of an object, which has no others.

        Raises:
            FormatError: when one is missing, unknown or of the wrong type.
        """
        stream = cls(fields.number("size"), fields.digest("digest"))
        fields.end()
        return stream


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step went.

    Args:
        index: Its place in the job, counted from 1.
        argv: Its arguments.
        status: Exit status, 0 to 255; 128 plus the signal when one ended it.
        started: Nanoseconds since 1970.
        ended: Nanoseconds since 1970.
        stdout: What it wrote to standard output: steps/NN.stdout.
        stderr: What it wrote to standard error: steps/NN.stderr.
    """

    index: int
    argv: tuple[bytes, ...]
    status: int
    started: int
    ended: int
    stdout: Stream
    stderr: Stream

    def __post_init__(self) -> None:
        check_exit_status(self.status, "step result")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        record: dict[str, object] = {
            "schema": STEP_SCHEMA,
            "index": self.index,
            "status": self.status,
            "started": format_time(self.started),
            "ended": format_time(self.ended),
            "stdout": self.stdout.to_dict(),
            "stderr": self.stderr.to_dict(),
        }
        put_bytes_list(record, "argv", self.argv)
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "step result")
        fields.schema(STEP_SCHEMA)
        result = cls(
            index=fields.number("index"),
            argv=fields.data_list("argv"),
            status=fields.number("status"),
            started=fields.time("started"),
            ended=fields.time("ended"),
            stdout=Stream.take(fields.part("stdout")),
            stderr=Stream.take(fields.part("stderr")),
        )
        fields.end()
        return result


def check_exit_status(status: int, what: str) -> None:
    """Check that a number can be an exit status.

    Raises:
        FormatError: when it cannot.
    """
    if not 0 <= status <= EXIT_STATUS_MAX:
        raise FormatError(what, f"expected an exit status from 0 to {EXIT_STATUS_MAX}, got {status}")
