"""Exports and the page of what real programs did: of a run with history, and of a session that is mounted."""

import base64
import json
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Project, run_catfs

pytestmark = pytest.mark.fuse


def _head(page: Path) -> dict[str, Any]:
    """Give the head of the data of a page."""
    text = page.read_text("utf-8").partition('id="data">')[2].partition("<")[0]
    raw = zlib.decompress(base64.b64decode(text))
    head: dict[str, Any] = json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])
    return head


def _rows(database: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_a_page_compares_texts_that_only_the_history_keeps(project: Project, tmp_path: Path) -> None:
    """With --history both sides of a changed output are had, also when the domain went on."""
    notes = project.write("notes", "old\nsame\n")
    script = "printf 'new\\nsame\\n' > notes; echo x > gone; rm gone"
    assert project.run(script, "--history", "--output", "notes").status == 0
    notes.write_text("later\n", "utf-8")
    assert project.catfs("report", "last", "-o", tmp_path / "page.html").status == 0
    head = _head(tmp_path / "page.html")
    assert [diff["lines"] for diff in head["diffs"]] == [["@@ -1,2 +1,2 @@", "-old", "+new", " same"]]
    states = {head["paths"][path - 1]: state for path, state in zip(*_path_and_state(head), strict=True)}
    assert (states["notes"], states["gone"]) == ("output", "temporary")


def _path_and_state(head: dict[str, Any]) -> tuple[list[int], list[str]]:
    return head["files"]["path"], head["files"]["state"]


def test_an_export_agrees_with_what_the_run_did(project: Project, tmp_path: Path) -> None:
    """Bytes, processes and temporary files of a table are those of the script."""
    script = "head -c 5000 /dev/zero > big; cp big copy; mv copy moved; rm big; mkdir -p a/b"
    assert project.run(script, "--leftovers", "discard").status == 0
    database = tmp_path / "log.db"
    assert project.catfs("export", "last", "--format", "sqlite", "-o", database).status == 0
    query = "SELECT path, written, temporary, size FROM files WHERE kind = 'file' ORDER BY path"
    assert _rows(database, query) == [("big", 5000, 1, None), ("moved", 5000, 0, 5000)]
    programs = {str(exe).rpartition("/")[2] for (exe,) in _rows(database, "SELECT exe FROM processes")}
    assert {"head", "cp", "mv", "rm", "mkdir"} <= programs
    query = "SELECT p.exe FROM files f JOIN processes p ON p.number = f.last_process WHERE path = 'moved'"
    assert str(_rows(database, query)[0][0]).endswith("/mv")


def test_a_mounted_session_is_exported_while_it_goes_on(project: Project, tmp_path: Path) -> None:
    """The log as it is now; what an undo took back is marked, and its files are none."""
    assert project.catfs("mount", project.path, "--history").status == 0
    (project.path / "kept").write_text("1", "utf-8")
    records = project.catfs("log", project.path, "--json").stdout.count(b"\n")
    (project.path / "undone").write_text("22", "utf-8")
    undo = run_catfs(["undo", f"{records}..", project.path], tmp_path)
    assert undo.status == 0, undo.stderr
    database = tmp_path / "log.db"
    result = project.catfs("export", project.path, "--format", "sqlite", "-o", database, "--json")
    assert json.loads(result.stdout)["sealed"] is False
    assert _rows(database, "SELECT DISTINCT path FROM files WHERE kind = 'file'") == [("kept",)]
    undone = _rows(database, "SELECT DISTINCT path FROM records WHERE undone AND op = 'write'")
    assert undone == [("undone",)]
    assert run_catfs(["umount", project.path, "--discard"], tmp_path).status == 0
