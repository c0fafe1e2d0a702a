"""`catfs audit`: what it prints, and what its exit status says."""

from typing import Any

from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.log_maker import LogMaker
from tests.support.workspaces import SampleWorkspace


def _installer() -> LogMaker:
    log = LogMaker()
    log.process(10, argv="sh install.sh")
    log.process(11, parent=10, argv="chmod u+s su")
    log.add("setattr", "su", 5, 11, mode=0o104755)
    log.create(".hidden", 10)
    return log


def test_findings_are_told_with_who_it_was(sample: SampleWorkspace) -> None:
    """Record, severity, rule, path and reason; below them the process and what led to it."""
    sample.add_run(log=_installer().data)
    result = run_catfs(["audit"], sample.root)
    assert result.status == 1
    lines = result.stdout.decode().splitlines()
    assert lines[0].split(maxsplit=4)[1:4] == ["11", "chmod", "warning"]
    assert lines[0].endswith("set-id          su: runs as its owner: mode 4755")
    assert lines[1:3] == ["  by 11 chmod u+s su", "  from sh 10"]
    assert "1 warning and 1 notice in 4 records" in result.stderr


def test_rules_can_be_chosen(sample: SampleWorkspace) -> None:
    """Notices alone give exit status 0; an unknown rule is bad input."""
    sample.add_run(log=_installer().data)
    assert run_catfs(["audit", "--without", "set-id"], sample.root).status == 0
    only = run_catfs(["audit", "--rule", "device"], sample.root)
    assert (only.status, only.stdout) == (0, b"")
    assert run_catfs(["audit", "--rule", "nonsense"], sample.root).status == 2


def test_expected_programs_are_given_by_pattern(sample: SampleWorkspace) -> None:
    """Whoever else changes something is a finding."""
    sample.add_run(log=_installer().data)
    result = run_catfs(["audit", "--rule", "unexpected-tool", "--expect", "s?"], sample.root)
    assert result.stdout.decode().count("unexpected-tool") == 1
    assert "by 11 chmod" in result.stdout.decode()


def test_json_lists_findings_and_every_rule(sample: SampleWorkspace) -> None:
    """With counts, also of the rules that found nothing."""
    sample.add_run(log=_installer().data)
    value: Any = run_catfs(["audit", "--json"], sample.root).json()
    validate(value, "cli-audit.v1")
    counts = {rule["name"]: rule["findings"] for rule in value["rules"]}
    assert (counts["set-id"], counts["hidden"], counts["device"]) == (1, 1, 0)
    assert [step["pid"] for step in value["findings"][0]["chain"]] == [11, 10]


def test_what_was_undone_is_no_finding(sample: SampleWorkspace) -> None:
    """Neither the changes that an undo took back nor its own record; what came before and after is found."""
    log = _installer()
    first = log.add("setattr", "bin/other", 6, 11, mode=0o104755)
    log.add("undo", "", 1, 12, first=first)
    log.create(".after", 10)
    sample.add_run(log=log.data)
    result = run_catfs(["audit", "--json", "--expect", "sh"], sample.root)
    value: Any = result.json()
    found = [(finding["rule"], finding["path"]) for finding in value["findings"]]
    assert found == [("unexpected-tool", "su"), ("set-id", "su"), ("hidden", ".hidden"), ("hidden", ".after")]
    assert "in 5 records" in result.stderr
