"""Suspicious patterns: each rule alone, with what it finds and what it leaves alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.forensics import RULES, Auditor, Finding, ProcessTable
from catfs.forensics.findings import MASS_CHANGE_FILES
from tests.support.log_maker import LogMaker

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def _findings(rule: str, log: LogMaker, *expected: bytes) -> list[Finding]:
    rules = [known for known in RULES if known.name == rule]
    auditor, table = Auditor(rules, expected), ProcessTable()
    return [finding for record in log.records for finding in auditor.note(record, table.note(record))]


def _log() -> LogMaker:
    log = LogMaker()
    log.process(10, argv="tool")
    return log


def _create(path: str, mode: int = 0o100644) -> Callable[[LogMaker], object]:
    return lambda log: log.create(path, 10, mode=mode)


def _add(op: str, path: str, **fields: object) -> Callable[[LogMaker], object]:
    def add(log: LogMaker) -> int:
        return log.add(op, path, 77, 10, **fields)

    return add


OWNER = {"uid": 1, "gid": 1}
MOVE = {"flags": 0}

SUSPICIOUS: list[tuple[str, Callable[[LogMaker], object]]] = [
    ("set-id", _create("su", 0o104755)),
    ("set-id", _add("setattr", "wall", mode=0o102755)),
    ("capability", _add("setxattr", "ping", name="security.capability", value="x")),
    ("device", _add("mknod", "sda", mode=0o060600, rdev=2048, **OWNER)),
    ("world-writable", _create("open", 0o100666)),
    ("world-writable", _add("mkdir", "drop", mode=0o040777, **OWNER)),
    ("git-history", _add("unlink", ".git/objects/ab/cdef")),
    ("git-history", _add("write", "sub/.git/objects/pack/p.pack", offset=0, length=1, data=0)),
    ("git-history", _add("truncate", ".git/logs/HEAD", length=0)),
    ("git-history", _add("unlink", ".git/refs/heads/main")),
    ("git-history", _add("rename", ".git/refs/tags/v1.lock", path2=".git/refs/tags/v1", ino2=78, **MOVE)),
    ("run-later", _create(".git/hooks/pre-commit")),
    ("run-later", _add("write", "sub/.github/workflows/ci.yml", offset=0, length=1, data=0)),
    ("run-later", _add("rename", "tmp", path2=".envrc", **MOVE)),
    ("secret-read", _add("read", "home/.ssh/id_rsa")),
    ("secret-read", _add("read", "keys/server.pem")),
    ("misleading-name", _create("a\nb")),
    ("misleading-name", _create("report \u202efdp.exe")),
    ("misleading-name", _add("rename", "a", path2="...", **MOVE)),
    ("misleading-name", _create("name ")),
    ("outside-link", _add("symlink", "etc", path2="/etc", **OWNER)),
    ("outside-link", _add("symlink", "a/b", path2="../../up", **OWNER)),
    ("hidden", _create("sub/.state")),
    ("hidden", _add("rename", "visible", path2=".gone", **MOVE)),
]

HARMLESS: list[tuple[str, Callable[[LogMaker], object]]] = [
    ("set-id", _create("run", 0o100755)),
    ("set-id", _add("mkdir", "shared", mode=0o042775, **OWNER)),
    ("set-id", _create("lock", 0o102644)),
    ("capability", _add("setxattr", "a", name="user.note", value="x")),
    ("device", _add("mknod", "pipe", mode=0o010600, **OWNER)),
    ("world-writable", _add("mkdir", "tmp", mode=0o041777, **OWNER)),
    ("git-history", _create(".git/objects/ab/cdef")),
    ("git-history", _add("write", ".git/logs/HEAD", offset=10, length=1, data=0)),
    ("git-history", _add("rename", ".git/refs/heads/m.lock", path2=".git/refs/heads/m", ino2=78, **MOVE)),
    ("git-history", _add("unlink", "objects/ab/cdef")),
    ("run-later", _create(".git/hooks/pre-commit.sample")),
    ("run-later", _create("notes/config")),
    ("secret-read", _add("read", "src/keys.c")),
    ("misleading-name", _create("plain name.txt")),
    ("outside-link", _add("symlink", "a/b", path2="../c", **OWNER)),
    ("hidden", _create("sub/.git/index")),
    ("hidden", _add("rename", ".new", path2=".state", **MOVE)),
    ("hidden", _create("dots.in.name")),
]


@pytest.mark.parametrize(("rule", "act"), SUSPICIOUS)
def test_a_rule_finds_what_it_is_for(rule: str, act: Callable[[LogMaker], object]) -> None:
    """One finding with the record, the process and a reason."""
    log = _log()
    act(log)
    (finding,) = _findings(rule, log)
    assert (finding.rule.name, finding.record.seq) == (rule, 1)
    assert finding.process is not None
    assert finding.detail


@pytest.mark.parametrize(("rule", "act"), HARMLESS)
def test_a_rule_leaves_other_things_alone(rule: str, act: Callable[[LogMaker], object]) -> None:
    """What is close to it and usual is no finding."""
    log = _log()
    act(log)
    assert _findings(rule, log) == []


def test_an_object_that_the_session_made_may_go_again() -> None:
    """Temporary objects of git are no history yet."""
    log = _log()
    ino = log.create(".git/objects/ab/tmp_obj", 10)
    log.add("unlink", ".git/objects/ab/tmp_obj", ino, 10)
    assert _findings("git-history", log) == []


def test_programs_that_are_not_expected_are_told_once_each() -> None:
    """A pattern without a slash fits the name of the executable, one with a slash its whole path."""
    log = _log()
    log.create("a", 10)
    log.create("b", 10)
    log.process(11, argv="cc1 a.c")
    log.create("c", 11)
    assert _findings("unexpected-tool", log) == []
    assert [finding.path for finding in _findings("unexpected-tool", log, b"cc*")] == [b"a"]
    assert [finding.path for finding in _findings("unexpected-tool", log, b"/usr/bin/tool")] == [b"c"]
    assert _findings("unexpected-tool", log, b"tool", b"cc1") == []


def test_many_originals_changed_by_one_process_are_told_once() -> None:
    """Each file counts once, and files that the session made do not count."""
    log = _log()
    for number in range(MASS_CHANGE_FILES - 1):
        log.write(f"f{number}", number + 5, 0, 1, 10)
        log.add("unlink", f"f{number}", number + 5, 10)
    made = log.create("own", 10)
    log.add("unlink", "own", made, 10)
    assert _findings("mass-change", log) == []
    last = log.add("truncate", "last", 4000, 10, length=0)
    log.add("unlink", "one more", 4001, 10)
    (finding,) = _findings("mass-change", log)
    assert finding.record.seq == last


def test_the_same_thing_is_found_once() -> None:
    """For one path and process; another process is another finding."""
    log = _log()
    log.add("setattr", "su", 77, 10, mode=0o104755)
    log.add("setattr", "su", 77, 10, mode=0o104755)
    log.process(11, argv="other")
    log.add("setattr", "su", 77, 11, mode=0o104755)
    assert [finding.record.seq for finding in _findings("set-id", log)] == [1, 4]


def test_every_rule_is_documented() -> None:
    """The page has a line for each rule, in the same order, and for no other."""
    documented = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert documented == [rule.name for rule in RULES]
