"""What source files say of themselves, language by language, and what is said of those nobody reads."""

import importlib
import re
from collections.abc import Mapping

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import Entry, Kind
from catfs.records.schema import validate
from catfs.spectral import LanguageNote, SourceStructure, Spectrum, Structure
from catfs.spectral import languages as languages_module
from catfs.spectral.languages import SOURCE_BYTES_MAX, language_of, read_source, reader_of
from catfs.spectral.sources import describe_sources
from catfs.store import MemoryStore

PYTHON = b'''# -*- coding: latin-1 -*-
"""A module.

More of it.
"""
import os, sys.path as p
from . import near
from ..up.mod import a, b as c
__all__ = ["Reader", "LIMIT"]
__all__ += ["late"]
LIMIT: int = 3
lower = 4

@decorated
class Reader(Base, metaclass=Meta):
    """Reads \xe9."""
    def read(self, n: int = -1, /, *rest: str, key: bool, **others) -> bytes:
        """Give bytes."""
        import json
    async def wait(self): ...

def _hidden(): pass
'''

C = b"""/* A library. */

#include <stdio.h>
#include "own.h"
#ifdef WIDE
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
/**
 * A point.
 */
struct point { int x; int y; };
typedef struct { int z; } depth_t;
int before; // not the documentation of what follows
enum color { RED };
// Adds.
// Quickly.
static int add(int a, int b) { return a + b; }
const char *name_of(struct point *p)
{
    return 0;
}
extern int (*callback)(int);
"""

GO = b"""// Package x reads.
package x

import (
    "fmt"
    other "a/b"
)

// Reader reads.
type Reader[T any] interface { Read(p []byte) (int, error) }
type point struct { x int }
const (
    // First of all.
    First = iota
    second
)
var Err, y = 1, 2
// Move moves.
func (p *point) Move(dx int) {}
func Do(a int, b ...string) (int, error) { return 0, nil }
"""

JAVASCRIPT = b"""#!/usr/bin/env node
// A module.

import def, { a as b } from "./mod.js";
const fs = require("fs");
/** Adds. */
export function add(a, b = 1) { return a + b; }
export default class Foo extends Bar {
  /** Reads. */
  static async read(x) { return 1 }
}
export const K = 1, f = (x) => x;
export { a, b as c };
export * from "other";
exports.thing = 3;
module.exports.second = 4;
module.exports = { hidden, key: 5 };
function hidden() {}
"""

RUST = b"""//! A crate.
use std::{fs, io::Read};
pub use crate::x::Y;
extern crate libc;
/// A point.
#[derive(Debug)]
pub struct Point<T> { x: T }
pub trait Shape { fn area(&self) -> f64; }
impl<T> Shape for Point<T> { fn area(&self) -> f64 { 1.0 } }
impl<T> Point<T> { pub fn new(x: T) -> Self { Point { x } } }
const MAX: u32 = 1;
macro_rules! m { () => {} }
mod inner { pub(crate) fn deep() {} }
"""

_Row = tuple[str, str, str, int, str]

EXPECTED: Mapping[str, tuple[bytes, str, list[str], list[str], list[_Row]]] = {
    "python": (
        PYTHON,
        "A module.",
        ["..up.mod.a", "..up.mod.b", ".near", "json", "os", "sys.path"],
        ["LIMIT", "Reader", "late"],
        [
            ("constant", "LIMIT", "LIMIT: int", 11, ""),
            ("class", "Reader", "class Reader(Base, metaclass=Meta)", 15, "Reads \xe9."),
            (
                "method",
                "Reader.read",
                "def read(self, n: int=-1, /, *rest: str, key: bool, **others) -> bytes",
                17,
                "Give bytes.",
            ),
            ("method", "Reader.wait", "async def wait(self)", 20, ""),
            ("function", "_hidden", "def _hidden()", 22, ""),
        ],
    ),
    "c": (
        C,
        "A library.",
        ["own.h", "stdio.h"],
        ["before", "callback", "name_of"],
        [
            ("macro", "MAX", "#define MAX(a, b)", 6, ""),
            ("struct", "point", "struct point", 11, "A point."),
            ("type", "depth_t", "typedef struct depth_t", 12, ""),
            ("variable", "before", "int before", 13, ""),
            ("enum", "color", "enum color", 14, ""),
            ("function", "add", "static int add(int a, int b)", 17, "Adds."),
            ("function", "name_of", "const char *name_of(struct point *p)", 18, ""),
            ("variable", "callback", "extern int (*callback)(int)", 22, ""),
        ],
    ),
    "go": (
        GO,
        "Package x reads.",
        ["a/b", "fmt"],
        ["Do", "Err", "First", "Reader"],
        [
            ("interface", "Reader", "type Reader[T any] interface", 10, "Reader reads."),
            ("struct", "point", "type point struct", 11, ""),
            ("constant", "First", "First = iota", 14, "First of all."),
            ("constant", "second", "second", 15, ""),
            ("variable", "Err", "Err, y = 1, 2", 17, ""),
            ("variable", "y", "Err, y = 1, 2", 17, ""),
            ("method", "point.Move", "func (p *point) Move(dx int)", 19, "Move moves."),
            ("function", "Do", "func Do(a int, b ...string) (int, error)", 20, ""),
        ],
    ),
    "javascript": (
        JAVASCRIPT,
        "A module.",
        ["./mod.js", "fs", "other"],
        ["* from other", "K", "a", "add", "c", "default", "f", "hidden", "key", "second", "thing"],
        [
            ("function", "add", "function add(a, b = 1)", 7, "Adds."),
            ("class", "Foo", "class Foo extends Bar", 8, ""),
            ("method", "Foo.read", "static async read(x)", 10, "Reads."),
            ("constant", "K", "const K = 1", 12, ""),
            ("function", "f", "const f = (x)", 12, ""),
            ("function", "hidden", "function hidden()", 18, ""),
        ],
    ),
    "rust": (
        RUST,
        "A crate.",
        ["crate::x::Y", "libc", "std::{fs, io::Read}"],
        ["Point", "Point::new", "Shape", "inner::deep", "use crate::x::Y"],
        [
            ("struct", "Point", "pub struct Point<T>", 7, "A point."),
            ("interface", "Shape", "pub trait Shape", 8, ""),
            ("method", "Shape::area", "fn area(&self) -> f64", 8, ""),
            ("method", "Point::area", "fn area(&self) -> f64", 9, ""),
            ("function", "Point::new", "pub fn new(x: T) -> Self", 10, ""),
            ("constant", "MAX", "const MAX: u32 = 1", 11, ""),
            ("macro", "m", "macro_rules! m", 12, ""),
            ("module", "inner", "mod inner", 13, ""),
            ("function", "inner::deep", "pub(crate) fn deep()", 13, ""),
        ],
    ),
}


@pytest.mark.parametrize("language", EXPECTED)
def test_a_source_says_what_it_defines(language: str) -> None:
    """Documentation, imports, exports, and symbols with signature, line and documentation."""
    data, doc, imports, exports, rows = EXPECTED[language]
    found = read_source(language, data)
    symbols = [(s.kind.value, s.name, s.signature, s.line, s.doc) for s in found.symbols]
    assert (found.language, found.doc, found.problem) == (language, doc, "")
    assert (list(found.imports), list(found.exports)) == (imports, exports)
    assert symbols == rows


def test_without_all_everything_public_is_exported() -> None:
    """As `from module import *` does it."""
    found = read_source("python", b"a = 1\n_b = 2\ndef c(): pass\nclass _D: pass\nimport os\n")
    assert found.exports == ("a", "c")


@pytest.mark.parametrize(
    ("language", "data", "problem"),
    [
        ("python", b"x = 1\ndef (:\n", "line 2: "),
        ("python", b"a\0b", "null bytes"),
        ("python", b"\xff = 1", "utf-8"),
        ("python", b"# coding: nothing-known\n", "encoding"),
        ("python", b"-" * 100_000 + b"1", "nested|recursion|too"),
        ("python", b"x" * (SOURCE_BYTES_MAX + 1), f"at most {SOURCE_BYTES_MAX} are read"),
        ("c", b"int a;\nclass X : Y { public: int z; };\n", "line 2 does not fit the grammar"),
        ("rust", b"mod m {" * 3000 + b"}" * 3000, "nested too deeply"),
        ("go", b"\xff\xfe", "line 1 does not fit"),
    ],
)
def test_what_cannot_be_read_is_said(language: str, data: bytes, problem: str) -> None:
    """Never guessed, never an end of everything."""
    assert re.search(problem, read_source(language, data).problem)


def test_text_that_no_terminal_shows_is_escaped() -> None:
    """Lone surrogates in documentation, bytes that are no text in a comment: JSON can hold what is kept."""
    python = read_source("python", b'"""\\udc80 odd"""\n')
    c = read_source("c", b"/* \xff */\n\nint a;\n")
    assert (python.doc, c.doc) == ("\\udc80 odd", "\\xff")
    long = read_source("python", b'"""' + b"x" * 1000 + b'"""\n')
    assert long.doc == "x" * 297 + "..."


@pytest.mark.parametrize(
    ("path", "language"),
    [
        (b"a/b.py", "python"),
        (b"B.PY", "python"),
        (b"x.tar.c", "c"),
        (b"\xff.rs", "rust"),
        (b".py", None),
        (b"a.py/b", None),
        (b"README", None),
        (b"a.ts", "typescript"),
    ],
)
def test_a_language_is_known_by_the_name(path: bytes, language: str | None) -> None:
    """By its end; a hidden file has none."""
    assert language_of(path) == language


def test_each_reader_says_its_version() -> None:
    """And a language without one says so."""
    assert reader_of("python")[0].startswith("ast of Python 3.")
    assert all(
        reader_of(name)[0].startswith(f"tree-sitter-{name} 0.") for name in EXPECTED if name != "python"
    )
    assert reader_of("java") == ("", "catfs has no reader for it")


def _spectrum(contents: Mapping[bytes, bytes], store: MemoryStore) -> Spectrum:
    entries = {b"": Entry(Kind.DIRECTORY, 0o755)}
    for path, content in contents.items():
        entries[path] = Entry(Kind.FILE, 0o644, len(content), store.put(content))
    return Spectrum(entries, {}, {})


def test_a_grammar_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of that language are counted and not read; the others are."""

    def import_module(name: str) -> object:
        raise ModuleNotFoundError(name)

    store = MemoryStore()
    spectrum = _spectrum({b"a.c": C, b"b.c": C, b"p.py": PYTHON, b"t.ts": b""}, store)
    languages_module._parser.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", import_module)
        structure = describe_sources(spectrum, store)
    languages_module._parser.cache_clear()
    validate(structure.to_dict(), "structure.v1")
    assert structure.languages["c"] == LanguageNote(2, "", "the package tree-sitter-c is not installed")
    assert structure.languages["typescript"] == LanguageNote(1, "", "catfs has no reader for it")
    assert list(structure.files) == [b"p.py"]


def test_the_json_form_leads_back_and_fits_its_schema() -> None:
    """Every language, and a name that is no text."""
    store = MemoryStore()
    contents = {
        b"%s.%s" % (name.encode(), end): row[0]
        for (name, row), end in zip(EXPECTED.items(), (b"py", b"c", b"go", b"js", b"rs"), strict=True)
    }
    structure = describe_sources(_spectrum({**contents, b"\xff.py": b""}, store), store)
    record = structure.to_dict()
    validate(record, "structure.v1")
    assert Structure.from_dict(record) == structure
    assert set(structure.files) == {*contents, b"\xff.py"}


def test_many_sources_are_read_by_several_processes() -> None:
    """With the same result as by one, and equal contents once."""
    store = MemoryStore()
    contents = {b"%d.py" % at: b"def f%d(): pass\n" % (at // 2) for at in range(200)}
    spectrum = _spectrum(contents, store)
    told: list[tuple[int, int]] = []
    shared = describe_sources(spectrum, store, workers=2, progress=lambda *now: told.append(now))
    assert shared == describe_sources(spectrum, store, workers=0)
    assert shared.files[b"11.py"].symbols[0].name == "f5"
    assert told[-1] == (100, 100)


_STRANGE = [
    (
        Structure(Digest.of(b""), {}).to_dict() | {"files": {"a.py": SourceStructure("python").to_dict()}},
        "listed",
    ),
    (Structure(Digest.of(b""), {}).to_dict() | {"extra": 1}, "unknown fields: extra"),
    (Structure(Digest.of(b""), {}).to_dict() | {"schema": "structure.v2"}, "structure.v1"),
    (
        Structure(Digest.of(b""), {}).to_dict()
        | {"languages": {"c": {"files": 1, "reader": "", "problem": ""}}},
        "either a reader or a problem",
    ),
]


@pytest.mark.parametrize(("record", "problem"), _STRANGE)
def test_a_structure_that_contradicts_itself_is_refused(record: Mapping[str, object], problem: str) -> None:
    """Whatever wrote it."""
    with pytest.raises(FormatError, match=problem):
        Structure.from_dict(record)
