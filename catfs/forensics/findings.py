"""Suspicious patterns in a log: rules, each with a name, that look at one record in its surroundings.

A finding is a question to a person, not a verdict: every rule also fits work that is meant. The rules are
listed in `RULES`, in the order in which docs/audit.md explains them.
"""

import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from posixpath import basename, normpath
from typing import Final

from catfs.forensics.lifetimes import FileTable
from catfs.forensics.processes import Process
from catfs.records.write_record import UNCHANGING, ProcessRecord, Record, WriteRecord
from catfs.values import dataclass

MASS_CHANGE_FILES: Final = 100
"""Files of the original that one process changes or removes before that is a finding."""

_REPOSITORY: Final = b".git"
_NAMING: Final = frozenset({"create", "mkdir", "mknod", "symlink", "rename", "link"})
"""Operations that bring a name into being."""

_RUN_LATER: Final = (
    b".git/hooks/*",
    b".git/config",
    b".github/workflows/*",
    b".gitlab-ci.yml",
    b".pre-commit-config.yaml",
    b".husky/*",
    b".envrc",
    b".vscode/tasks.json",
    b".vscode/settings.json",
    b".bashrc",
    b".bash_profile",
    b".profile",
    b".zshrc",
    b".config/autostart/*",
)
"""Files whose content other programs execute without being asked to."""

_SECRETS: Final = (
    b".ssh/*",
    b".gnupg/*",
    b".aws/credentials",
    b".netrc",
    b".pypirc",
    b".npmrc",
    b".env",
    b".env.*",
    b"*.pem",
    b"*.key",
    b"id_rsa",
    b"id_ed25519",
    b".git-credentials",
    b".docker/config.json",
)
"""Files that hold keys and passwords by convention."""

_WRITES_REPOSITORY: Final = frozenset({"write", "truncate", "unlink", "rename", "fallocate"})


class Severity(Enum):
    """How much a finding matters by itself."""

    NOTICE = "notice"
    """Usual in many builds; worth a look where it is not."""
    WARNING = "warning"
    """Seldom meant."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A record with what a rule may look at.

    Args:
        record: The record.
        process: The process behind it; None when unknown.
        program: What that ran; None as before.
        files: The files of the log, this record taken in.
        expected: Patterns of the programs that are expected to change anything; empty for any.
        touched_originals: Number of files of the original that the process changed so far, this one
            included; 0 when this record is not the first of the process on an original.
    """

    record: WriteRecord
    process: Process | None
    program: ProcessRecord | None
    files: FileTable
    expected: Sequence[bytes]
    touched_originals: int

    @property
    def new_path(self) -> bytes:
        """The path that the record brings into being or speaks of: for a rename and a link, the new one."""
        if self.record.op in {"rename", "link"}:
            return self.record.texts.get("path2", self.record.path)
        return self.record.path


Check = Callable[[Scene], str | None]
"""Gives what is suspicious about a record, or None."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern.

    Args:
        name: Its name on the command line.
        severity: How much it matters.
        summary: What it finds, in a sentence.
        check: Looks at a record.
        once_per_program: Whether one finding for each program is enough; else one for each path.
    """

    name: str
    severity: Severity
    summary: str
    check: Check
    once_per_program: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A record that a rule found.

    Args:
        rule: The rule.
        record: The record.
        path: The path that it is about.
        process: The process behind it; None when unknown.
        detail: What is suspicious about it, for people.
    """

    rule: Rule
    record: WriteRecord
    path: bytes
    process: Process | None
    detail: str


def _unexpected_tool(scene: Scene) -> str | None:
    if not scene.expected or scene.program is None or scene.record.op in UNCHANGING:
        return None
    exe = scene.program.exe
    for pattern in scene.expected:
        if fnmatchcase(exe if b"/" in pattern else basename(exe), pattern):
            return None
    return "changed by a program that is not among the expected ones"


def _set_id(scene: Scene) -> str | None:
    mode = _mode_of(scene.record)
    if mode is None or scene.record.op == "mkdir":
        return None
    if mode & stat.S_ISUID:
        return f"runs as its owner: mode {mode & 0o7777:04o}"
    if mode & stat.S_ISGID and mode & stat.S_IXGRP:
        return f"runs as its group: mode {mode & 0o7777:04o}"
    return None


def _capability(scene: Scene) -> str | None:
    record = scene.record
    if record.op == "setxattr" and record.texts.get("name") == b"security.capability":
        return "was given capabilities of its own"
    return None


def _device(scene: Scene) -> str | None:
    mode = _mode_of(scene.record)
    if scene.record.op == "mknod" and mode is not None and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return "gives access to a device"
    return None


def _world_writable(scene: Scene) -> str | None:
    mode = _mode_of(scene.record)
    if mode is None or not mode & stat.S_IWOTH:
        return None
    if mode & stat.S_ISVTX or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
        return None
    return f"anybody may write to it: mode {mode & 0o7777:04o}"


def _hidden(scene: Scene) -> str | None:
    if scene.record.op not in _NAMING or scene.record.unlinked or _in_repository(scene.new_path):
        return None
    name = basename(scene.new_path)
    if not name.startswith(b".") or (
        scene.record.op == "rename" and basename(scene.record.path).startswith(b".")
    ):
        return None
    return "does not show in a listing"


def _misleading(scene: Scene) -> str | None:
    if scene.record.op not in _NAMING or scene.record.unlinked:
        return None
    name = basename(scene.new_path)
    if any(byte < 0x20 or byte == 0x7F for byte in name):
        return "its name holds control characters"
    if name.strip() != name:
        return "its name begins or ends with blanks"
    if set(name) == {0x2E} and len(name) > 2:
        return "its name looks like a directory above"
    if any(
        mark in name.decode("utf-8", "replace")
        for mark in "\u200b\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067"
    ):
        return "its name holds marks that change how it is shown"
    return None


def _escape(scene: Scene) -> str | None:
    record = scene.record
    if record.op != "symlink":
        return None
    target = record.texts.get("path2", b"")
    if target.startswith(b"/"):
        return "points to an absolute path"
    inside = normpath(b"/".join([*record.path.split(b"/")[:-1], target]))
    return "points out of the domain" if inside == b".." or inside.startswith(b"../") else None


def _run_later(scene: Scene) -> str | None:
    if scene.record.op not in {*_NAMING, "write", "truncate"} or scene.record.op == "mkdir":
        return None
    if scene.new_path.endswith(b".sample") or not _fits_end(scene.new_path, _RUN_LATER):
        return None
    return "is executed by other programs on their own"


def _secret(scene: Scene) -> str | None:
    if scene.record.op != "read" or not _fits_end(scene.record.path, _SECRETS):
        return None
    return "holds keys or passwords by convention, and was read"


def _git_history(scene: Scene) -> str | None:
    record = scene.record
    if record.op not in _WRITES_REPOSITORY or not _in_repository(record.path):
        return None
    inside = (b"/" + scene.new_path).rpartition(b"/" + _REPOSITORY + b"/")[2]
    replaced = record.numbers.get("ino2") if record.op == "rename" else record.ino
    if replaced is None or not scene.files.is_original(replaced):
        return None
    if inside.startswith(b"objects/") and not inside.startswith(b"objects/info/"):
        return "an object of the history was changed or removed"
    if inside.startswith(b"logs/") and record.op != "write":
        return "the record of where a branch stood was cut or removed"
    if inside.startswith(b"refs/tags/"):
        return "a tag was moved or removed"
    if inside.startswith((b"refs/heads/", b"refs/remotes/")) and record.op == "unlink":
        return "a branch was removed"
    return None


def _mass_change(scene: Scene) -> str | None:
    if scene.touched_originals != MASS_CHANGE_FILES:
        return None
    return f"the {MASS_CHANGE_FILES}th file of the original that this process changed or removed"


RULES: Final = (
    Rule(
        "unexpected-tool",
        Severity.WARNING,
        "a program changed something that is not among those given with --expect",
        _unexpected_tool,
        once_per_program=True,
    ),
    Rule("set-id", Severity.WARNING, "a file runs with the rights of its owner or group", _set_id),
    Rule("capability", Severity.WARNING, "a file was given capabilities", _capability),
    Rule("device", Severity.WARNING, "a device node was made", _device),
    Rule("world-writable", Severity.WARNING, "anybody may write to a file or folder", _world_writable),
    Rule("git-history", Severity.WARNING, "recorded history of a git repository was rewritten", _git_history),
    Rule(
        "mass-change",
        Severity.WARNING,
        f"one process changed or removed {MASS_CHANGE_FILES} files of the original",
        _mass_change,
    ),
    Rule(
        "run-later",
        Severity.WARNING,
        "a file was written that other programs execute on their own",
        _run_later,
    ),
    Rule(
        "secret-read", Severity.WARNING, "a file that holds keys or passwords by convention was read", _secret
    ),
    Rule("misleading-name", Severity.WARNING, "a name was made that people misread", _misleading),
    Rule("outside-link", Severity.NOTICE, "a symbolic link points out of the domain", _escape),
    Rule("hidden", Severity.NOTICE, "a name was made that begins with a dot", _hidden),
)
"""Every rule."""


class Auditor:
    """Looks for suspicious patterns; show it every record, in order.

    Args:
        rules: The rules to look with.
        expected: Patterns of the programs that are expected to change anything: of the name, or with a
            slash of the whole path of the executable. Empty for any.
    """

    def __init__(self, rules: Collection[Rule] = RULES, expected: Sequence[bytes] = ()) -> None:
        self._rules = rules
        self._expected = expected
        self._files = FileTable()
        self._found: set[tuple[object, ...]] = set()
        self._originals: dict[int, set[int]] = {}

    def note(self, record: Record, process: Process | None) -> Iterator[Finding]:
        """Take a record in and give what is suspicious about it, each thing once.

        Args:
            record: The record.
            process: The process behind it; None when unknown.

        Raises:
            FormatError: when the record lacks a field that its operation needs.
        """
        self._files.note(record, None if process is None else process.number)
        if not isinstance(record, WriteRecord):
            return
        program = None if process is None else process.program_at(record.seq)
        touched = self._count_originals(record, process)
        scene = Scene(record, process, program, self._files, self._expected, touched)
        for rule in self._rules:
            detail = rule.check(scene)
            if detail is None:
                continue
            key: tuple[object, ...] = (rule.name, record.domain, scene.new_path, process and process.number)
            if rule.once_per_program:
                key = (rule.name, program and program.exe)
            if key not in self._found:
                self._found.add(key)
                yield Finding(rule, record, scene.new_path, process, detail)

    def _count_originals(self, record: WriteRecord, process: Process | None) -> int:
        if process is None or record.op not in {"write", "truncate", "unlink", "rename", "fallocate"}:
            return 0
        ino = record.numbers.get("ino2", record.ino) if record.op == "rename" else record.ino
        if not self._files.is_original(ino):
            return 0
        touched = self._originals.setdefault(process.number, set())
        if ino in touched:
            return 0
        touched.add(ino)
        return len(touched)


def _mode_of(record: WriteRecord) -> int | None:
    """Give the mode that a record gives a file; None when it gives none."""
    return record.numbers.get("mode") if record.op in {"create", "mkdir", "mknod", "setattr"} else None


def _in_repository(path: bytes) -> bool:
    return _REPOSITORY in path.split(b"/")[:-1]


def _fits_end(path: bytes, patterns: Sequence[bytes]) -> bool:
    """Say whether the end of a path fits a pattern: the whole path, or what follows one of its slashes."""
    parts = path.split(b"/")
    for pattern in patterns:
        length = pattern.count(b"/") + 1
        if len(parts) >= length and fnmatchcase(b"/".join(parts[-length:]), pattern):
            return True
    return False
