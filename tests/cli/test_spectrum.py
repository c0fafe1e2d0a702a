"""`catfs spectrum`: encode, decode, verify and compare, as a user calls them."""

import os
import re
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from catfs.cli import spectrum as command
from catfs.cli.main import main
from catfs.records.schema import validate
from tests.support.commands import Call, Result
from tests.support.spectra import tree_of
from tests.support.trees import walk_real


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Path:
    """Give a folder with a small project in it."""
    project = tmp_path / "project"
    (project / "src" / "empty").mkdir(parents=True)
    (project / "src" / "main.py").write_bytes(b'"""Says hello."""\n\ndef hello(name: str) -> str: ...\n')
    (project / "tool").write_bytes(b"#!/bin/sh\n")
    (project / "tool").chmod(0o755)
    (project / "link").symlink_to("src/main.py")
    (project / "old.pl").write_bytes(b"print;\n")
    Path(os.fsdecode(os.fsencode(project) + b"/odd \xff")).write_bytes(b"odd")
    return tmp_path


def _json(result: Result, schema: str, status: int = 0) -> dict[str, Any]:
    assert result.status == status, result.stderr
    record = cast("dict[str, Any]", result.json())
    validate(record, schema)
    return record


def _files(*names: str) -> set[str]:
    return {"SPECTRUM.json", "DOMAIN_ROOTS.json", "DOMAIN_ROOT.txt", *names}


def test_a_project_goes_there_and_back(place: Path, call: Call) -> None:
    """With the same root, kinds, modes, targets and odd names."""
    encoded = call(["spectrum", "encode", "project", "--into", "kept"], place)
    assert encoded.status == 0
    root = tree_of(place / "project").root.hex
    assert f"root {root}" in encoded.stdout.decode()
    assert "files in perl are not described: catfs has no reader for it" in encoded.stderr
    assert set(os.listdir(place / "kept")) == _files("STRUCTURE.json")
    assert (place / "kept" / "DOMAIN_ROOT.txt").read_text() == f"{root}\n"
    decoded = call(["spectrum", "decode", "kept", "copy"], place)
    assert decoded.status == 0
    assert tree_of(place / "copy").root.hex == root
    assert walk_real(os.fsencode(place / "copy")) == walk_real(os.fsencode(place / "project"))


def test_json_of_every_action_fits_its_schema(place: Path, call: Call) -> None:
    """Encode, decode, verify and diff."""
    record = _json(
        call(["spectrum", "encode", "project", "--into", "one", "--json"], place),
        "cli-spectrum-encode.v1",
    )
    assert (record["files"], record["folder"], set(record["written"])) == (
        4,
        "one",
        _files("STRUCTURE.json"),
    )
    (place / "project" / "tool").chmod(0o644)
    quiet = ["spectrum", "encode", "project", "--into", "two", "--no-structure", "--json"]
    assert set(_json(call(quiet, place), "cli-spectrum-encode.v1")["written"]) == _files()
    decoded = _json(call(["spectrum", "decode", "one", "copy", "--json"], place), "cli-spectrum-decode.v1")
    assert decoded["root"] == record["root"]
    checked = _json(
        call(["spectrum", "verify", "one", "project", "--json"], place), "cli-spectrum-verify.v1", 1
    )
    assert [change["path"] for change in checked["directory"]["changes"]] == ["tool"]
    assert (checked["problems"], checked["contents"]) == ([], 4)
    compared = _json(call(["spectrum", "diff", "one", "two", "--json"], place), "cli-spectrum-diff.v1", 1)
    assert compared["changes"] == checked["directory"]["changes"]
    same = _json(call(["spectrum", "diff", "one", "one", "--json"], place), "cli-spectrum-diff.v1")
    assert same["equal"]


def test_the_workspace_keeps_a_spectrum_under_its_root(place: Path, call: Call) -> None:
    """A few digits name it; too few, or another's, name nothing."""
    root = _json(call(["spectrum", "encode", "project", "--json"], place), "cli-spectrum-encode.v1")["root"]
    assert set(os.listdir(place / ".catfs" / "spectra" / root)) == _files("STRUCTURE.json")
    assert call(["spectrum", "verify", root[:8], "project"], place).status == 0
    for word in (root[:3], "0" * 64, "", "a\0b"):
        if "\0" not in word:
            result = call(["spectrum", "verify", word], place)
            assert (result.status, "names no spectrum" in result.stderr) == (2, True)


def test_verify_finds_damage_and_names_the_file(place: Path, call: Call) -> None:
    """A lost content, a damaged one, and a spectrum that was edited."""
    call(["spectrum", "encode", "project", "--store", "store", "--into", "kept"], place)
    assert not (place / ".catfs").exists()
    good = call(["spectrum", "verify", "kept", "--store", "store"], place)
    assert (good.status, b"undamaged" in good.stdout) == (0, True)
    (pack,) = (place / "store" / "packs").iterdir()
    data = bytearray(pack.read_bytes())
    data[data.index(b"#!/bin/sh")] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    record = _json(
        call(["spectrum", "verify", "kept", "--store", "store", "--json"], place),
        "cli-spectrum-verify.v1",
        1,
    )
    assert [problem["path"] for problem in record["problems"]] == ["tool"]
    failed = call(["spectrum", "decode", "kept", "copy", "--store", "store"], place)
    assert (failed.status, (place / "copy").exists()) == (2, False)
    assert not list(place.glob(".catfs-decode-*"))
    text = (place / "kept" / "SPECTRUM.json").read_text()
    (place / "kept" / "SPECTRUM.json").write_text(text.replace('"tool"', '"fool"'))
    edited = call(["spectrum", "verify", "kept", "--store", "store"], place)
    assert (edited.status, "SPECTRUM.json" in edited.stderr or "spectrum" in edited.stderr) == (2, True)


def test_encoding_again_reads_only_what_changed(place: Path, call: Call) -> None:
    """The store and the index know the rest: a file that cannot be read any more is no obstacle."""
    call(["spectrum", "encode", "project", "--into", "one"], place)
    objects = set((place / ".catfs" / "store" / "packs").iterdir())
    call(["spectrum", "encode", "project", "--into", "two"], place)
    assert set((place / ".catfs" / "store" / "packs").iterdir()) == objects
    assert (place / "one" / "SPECTRUM.json").read_bytes() == (place / "two" / "SPECTRUM.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["encode", "nothing"], "there is no directory nothing"),
        (["encode", "project/tool"], "there is no directory project/tool"),
        (["encode", "project", "--store", "s"], "--into must say where"),
        (["encode", "project", "--store", "project", "--into", "k"], "holds something else than a store"),
        (["decode", "nothing", "copy"], "names no spectrum"),
        (["decode", "project", "copy"], "holds no finished spectrum"),
        (["decode", "kept", "project"], "expected nothing at project"),
        (["decode", "kept", "no/where"], "there is no directory no"),
        (["decode", "kept", "copy", "--store", "nothing"], "there is no store at nothing"),
        (["verify", "kept", "nothing"], "there is no directory nothing"),
        (["diff", "kept", "project"], "holds no finished spectrum"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    place: Path, call: Call, words: list[str], problem: str
) -> None:
    """Exit status 2 and a sentence."""
    assert call(["spectrum", "encode", "project", "--into", "kept"], place).status == 0
    before = sorted(os.listdir(place))
    result = call(["spectrum", *words], place)
    assert (result.status, problem in result.stderr) == (2, True)
    assert sorted(os.listdir(place)) == before


def test_the_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line on each."""
    with pytest.raises(SystemExit) as ended:
        main(["spectrum", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for action in ("encode", "decode", "verify", "diff"):
        assert re.search(rf"^  catfs spectrum {action} ", text, re.MULTILINE)
    assert command._EPILOG.splitlines()[0] in text


def test_a_workspace_in_the_directory_is_no_part_of_it(place: Path, call: Call) -> None:
    """Encoding a project from within it twice gives the same root."""
    inside = place / "project"
    first = _json(call(["spectrum", "encode", ".", "--json"], inside), "cli-spectrum-encode.v1")
    again = _json(call(["spectrum", "encode", ".", "--json"], inside), "cli-spectrum-encode.v1")
    assert first["root"] == again["root"]
    shutil.rmtree(inside / ".catfs")
    assert tree_of(inside).root.hex == first["root"]
