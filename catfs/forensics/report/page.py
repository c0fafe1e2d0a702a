"""The page itself: one file of markup, style, scripts and data that opens without a network.

Nothing of the data is markup: it is compressed and in base64, and the scripts put every name on the page as
text. The policy in the head of the page lets exactly its own scripts and styles run, by their digests, so
that even a mistake of theirs could start nothing else.
"""

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources
from typing import Final

import catfs
from catfs.forensics.counting import Counts, all_count
from catfs.forensics.report.collect import ReportLog
from catfs.forensics.report.facts import RunFacts
from catfs.forensics.report.packing import pack
from catfs.records.write_record import Record

STYLES: Final = ("vendor/uPlot.min.css", "page.css")
SCRIPTS: Final = (
    "vendor/uPlot.iife.min.js",
    "vendor/d3-hierarchy.min.js",
    "data.js",
    "state.js",
    "words.js",
    "table.js",
    "verdict.js",
    "timeline.js",
    "treemap.js",
    "processes.js",
    "lists.js",
    "detail.js",
    "main.js",
)
"""The assets that make up the page, in their order."""

LICENCES: Final = ("vendor/uPlot.LICENSE", "vendor/d3-hierarchy.LICENSE")
"""What comes along because the page carries the libraries."""


def make_page(records: Iterable[Record], facts: RunFacts, counts: Counts = all_count) -> bytes:
    """Give the page of a run.

    Args:
        records: All records of its log, in order.
        facts: What else is known of it.
        counts: Which records count: not those that were undone.

    Raises:
        UsageError: when there are too many records for a page.
        FormatError: from the records, or when one lacks a field that its operation needs.
    """
    log = ReportLog(counts)
    for record in records:
        log.take(record)
    head, columns = log.packed(facts.fates())
    data = pack({**facts.head(), **head, "catfs": catfs.__version__}, columns)
    styles, scripts = (_joined(names) for names in (STYLES, SCRIPTS))
    parts = {
        "policy": f"default-src 'none'; style-src {_digest(styles)}; script-src {_digest(scripts)}; "
        "base-uri 'none'; form-action 'none'",
        "style": styles,
        "script": scripts,
        "data": data,
        "licences": "\n\n".join(_asset(name) for name in LICENCES),
    }
    page = _asset("page.html")
    for name, text in parts.items():
        before, mark, after = page.partition(f"[[{name}]]")
        assert mark, "page.html names every part once"
        page = before + text + after
    return page.encode()


def _joined(names: Iterable[str]) -> str:
    text = "\n".join(_asset(name) for name in names)
    assert "</s" not in text.lower(), "an asset that ends its own element would spill into the page"
    return text


def _asset(name: str) -> str:
    return (resources.files("catfs.forensics.report") / "assets" / name).read_text("utf-8")


def _digest(text: str) -> str:
    """Give what a policy calls a text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
