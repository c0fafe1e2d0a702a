"""The structure of a Python source, by the parser of the interpreter itself; nothing is executed."""

import ast
import platform
import warnings
from collections.abc import Iterable, Iterator
from typing import Final

from catfs.spectral.structure import SourceStructure, Symbol, SymbolKind, one_line

LANGUAGE: Final = "python"

READER: Final = f"ast of Python {'.'.join(platform.python_version_tuple()[:2])}"
"""What reads Python: syntax is judged as this version does."""

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def read_python(data: bytes) -> SourceStructure:
    """Give the structure of a source.

    Args:
        data: The source, in the encoding that it declares.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        return SourceStructure(
            language=LANGUAGE,
            doc=_doc(tree),
            imports=tuple(sorted(set(_imports(tree)))),
            exports=tuple(sorted(set(_exports(tree)))),
            symbols=tuple(_symbols(tree.body, "")),
        )
    except SyntaxError as error:
        problem = f"line {error.lineno}: {error.msg}" if error.lineno else str(error.msg)
        return SourceStructure(LANGUAGE, problem=one_line(problem))
    except ValueError as error:  # NUL bytes, and numbers of thousands of digits
        return SourceStructure(LANGUAGE, problem=one_line(str(error)))
    except (RecursionError, MemoryError):
        return SourceStructure(LANGUAGE, problem="nested too deeply")


def _doc(node: ast.Module | _Definition) -> str:
    text = ast.get_docstring(node) or ""
    return one_line(text.strip().partition("\n")[0])


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Give statements and all those within them, but no expressions: that is where imports can stand."""
    pending = list(body)
    while pending:
        statement = pending.pop()
        yield statement
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            pending += getattr(statement, name, ())


def _imports(tree: ast.Module) -> Iterator[str]:
    for statement in _statements(tree.body):
        if isinstance(statement, ast.Import):
            yield from (one_line(alias.name) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            dot = "" if module.endswith(".") else "."
            yield from (one_line(f"{module}{dot}{alias.name}") for alias in statement.names)


def _exports(tree: ast.Module) -> list[str]:
    """Give what `__all__` lists; where there is none, every name that is defined in public."""
    listed: list[str] | None = None
    public: list[str] = []
    for statement in tree.body:
        names = list(_bound_names(statement))
        if "__all__" in names:
            value = getattr(statement, "value", None)
            if isinstance(value, ast.List | ast.Tuple):
                texts = [item.value for item in value.elts if isinstance(item, ast.Constant)]
                listed = (listed or []) + [one_line(text) for text in texts if isinstance(text, str)]
        public += [name for name in names if not name.startswith("_")]
    return public if listed is None else listed


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _Definition):
        yield one_line(statement.name)
    for target in _targets(statement):
        if isinstance(target, ast.Name):
            yield one_line(target.id)


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AnnAssign | ast.AugAssign) else []


def _symbols(body: Iterable[ast.stmt], prefix: str) -> Iterator[Symbol]:
    """Give the definitions of a module or class, those of a class behind the class itself."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            name = prefix + statement.name
            words = [ast.unparse(base) for base in statement.bases]
            words += [ast.unparse(keyword) for keyword in statement.keywords]
            bases = f"({', '.join(words)})" if words else ""
            signature = f"class {statement.name}{bases}"
            yield _symbol(SymbolKind.CLASS, name, signature, statement.lineno, _doc(statement))
            yield from _symbols(statement.body, f"{name}.")
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            kind = SymbolKind.METHOD if prefix else SymbolKind.FUNCTION
            name = prefix + statement.name
            yield _symbol(kind, name, _signature(statement), statement.lineno, _doc(statement))
        elif not prefix:
            yield from _constants(statement)


def _signature(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    returns = "" if function.returns is None else f" -> {ast.unparse(function.returns)}"
    return f"{word} {function.name}({ast.unparse(function.args)}){returns}"


def _constants(statement: ast.stmt) -> Iterator[Symbol]:
    """Give the names in capitals that a module binds, with their type where it is declared."""
    for target in _targets(statement):
        if isinstance(target, ast.Name) and target.id.isupper():
            kind = f": {ast.unparse(statement.annotation)}" if isinstance(statement, ast.AnnAssign) else ""
            yield _symbol(SymbolKind.CONSTANT, target.id, target.id + kind, statement.lineno, "")


def _symbol(kind: SymbolKind, name: str, signature: str, line: int, doc: str) -> Symbol:
    return Symbol(kind, one_line(name), one_line(signature), line, doc)
