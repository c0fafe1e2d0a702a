"""The Python sources of this project, parsed once, with what the rules ask of them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file.

    Args:
        path: Where it is, relative to the checkout, with `/` between names.
        text: Its text.
    """

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, the same nodes at every call."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """Its dotted name: catfs/store/__init__.py is catfs.store."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def is_package(self) -> bool:
        """Whether it is the `__init__.py` of a package."""
        return self.path.endswith("/__init__.py")

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the tests."""
        return self.path.startswith("tests/")

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler, message: str) -> str:
        """Give a problem in the form `path:line: message`."""
        return f"{self.path}:{node.lineno}: {message}"

    def functions(self) -> Iterator[Function]:
        """Give every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


def read_sources(root: Path = ROOT) -> list[Source]:
    """Give the sources below catfs, tests and tools, sorted by path.

    Args:
        root: The checkout.
    """
    paths = [path for top in ("catfs", "tests", "tools") for path in (root / top).rglob("*.py")]
    return [Source(path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in sorted(paths)]


def read_texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Give path and text of every file that belongs to the project and holds text.

    Walks the folders itself: git answers nobody but the owner of a checkout. What starts with a dot
    or is made by a build is left out, and so are files that are not text, such as kept samples.

    Args:
        root: The checkout.
    """
    folders = [root]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if _is_foreign(path):
                continue
            if path.is_dir():
                folders.append(path)
            elif (text := _text_of(path)) is not None:
                yield path.relative_to(root).as_posix(), text


def _is_foreign(path: Path) -> bool:
    if path.name.startswith("."):
        return path.name not in {".ci", ".gitignore"}
    return path.name in {"__pycache__", "build", "dist"} or path.suffix == ".egg-info" or path.is_symlink()


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


def dotted(node: ast.expr) -> str:
    """Give the dotted name an expression spells, such as `pytest.mark.skip`, or an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""
