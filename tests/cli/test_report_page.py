"""The page of a run in a real browser: loads from one file, counts right, filters, no name is markup."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from catfs.forensics.report import RunFacts, TextDiff, compare_texts, make_page
from catfs.forensics.report.diffs import Content
from catfs.forensics.report.packing import NumberColumn, pack
from catfs.records.write_record import record_from_dict
from tests.support.browser import opened_page, started_browser
from tests.support.commands import run_catfs
from tests.support.workspaces import LOG, START, UNTIDY, SampleWorkspace
from tools.make_log import compiled

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><b onmouseover=alert(3)>',
    "[[data]]{{x}}${y}",
    "new\nline\u202eltr",
)
"""Names that would be markup on a careless page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give one browser for all tests."""
    with started_browser() as browser:
        yield browser


def _facts(diffs: tuple[TextDiff, ...] = ()) -> RunFacts:
    return RunFacts("run-1", None, None, None, None, None, (), diffs)


def _write(place: Path, log: Sequence[Mapping[str, object]], diffs: tuple[TextDiff, ...] = ()) -> Path:
    """Write the page of a log that nothing seals."""
    records = (
        record_from_dict({"seq": seq, "t": START + seq * 10**6, **fields}) for seq, fields in enumerate(log)
    )
    file = place / "page.html"
    file.write_bytes(make_page(records, _facts(diffs)))
    return file


def _build(records: int) -> list[dict[str, object]]:
    """Give the records of a made-up build."""
    return list(islice((record for number in range(records) for record in compiled(number)), records))


def _left(page: Page) -> str:
    return page.inner_text("#left")


def _wait_for(page: Page, left: str) -> None:
    """Wait until the page says that so much of the log is left."""
    expect(page.locator("#left")).to_have_text(re.compile(f"^{re.escape(left)}"))


def _first_cells(page: Page, table: str, column: int) -> list[str]:
    rows = page.locator(f"{table} .space .row").all()
    ordered = sorted(rows, key=lambda row: int(row.get_attribute("aria-rowindex") or 0))
    return [row.locator(".cell").nth(column).inner_text() for row in ordered]


def test_the_page_says_what_was_proven(browser: Browser, sample: SampleWorkspace) -> None:
    """Outcome, verdicts, roots and counts are those of the run, and nothing is fetched from anywhere."""
    proof = sample.add_run(changes=UNTIDY, discard=True)
    run_catfs(["report", "last", "-o", "page.html"], sample.root)
    with opened_page(browser, sample.root / "page.html") as page:
        assert page.inner_text("#outcome") == "Restored"
        assert page.locator(".tile.verdict .tile-value").all_inner_texts() == ["yes", "no"]
        digests = [root.get_attribute("title") for root in page.locator(".root").all()]
        roots = proof.domains[0].roots
        for root in (roots.base_root, roots.view_root, proof.log.root, proof.digest):
            assert any(title and title.startswith(root.hex) for title in digests)
        totals = ("#total-records", "#total-processes", "#total-files", "#total-bytes")
        assert [page.inner_text(total) for total in totals] == ["9", "2", "4", "10 B"]
        assert _left(page) == "9 records · 4 files · 10 B written"
        page.click("#tab-difference")
        assert page.locator("#panel-difference .space .row").count() == 6
        page.click("#tab-steps")
        assert "built" in page.inner_text("#panel-steps")


def test_search_operations_processes_and_time_filter_everything(browser: Browser, tmp_path: Path) -> None:
    """Each condition leaves what it should, together and one by one, and can be taken back."""
    with opened_page(browser, _write(tmp_path, LOG)) as page:
        for search, left in (
            ("out", "4 of 9 records · 2 files · 9 B"),
            ("*.o", "2 of 9 records · 1 files · 1 B"),
            ("out/**", "3 of 9 records · 1 files · 9 B"),
            ("no such", "0 of 9 records · 0 files · 0 B"),
        ):
            page.fill("#search", search)
            _wait_for(page, left)
        page.fill("#search", "")
        _wait_for(page, "9 records")
        page.get_by_role("button", name="Create", exact=True).click()
        assert _left(page).startswith("3 of 9 records")
        page.locator("#processes .space .row").nth(1).click()
        page.get_by_role("button", name="Only this and what it started").click()
        assert _left(page).startswith("1 of 9 records")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Clear").click()
        assert _left(page).startswith("9 records")
    with opened_page(browser, tmp_path / "page.html", "t=4000000-6000000&tab=records") as page:
        assert _left(page).startswith("3 of 9 records")
        assert _first_cells(page, "#panel-records", 2) == ["write", "create", "write"]


def test_a_time_is_chosen_by_dragging(browser: Browser, tmp_path: Path) -> None:
    """A stretch of the chart becomes the only time that counts; a double click takes it back."""
    with opened_page(browser, _write(tmp_path, _build(500))) as page:
        box = page.locator("#chart .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 2, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40, steps=4)
        page.mouse.up()
        found = re.match(r"(\d+) of 500 records", _left(page))
        assert found is not None
        assert 245 <= int(found[1]) <= 255
        page.mouse.dblclick(box["x"] + 50, box["y"] + 40)
        assert _left(page).startswith("500 records")


def test_names_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    """Hostile names of files, programs and lines of text stand on the page as they are, and start nothing."""
    process = {**LOG[0], "argv": list(HOSTILE), "exe": f"/bin/{HOSTILE[1]}"}
    files = [
        {"op": "create", "path": name, "mode": 0o100644, "uid": 1, "gid": 1, "ino": 30 + place, "pid": 70}
        for place, name in enumerate(HOSTILE)
    ]
    raw = {"op": "unlink", "path_base64": "b2xk/w==", "ino": 50, "pid": 70}
    diff = compare_texts(0, HOSTILE[0].encode(), "added", None, Content(9, "\n".join(HOSTILE).encode()))
    file = _write(tmp_path, [process, *files, raw], (diff,))
    assert b"alert(" not in file.read_bytes()
    with opened_page(browser, file) as page:
        assert page.locator("img, b[onmouseover]").count() == 0
        names = set(_first_cells(page, "#panel-files", 0))
        assert {*HOSTILE[:4], "new\\nline\\u202eltr", "old\\xff"} == names
        page.click("#tab-texts")
        assert HOSTILE[0] in page.inner_text("#panel-texts .diff")
        page.locator("#processes .space .row").first.click()
        assert HOSTILE[1] in page.inner_text("#detail")
        page.hover("#lanes", position={"x": 200, "y": 5})
        assert HOSTILE[0] in page.inner_text("#tip")


def test_no_script_but_its_own_runs_on_the_page(browser: Browser, tmp_path: Path) -> None:
    """The policy of the page refuses a script that somebody slipped in."""
    file = _write(tmp_path, LOG)
    text = file.read_text("utf-8")
    file.write_text(text.replace("<main", "<script>globalThis.slipped = 1</script><main", 1), "utf-8")
    with pytest.raises(AssertionError, match="Content Security Policy"), opened_page(browser, file) as page:
        assert page.evaluate("globalThis.slipped") is None


def test_tables_are_sorted_by_their_heads(browser: Browser, tmp_path: Path) -> None:
    """The largest files stand first; a click on a head sorts by it, a second one the other way round."""
    with opened_page(browser, _write(tmp_path, LOG)) as page:
        assert _first_cells(page, "#panel-files", 0)[:2] == ["out/it.whl", "build/x.o"]
        page.locator("#panel-files").get_by_role("button", name="Path").click()
        assert _first_cells(page, "#panel-files", 0) == ["build/x.o", "old\\xff", "out", "out/it.whl"]
        page.locator("#panel-files").get_by_role("button", name="Path").click()
        assert _first_cells(page, "#panel-files", 0)[0] == "out/it.whl"


def test_only_rows_that_are_seen_are_elements(browser: Browser, tmp_path: Path) -> None:
    """A long log has all its records in the table, and some dozens of rows on the page."""
    with opened_page(browser, _write(tmp_path, _build(20_000)), "tab=records") as page:
        table = page.locator("#panel-records .table")
        assert table.get_attribute("aria-rowcount") == "20000"
        assert page.locator("#panel-records .space .row").count() < 60
        page.locator("#panel-records .body").focus()
        page.keyboard.press("End")
        page.wait_for_selector("#panel-records .row.current[aria-rowindex='20000']")
        assert page.locator("#panel-records .row.current .cell").first.inner_text() == "19,999"
        assert page.locator("#panel-records .space .row").count() < 60


def test_everything_is_reached_by_keys(browser: Browser, tmp_path: Path) -> None:
    """Search, tables, details and tabs work without a mouse, and focus returns to where it was."""
    with opened_page(browser, _write(tmp_path, LOG)) as page:
        page.keyboard.press("/")
        page.keyboard.type("out/it.whl")
        _wait_for(page, "3 of 9 records")
        page.locator("#panel-files .body").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert "out/it.whl" in page.inner_text("#detail h2")
        page.keyboard.press("Escape")
        assert not page.is_visible("#detail")
        assert page.evaluate("document.activeElement.className") == "body"
        page.locator("#tab-files").focus()
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#tab-records", "aria-selected") == "true"
        page.locator("#map").focus()
        page.keyboard.press("ArrowRight")
        assert "out" in page.inner_text("#tip")


def test_everything_leads_to_everything(browser: Browser, tmp_path: Path) -> None:
    """From a file to its process, to its parent, and the address of the page leads there again."""
    with opened_page(browser, _write(tmp_path, LOG)) as page:
        page.locator("#panel-files .row", has_text="x.o").click()
        page.locator("#detail .shares a").click()
        assert page.inner_text("#detail h2") == "cc1"
        address = page.url
        page.locator("#detail-head a, #detail .detail-head a").click()
        assert page.inner_text("#detail h2") == "make"
        assert "out/it.whl" in page.inner_text("#detail")
    with opened_page(browser, tmp_path / "page.html", address.partition("#")[2]) as page:
        assert page.inner_text("#detail h2") == "cc1"


def test_nonsense_in_the_address_is_left_out(browser: Browser, tmp_path: Path) -> None:
    """An address is input like any other: what it cannot mean is not chosen."""
    with opened_page(
        browser, _write(tmp_path, LOG), "file=99&below=-1&ops=x,write&t=9-3&tab=y&process=zz"
    ) as page:
        assert _left(page).startswith("2 of 9 records")
        assert not page.is_visible("#detail")


def test_dark_and_light_follow_the_machine_and_the_button(browser: Browser, tmp_path: Path) -> None:
    """The page begins as the machine is set, and the button turns it over."""
    with opened_page(browser, _write(tmp_path, LOG), scheme="dark") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        assert page.evaluate(background) != dark


def test_numbers_arrive_as_they_were_packed(browser: Browser, tmp_path: Path) -> None:
    """Small, large and negative numbers of columns are the same in the browser, to 2 to the power of 52."""
    times = [0, 127, 128, 5, 2**31, 2**32 + 1, 3, 2**52 - 1, 0]
    lengths = [0, 1, 127, 128, 16384, 2**31, 2**40 + 7, 2**53 - 1, 9]
    columns = {name: NumberColumn(differs=name != "length") for name in ("time", "length", "offset")}
    for column, numbers in zip(columns.values(), (times, lengths, list(reversed(times))), strict=True):
        for number in numbers:
            column.append(number)
    empty = {
        name: NumberColumn(differs=False)
        for name in ("op", "process", "file", "second_record", "second_path")
    }
    head = {"files": {"ino": []}, "processes": [], "operations": [], "diffs": []}
    text = pack(head, {**columns, **empty})
    with opened_page(browser, _write(tmp_path, LOG)) as page:
        script = "text => catfs.unpack(text).then((d) => ['time', 'length', 'offset'].map(NAME))"
        found: Any = page.evaluate(script.replace("NAME", "(name) => [...d.columns[name]]"), text)
    assert found == [times, lengths, list(reversed(times))]


def test_a_page_without_a_proof_says_so(browser: Browser, sample: SampleWorkspace) -> None:
    """The page of a run that was stopped has its log and claims nothing."""
    sample.add_incomplete_run("stopped")
    sample.add_dead_session("stopped")
    result = run_catfs(["report", "stopped", "-o", "page.html"], sample.root)
    assert result.status == 0
    with opened_page(browser, sample.root / "page.html") as page:
        assert page.inner_text("#outcome") == "No proof"
        assert page.locator(".tile.verdict").count() == 0
        assert _left(page).startswith("9 records")


def test_an_empty_log_makes_a_page(browser: Browser, tmp_path: Path) -> None:
    """A run that changed nothing has a page on which everything is zero."""
    with opened_page(browser, _write(tmp_path, [])) as page:
        assert _left(page) == "0 records · 0 files · 0 B written"
