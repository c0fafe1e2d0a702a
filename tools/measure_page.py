"""Opens pages of `catfs report` in a headless Chromium and prints how long they take and what they hold.

    python tools/measure_page.py report.html [--screenshot FILE] [--fragment tab=records] [--dark]

Needs the packages playwright (Python) and chromium (Debian). Times are medians of several openings, in the
browser's own clock: from the begin of navigation until everything is drawn.
"""

import argparse
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.browser import opened_page, started_browser

OPENINGS = 5
"""Openings of which the median counts."""

DRAWN = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
    () => setTimeout(() => done(performance.now()), 0))))"""
"""Gives the time when what was asked for is on the screen."""

SEARCH = """async (text) => {
    const left = document.getElementById("left"), input = document.getElementById("search");
    const before = left.textContent, began = performance.now();
    input.value = text;
    input.dispatchEvent(new Event("input"));
    while (left.textContent === before) await new Promise((done) => setTimeout(done, 1));
    await new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 0)), 60));
    return performance.now() - began;
}"""
"""Types into the search and gives milliseconds until tables, map and chart follow."""


def measure(browser: Browser, file: Path) -> dict[str, str]:
    """Give what opening a page takes.

    Args:
        browser: The browser.
        file: The page.
    """
    loads, heaps, searches = [], [], []
    for _ in range(OPENINGS):
        with opened_page(browser, file) as page:
            loads.append(float(page.evaluate(DRAWN)))
            session = page.context.new_cdp_session(page)
            session.send("HeapProfiler.collectGarbage")
            usage = session.send("Runtime.getHeapUsage")
            heaps.append(int(usage["usedSize"]) + int(usage["backingStorageSize"]))
            searches.append(float(page.evaluate(SEARCH, "lib1")))
            left = page.inner_text("#left")
    return {
        "page": f"{file.stat().st_size / 1e6:.2f} MB",
        "load": f"{statistics.median(loads):.0f} ms",
        "heap": f"{statistics.median(heaps) / 1e6:.1f} MB",
        "search": f"{statistics.median(searches):.0f} ms",
        "left": left,
    }


def main() -> int:
    """Measure, or make a screenshot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="the page")
    parser.add_argument("--screenshot", type=Path, help="make one instead of measuring")
    parser.add_argument("--fragment", default="", help="what stands behind # in the address")
    parser.add_argument("--at", default="body", help="selector of what is scrolled to")
    parser.add_argument("--dark", action="store_true", help="in the dark")
    arguments = parser.parse_args()
    with started_browser() as browser:
        if arguments.screenshot is None:
            for name, value in measure(browser, arguments.file.absolute()).items():
                print(f"{name:<8}{value}")
            return 0
        scheme = "dark" if arguments.dark else "light"
        with opened_page(browser, arguments.file.absolute(), arguments.fragment, scheme) as page:
            page.evaluate("selector => document.querySelector(selector).scrollIntoView()", arguments.at)
            page.evaluate(DRAWN)
            page.wait_for_timeout(300)
            page.screenshot(path=arguments.screenshot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
