"""The threat model and the page on recovery claim nothing that is not tried."""

import re

from tests.tidy.sources import ROOT, read_sources


def test_every_claim_of_the_threat_model_has_its_test() -> None:
    """Each test that the page names is there, and each row of an attempt names one."""
    tests = {function.name for source in read_sources() for function in source.functions()}
    page = (ROOT / "docs/threat-model.md").read_text("utf-8")
    assert set(re.findall(r"`(test_\w+)`", page)) - tests == set()
    guards = page[page.index("## The wall") :]
    rows = [line for line in guards.splitlines() if line.startswith("| ") and "tried by" not in line]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []


def test_every_claim_on_recovery_has_its_test() -> None:
    """Each test that the page names is there, and each row of its last table names one."""
    tests = {function.name for source in read_sources() for function in source.functions()}
    page = (ROOT / "docs/recovery.md").read_text("utf-8")
    assert set(re.findall(r"`(test_\w+)`", page)) - tests == set()
    rows = [line for line in page[page.index("## How it is tested") :].splitlines() if line.startswith("| ")]
    assert [row for row in rows[1:] if "`test_" not in row] == []
