"""`catfs cas`: contents by their SHA-256, as a user calls it."""

import hashlib
import os
from pathlib import Path
from typing import Any, cast

import pytest

from catfs.cli.main import main
from catfs.records.schema import validate
from catfs.store import LocalStore
from tests.support.commands import Call, Result, run_catfs
from tests.support.workspaces import SampleWorkspace

TEXT = b"hello, contents\n"
HASH = hashlib.sha256(TEXT).hexdigest()
NOWHERE = "0" * 64


def _json(result: Result, schema: str, status: int = 0) -> dict[str, Any]:
    assert result.status == status, result.stderr
    record = cast("dict[str, Any]", result.json())
    validate(record, schema)
    return record


@pytest.fixture(name="here")
def _here(sample: SampleWorkspace, call: Call) -> Path:
    """Give the folder of a workspace with a content in its store."""
    (sample.root / "file").write_bytes(TEXT)
    assert call(["cas", "put", "file"], sample.root).status == 0
    return sample.root


def test_what_is_put_is_printed_as_sha256sum_does_and_comes_back(here: Path, call: Call) -> None:
    """From files and from stdin, whole and in part."""
    result = call(["cas", "put", "file"], here)
    assert result.stdout.decode() == f"{HASH}  file\n"
    piped = run_catfs(["cas", "put"], here, stdin=b"\0\xff piped")
    name = hashlib.sha256(b"\0\xff piped").hexdigest()
    assert piped.stdout.decode() == f"{name}  -\n"
    assert call(["cas", "get", name], here).stdout == b"\0\xff piped"
    assert call(["cas", "get", HASH, "--range", "7:15"], here).stdout == b"contents"
    assert call(["cas", "get", HASH, "--range", "14:1000"], here).stdout == b"s\n"


def test_json_of_every_action_fits_its_schema(here: Path, call: Call) -> None:
    """Put, get, verify, stats and gc."""
    put = _json(run_catfs(["cas", "put", "--json"], here, stdin=b"\xff"), "cli-cas-put.v1")
    assert put["objects"][0]["size"] == 1
    got = _json(call(["cas", "get", put["objects"][0]["digest"], "--json"], here), "cli-cas-get.v1")
    assert got["content_base64"] == "/w=="
    part = _json(call(["cas", "get", HASH, "--range", "0:5", "--json"], here), "cli-cas-get.v1")
    assert (part["content"], part["size"], part["offset"]) == ("hello", len(TEXT), 0)
    checked = _json(call(["cas", "verify", "--json"], here), "cli-cas-verify.v1")
    assert (checked["ok"], checked["objects"]) == (True, 2)
    stats = _json(call(["cas", "stats", "--json"], here), "cli-cas-stats.v1")
    assert (stats["packed"] + stats["loose"], stats["size"], stats["unreadable"]) == (2, len(TEXT) + 1, 0)
    collected = _json(call(["cas", "gc", "--dry-run", "--json"], here), "cli-cas-gc.v1")
    assert (collected["removed"], collected["young"]) == ([], 2)


def test_cleaning_removes_only_what_is_old_enough_and_says_so_first(here: Path, call: Call) -> None:
    """A dry run names what a real one removes; a day of grace by default."""
    young = call(["cas", "gc"], here)
    assert (young.status, "1 object that nobody needs stay" in young.stderr) == (0, True)
    dry = _json(call(["cas", "gc", "--dry-run", "--grace", "0", "--json"], here), "cli-cas-gc.v1")
    assert (dry["removed"], dry["dry_run"]) == ([HASH], True)
    assert call(["cas", "get", HASH], here).stdout == TEXT
    real = _json(call(["cas", "gc", "--grace", "0", "--json"], here), "cli-cas-gc.v1")
    assert (real["removed"], real["dry_run"]) == ([HASH], False)
    gone = call(["cas", "get", HASH], here)
    assert (gone.status, "does not hold" in gone.stderr) == (2, True)


def test_what_a_spectrum_needs_is_not_removed(here: Path, call: Call) -> None:
    """As long as the workspace keeps it."""
    (here / "project").mkdir()
    (here / "project" / "file").write_bytes(TEXT)
    root = _json(call(["spectrum", "encode", "project", "--json"], here), "cli-spectrum-encode.v1")["root"]
    call(["cas", "gc", "--grace", "0"], here)
    assert call(["cas", "get", HASH], here).stdout == TEXT
    assert call(["spectrum", "decode", root, "copy"], here).status == 0
    spectrum = here / ".catfs" / "spectra" / root / "SPECTRUM.json"
    kept = spectrum.read_bytes()
    spectrum.write_bytes(kept[:-1])
    refused = call(["cas", "gc", "--grace", "0"], here)
    assert (refused.status, "nothing was removed" in refused.stderr) == (1, True)
    assert call(["cas", "get", HASH], here).stdout == TEXT
    (spectrum.parent / "DOMAIN_ROOT.txt").unlink()
    call(["cas", "gc", "--grace", "0"], here)
    assert call(["cas", "get", HASH], here).status == 0  # the index of the project still needs it
    for index in (here / ".catfs" / "index").iterdir():
        index.unlink()
    call(["cas", "gc", "--grace", "0"], here)
    assert call(["cas", "get", HASH], here).status == 2


def test_a_flipped_byte_is_found_and_named(here: Path, call: Call) -> None:
    """By a check of everything, by name, and by reading it."""
    large = os.urandom(100_000)
    (here / "large").write_bytes(large)
    call(["cas", "put", "large"], here)
    name = hashlib.sha256(large).hexdigest()
    file = here / ".catfs" / "store" / name[:2] / name[2:4] / name
    file.chmod(0o644)
    file.write_bytes(large[:500] + bytes([large[500] ^ 1]) + large[501:])
    record = _json(call(["cas", "verify", "--json"], here), "cli-cas-verify.v1", 1)
    (problem,) = record["problems"]
    assert (problem["digest"], problem["place"]) == (name, f"{name[:2]}/{name[2:4]}/{name}")
    named = call(["cas", "verify", name, HASH], here)
    assert (named.status, b"1 problem" in named.stdout) == (1, True)
    assert call(["cas", "verify", HASH], here).status == 0
    got = call(["cas", "get", name], here)
    assert (got.status, name in got.stderr) == (1, True)


def test_a_store_elsewhere_needs_no_workspace(tmp_path: Path, call: Call) -> None:
    """It is made by the first `put`, and never by a reading."""
    missing = call(["cas", "stats", "--store", "own"], tmp_path)
    assert (missing.status, "there is no store at own" in missing.stderr) == (2, True)
    put = run_catfs(["cas", "put", "--store", "own"], tmp_path, stdin=TEXT)
    assert put.status == 0
    assert call(["cas", "get", HASH, "--store", "own"], tmp_path).stdout == TEXT
    assert LocalStore(tmp_path / "own").has(LocalStore(tmp_path / "own").put(TEXT))
    assert os.listdir(tmp_path) == ["own"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["put", "file", "nothing"], "expected a file at nothing"),
        (["put", "domain"], "expected a file at domain"),
        (["get", "abc"], "64 lower-case hexadecimal digits"),
        (["get", NOWHERE], "does not hold"),
        (["get", HASH, "--range", "5"], "expected START:END"),
        (["get", HASH, "--range", "5:2"], "does not run backwards"),
        (["get", HASH, "--range", "a:2"], "expected START:END"),
        (["verify", "abc"], "64 lower-case hexadecimal digits"),
        (["stats", "--store", "domain"], "there is no store at domain"),
        (["put", "file", "--store", "."], "holds something else than a store"),
    ],
)
def test_bad_input_is_told_and_nothing_is_kept(
    here: Path, call: Call, words: list[str], problem: str
) -> None:
    """Exit status 2 and a sentence."""
    before = sorted(LocalStore(here / ".catfs" / "store").iterate())
    result = call(["cas", *words], here)
    assert (result.status, problem in result.stderr) == (2, True)
    assert sorted(LocalStore(here / ".catfs" / "store").iterate()) == before


def test_a_grace_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By the parser."""
    with pytest.raises(SystemExit) as ended:
        main(["cas", "gc", "--grace", "soon"])
    assert ended.value.code == 2
    assert "expected whole seconds" in capsys.readouterr().err
