"""Pages that name tests as their witnesses name tests that exist."""

import re

from tests.tidy.sources import ROOT, read_sources


def test_every_statement_on_the_file_system_has_its_test() -> None:
    """Each test that docs/filesystem.md names is there, and each table row but the heads names one."""
    tests = {function.name for source in read_sources() for function in source.functions()}
    page = (ROOT / "docs/filesystem.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named - tests == set()
    rows = [line for line in page.splitlines() if line.startswith("|") and "shown by" not in line]
    assert [row for row in rows if "`test_" not in row and "---" not in row] == []
