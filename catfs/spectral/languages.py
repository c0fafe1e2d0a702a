"""Which language a file is in, by its name, and who reads it here.

The grammars are an extra of this package (`languages`), each a package of its own. STRUCTURE.json says which
one is not installed, and which language nobody reads: only Python needs nothing besides.
"""

import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from catfs.spectral.c_source import read_c
from catfs.spectral.go_source import read_go
from catfs.spectral.javascript_source import read_javascript
from catfs.spectral.python_source import LANGUAGE as PYTHON
from catfs.spectral.python_source import READER as PYTHON_READER
from catfs.spectral.python_source import read_python
from catfs.spectral.rust_source import read_rust
from catfs.spectral.structure import SourceStructure
from catfs.spectral.syntax import Found
from catfs.values import dataclass

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

SOURCE_BYTES_MAX: Final = 1 << 20
"""Longest source that is read, in bytes: longer ones are generated, and their trees take much memory."""

LANGUAGES: Final = {
    b".py": PYTHON,
    b".pyi": PYTHON,
    b".c": "c",
    b".h": "c",
    b".go": "go",
    b".js": "javascript",
    b".mjs": "javascript",
    b".cjs": "javascript",
    b".rs": "rust",
    b".cc": "c++",
    b".cpp": "c++",
    b".cxx": "c++",
    b".hh": "c++",
    b".hpp": "c++",
    b".cs": "c#",
    b".java": "java",
    b".kt": "kotlin",
    b".php": "php",
    b".pl": "perl",
    b".pyx": "cython",
    b".rb": "ruby",
    b".sh": "shell",
    b".swift": "swift",
    b".ts": "typescript",
    b".tsx": "typescript",
}
"""End of a file's name to its language; those without a reader are there so that they are counted."""


@dataclass(frozen=True, slots=True)
class _Grammar:
    """A grammar that may be installed.

    Args:
        module: Its module; the package has the same name with `-`.
        read: Finds what a file says, in its syntax tree.
    """

    module: str
    read: Callable[["Node"], tuple[str, Found]]


_GRAMMARS: Final = {
    "c": _Grammar("tree_sitter_c", read_c),
    "go": _Grammar("tree_sitter_go", read_go),
    "javascript": _Grammar("tree_sitter_javascript", read_javascript),
    "rust": _Grammar("tree_sitter_rust", read_rust),
}


def language_of(path: bytes) -> str | None:
    """Give the language of a file by its name, or None."""
    name = path.rpartition(b"/")[2]
    stem, dot, end = name.rpartition(b".")
    return LANGUAGES.get(dot + end.lower()) if stem else None


def reader_of(language: str) -> tuple[str, str]:
    """Give what reads a language here, with its version, and why nobody does; one of the two is empty."""
    if language == PYTHON:
        return PYTHON_READER, ""
    if language not in _GRAMMARS:
        return "", "catfs has no reader for it"
    package = _GRAMMARS[language].module.replace("_", "-")
    try:
        _parser(language)
    except ImportError:
        return "", f"the package {package} is not installed"
    return f"{package} {importlib.metadata.version(package)}", ""


def read_source(language: str, data: bytes) -> SourceStructure:
    """Give the structure of a source.

    Args:
        language: One that somebody reads here.
        data: Its bytes.

    Raises:
        ImportError: when nobody does.
    """
    if len(data) > SOURCE_BYTES_MAX:
        problem = f"{len(data)} bytes; at most {SOURCE_BYTES_MAX} are read"
        return SourceStructure(language, problem=problem)
    if language == PYTHON:
        return read_python(data)
    root = _parser(language).parse(data).root_node
    try:
        doc, found = _GRAMMARS[language].read(root)
    except RecursionError:
        return SourceStructure(language, problem="nested too deeply")
    return SourceStructure(
        language,
        doc,
        tuple(sorted(found.imports - {""})),
        tuple(sorted(found.exports - {""})),
        tuple(found.symbols),
        _error_text(root) if root.has_error else "",
    )


def _error_text(root: "Node") -> str:
    """Say where the first thing is that does not fit the grammar."""
    node = root
    while not (node.is_error or node.is_missing):
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    line = node.start_point.row + 1
    return f"line {line} does not fit the grammar, so what was found may not be all"


@functools.cache
def _parser(language: str) -> "Parser":
    """Give the parser of a language.

    Raises:
        ImportError: when its grammar is not installed.
    """
    tree_sitter = importlib.import_module("tree_sitter")
    grammar = importlib.import_module(_GRAMMARS[language].module)
    parser: Parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    return parser
