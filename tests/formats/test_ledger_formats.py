"""Every kept run folder is still read and accepted, and the pages on its formats say what is so."""

import re
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.ledger import RunReader
from catfs.records import REQUIRED_FILES, Outcome, Proof, file_bytes
from catfs.records.log_lines import log_lines
from catfs.records.schema import load_schema
from catfs.records.write_record import OPERATIONS, ProcessRecord, WriteRecord
from tests.support.verified import require_verified

SAMPLES = Path(__file__).parent / "ledger"
PAGES = Path(__file__).parents[2] / "docs" / "formats"
SCHEMAS = Path(__file__).parents[2] / "schemas"
DIGESTS = {
    "kept-1": "6c586c376a08fdebe244387c8c144a68a253991868d7c4688e223e54daa7082c",
    "kept-2": "d3b6f130072b383a196f976791e00cda7ce3a06d8e9d0bfb6fbc612749671937",
    "kept-3": "74e92dfc9c3f30faeba5cd43dcaaab60b384d31fe575c48f3bc584df7cf2bb75",
    "20261126T045725Z-b763c3": "f5974216deeda7221265ae341953752ec6cd3f5e8d29b12573169a30f0f40754",
    "20261126T053457Z-7dd708": "eaac2e4529c27933250e858f77ed27740fcb2bd51c25acaa1125523a37ae66c4",
}
"""Kept run to the digest of its proof."""


def test_every_kept_run_is_looked_at() -> None:
    """No sample lies there unread."""
    assert {path.name for path in SAMPLES.iterdir()} == set(DIGESTS)


@pytest.mark.parametrize("run_id", DIGESTS)
def test_kept_runs_are_accepted(run_id: str) -> None:
    """A run that was sound once is sound for ever."""
    reader = RunReader(SAMPLES / run_id)
    proof = require_verified(reader.files)
    assert proof.digest == Digest.from_hex(DIGESTS[run_id])
    assert proof == reader.proof()
    assert (proof.run_id, proof.outcome) == (run_id, Outcome.RESTORED)


@pytest.mark.parametrize("run_id", DIGESTS)
def test_kept_proofs_are_written_as_they_were(run_id: str) -> None:
    """Reading a proof and writing it again gives its bytes."""
    data = (SAMPLES / run_id / "PROOF.json").read_bytes()
    proof = RunReader(SAMPLES / run_id).proof()
    assert isinstance(proof, Proof)
    assert file_bytes(proof) == data


def test_the_kept_logs_have_every_operation() -> None:
    """One record of each operation is still read."""
    records = [record for run_id in DIGESTS for record in RunReader(SAMPLES / run_id).log()]
    assert {record.op for record in records if isinstance(record, WriteRecord)} == OPERATIONS


def test_the_kept_log_is_read_whole() -> None:
    """Every record of the first kept log is still read, with its odd names."""
    records = list(RunReader(SAMPLES / "kept-1").log())
    changes = [record for record in records if isinstance(record, WriteRecord)]
    processes = [record for record in records if isinstance(record, ProcessRecord)]
    assert processes[2].argv == (b"x", b"\xff")
    assert next(record for record in changes if record.op == "rename").text("path2") == b"one3\xff"
    with (SAMPLES / "kept-1" / "WRITE_LOG.jsonl.zst").open("rb") as stream:
        assert len(list(log_lines(stream, "log"))) == len(records)


def test_the_pages_name_every_file_and_schema() -> None:
    """No file of a run and no schema of one is left out of docs/formats; commands have docs/commands.md."""
    ledger = (PAGES / "ledger.md").read_text("utf-8")
    pages = "".join(page.read_text("utf-8") for page in (*PAGES.glob("*.md"), PAGES.parent / "commands.md"))
    pages += (PAGES / "chain.md").read_text("utf-8")
    for name in REQUIRED_FILES:
        assert f"`{name}`" in ledger
    for path in SCHEMAS.glob("*.json"):
        assert path.name.startswith("cli-") or f"`{path.name}`" in pages


@pytest.mark.parametrize(
    ("page", "schema"),
    [
        ("proof.md", "proof.v1"),
        ("proof.md", "proof.v2"),
        ("ledger.md", "manifest.v2"),
        ("ledger.md", "jobspec.v1"),
        ("ledger.md", "status.v1"),
        ("ledger.md", "ledger.v1"),
        ("chain.md", "chain-record.v1"),
    ],
)
def test_the_pages_name_every_field(page: str, schema: str) -> None:
    """No field of a record is left out of its page."""
    text = (PAGES / page).read_text("utf-8")
    properties = load_schema(schema)["properties"]
    assert isinstance(properties, dict)
    for key in properties:
        assert re.search(rf"`{key.removesuffix('_base64')}`", text), key


def test_the_page_on_the_log_names_every_operation() -> None:
    """No operation is left out of its page."""
    text = (PAGES / "write-log.md").read_text("utf-8")
    for op in (*OPERATIONS, "process"):
        assert f"| `{op}` |" in text
