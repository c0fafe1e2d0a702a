"""The data of the report page: texts compared, fates told, assets as they were published."""

import hashlib
import re
from importlib import resources

import pytest

from catfs.errors import UsageError
from catfs.forensics.report import Content, RunFacts, collect, compare_texts, make_page
from catfs.forensics.report.collect import Fate, ReportLog
from catfs.forensics.report.page import SCRIPTS, STYLES
from catfs.records.write_record import OPERATIONS, record_from_dict
from tests.support.workspaces import LOG, START

ASSETS = resources.files("catfs.forensics.report") / "assets"
RECORDS = [record_from_dict({"seq": seq, "t": START + seq, **fields}) for seq, fields in enumerate(LOG)]
FACTS = RunFacts("run-1", None, None, None, None, None, (), ())


def test_lines_of_a_changed_text_are_compared() -> None:
    """Added and removed lines are counted and shown with what is around them."""
    diff = compare_texts(0, b"a", "changed", Content(6, b"1\n2\n3\n"), Content(6, b"1\nX\n3\n"))
    assert diff.lines == ("@@ -1,3 +1,3 @@", " 1", "-2", "+X", " 3")
    assert (diff.added, diff.removed, diff.note) == (1, 1, "")


def test_what_was_not_there_is_empty() -> None:
    """A new text is all added, a deleted one all removed."""
    assert compare_texts(0, b"a", "added", None, Content(2, b"1\n")).lines[1:] == ("+1",)
    assert compare_texts(0, b"a", "removed", Content(2, b"1\n"), None).lines[1:] == ("-1",)


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (Content(7, None), Content(1, b"1"), "what it held before (7 bytes) is not kept any more"),
        (Content(1, b"1"), Content(2**20, None), "1048576 bytes afterwards: too large"),
        (Content(1, b"\0"), Content(1, b"1"), "no text before: 1 bytes"),
        (Content(1, b"1"), Content(1, b"\xff"), "no text afterwards: 1 bytes"),
    ],
)
def test_what_cannot_be_compared_says_why(before: Content, after: Content, note: str) -> None:
    """Content that is gone, too large or no text is named with its size."""
    diff = compare_texts(0, b"a", "changed", before, after)
    assert diff.lines == ()
    assert diff.note.startswith(note)


def test_long_comparisons_are_cut_and_say_so() -> None:
    """The counts stay those of the whole."""
    text = b"".join(b"%d\n" % number for number in range(5000))
    diff = compare_texts(0, b"a", "added", None, Content(len(text), text))
    assert (len(diff.lines), diff.added) == (4000, 5000)
    assert diff.note == "the first 4000 of 5001 lines"


def test_each_file_is_told_what_became_of_it() -> None:
    """Declared, undeclared, come and gone, and only looked at: each has a word of its own."""
    log = [
        *LOG,
        {"op": "create", "path": "tmp", "mode": 0o100644, "uid": 0, "gid": 0, "ino": 30, "pid": 70},
        {"op": "unlink", "path": "tmp", "ino": 30, "pid": 70},
        {"op": "read", "path": "src/main.c", "ino": 31, "pid": 70},
        {"op": "write", "path": "same", "offset": 0, "length": 1, "data": 0, "ino": 32, "pid": 70},
    ]
    fates = {
        (0, b"out/it.whl"): Fate("added", declared=True),
        (0, b"build/x.o"): Fate("added", declared=False),
    }
    states: dict[bool, dict[str, str]] = {}
    for known in (True, False):
        page = ReportLog()
        for seq, fields in enumerate(log):
            page.take(record_from_dict({"seq": seq, "t": START + seq, **fields}))
        head, _ = page.packed(fates if known else None)
        files, paths = head["files"], head["paths"]
        assert isinstance(files, dict)
        assert isinstance(paths, list)
        names = [paths[place - 1] for place in files["path"]]
        states[known] = dict(zip(names, files["state"], strict=True))
    assert states[True] == {
        "out": "unchanged",
        "build/x.o": "leftover",
        "out/it.whl": "output",
        "old\\xff": "removed",
        "tmp": "temporary",
        "src/main.c": "read",
        "same": "unchanged",
    }
    assert (states[False]["out/it.whl"], states[False]["same"]) == ("new", "changed")


def test_a_log_too_long_for_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what takes any number of records."""
    monkeypatch.setattr(collect, "RECORDS_MAX", 3)
    with pytest.raises(UsageError, match=r"more than 3 records, too many for a page .*--format parquet"):
        make_page(RECORDS, FACTS)


def test_the_page_is_one_file_that_names_no_other() -> None:
    """No element loads anything: there is no address but those in licences and comments of libraries."""
    page = make_page(RECORDS, FACTS).decode()
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=", page) == []
    assert "[[" not in page.partition('id="data">')[0].partition("<style>")[0]
    for word in ("default-src 'none'", "script-src 'sha256-", "style-src 'sha256-"):
        assert word in page


def test_libraries_are_as_they_were_published() -> None:
    """Each vendored file has the digest that its page states, comes with a licence, and all are used."""
    vendor = ASSETS / "vendor"
    rows = re.findall(
        r"\| `([^`]+)` \| .*?, `([^`]+)` \| `([0-9a-f]{64})` \|", (vendor / "README.md").read_text("utf-8")
    )
    stated = {name: digest for name, _, digest in rows}
    assert {f"vendor/{name}" for name in stated} == {name for name in (*STYLES, *SCRIPTS) if "/" in name}
    for name, licence, digest in rows:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
        assert "ermission" in (vendor / licence).read_text("utf-8")


def test_every_asset_is_on_the_page() -> None:
    """No script or style lies there unused."""
    own = {path.name for path in ASSETS.iterdir() if path.name.endswith((".js", ".css"))}
    assert own == {name for name in (*STYLES, *SCRIPTS) if "/" not in name}


def test_every_operation_of_the_log_has_its_place() -> None:
    """The column of operations and the groups of the page know each one."""
    assert set(collect.OPERATIONS) == {*OPERATIONS, "process"}
    script = (ASSETS / "state.js").read_text("utf-8")
    assert all(f'"{operation}"' in script for operation in collect.OPERATIONS)
