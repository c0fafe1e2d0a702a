"""Rules on the shape of code: length, what is caught, docstrings, how tests are written.

Each rule takes sources and gives problems, one sentence each, which say what to do instead.
"""

import ast
import re
import statistics
from collections.abc import Iterable, Iterator

from tests.tidy.sources import Function, Source, dotted

MODULE_LINES_MAX = 600
MODULE_LINES_MEDIAN = 200
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_USUAL = 40
FUNCTION_SHARE_USUAL = 0.9
"""Share of functions that stay within FUNCTION_LINES_USUAL, 0 to 1."""

CATCH_ALL_PLACES = ("catfs/overlay/transports/", "catfs/cli/main.py")
"""The request boundary, where any error must become an errno, and the only exit of the commands."""

FORBIDDEN_IN_TESTS = {
    "pytest.skip": "a test that cannot run fails and says what the machine lacks",
    "pytest.importorskip": "what a test imports is in requirements.lock",
    "pytest.xfail": "fix the defect, or file it and leave the test out",
    "pytest.mark.skip": "remove the test or make it run",
    "pytest.mark.skipif": "a test that cannot run fails and says what the machine lacks",
    "pytest.mark.xfail": "fix the defect, or file it and leave the test out",
    "time.sleep": "wait for the event itself: a pipe, a descriptor, trio.testing",
}
"""What no test uses, and what to do instead."""

_MARK = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
_SILENT_IGNORE = re.compile(r"# type:" + r" ignore(?!\[[\w-]+(, ?[\w-]+)*\] +# \w)")
"""Marks and codes in pieces, so that this file obeys its own rules."""


def check_module_length(sources: Iterable[Source]) -> Iterator[str]:
    """No module is over the limit, and the middle one of catfs is short."""
    own = []
    for source in sources:
        count = len(source.text.splitlines())
        if count > MODULE_LINES_MAX:
            advice = "find the second noun in it and give that its own module"
            yield f"{source.path}: {count} lines, {MODULE_LINES_MAX} at most; {advice}"
        if source.path.startswith("catfs/") and not source.is_package:
            own.append(count)
    if own and (median := statistics.median(own)) > MODULE_LINES_MEDIAN:
        yield f"catfs: {median:.0f} lines in the middle module, {MODULE_LINES_MEDIAN} at most"


def check_function_length(sources: Iterable[Source]) -> Iterator[str]:
    """No function is over the limit, and nine in ten of catfs are short."""
    own: list[tuple[int, str]] = []
    for source in sources:
        for function in source.functions():
            count = (function.end_lineno or function.lineno) - function.lineno + 1
            if count > FUNCTION_LINES_MAX:
                advice = f"{FUNCTION_LINES_MAX} at most; keep the branching, move plain work into helpers"
                yield source.at(function, f"{function.name} has {count} lines, {advice}")
            if source.path.startswith("catfs/"):
                own.append((count, source.at(function, function.name)))
    long = sorted((found for found in own if found[0] > FUNCTION_LINES_USUAL), reverse=True)
    if len(long) > len(own) * (1 - FUNCTION_SHARE_USUAL):
        longest = "; ".join(f"{place} ({count} lines)" for count, place in long[:5])
        yield f"catfs: {len(long)} of {len(own)} functions exceed {FUNCTION_LINES_USUAL} lines: {longest}"


def check_catching(sources: Iterable[Source]) -> Iterator[str]:
    """Everything is caught by its name; two listed places may catch all.

    Cleaning up on BaseException and raising it again hides nothing and stays allowed.
    """
    for source in sources:
        if source.path.startswith(CATCH_ALL_PLACES):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                yield source.at(node, "catches everything; name the errors that can happen here")
            if isinstance(node, ast.Call) and _suppresses_all(node):
                yield source.at(node, "suppresses everything; name the errors that can happen here")


def _catches_all(handler: ast.ExceptHandler) -> bool:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if "Exception" in map(_last_name, types):
        return True
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return any(_last_name(node) in {"", "BaseException"} for node in types) and not raises_again


def _suppresses_all(call: ast.Call) -> bool:
    names = {_last_name(argument) for argument in call.args}
    return _last_name(call.func) == "suppress" and not names.isdisjoint({"Exception", "BaseException"})


def _last_name(node: ast.expr | None) -> str:
    """Give the last part of a dotted name; nothing for a bare `except:`."""
    return "" if node is None else dotted(node).rpartition(".")[2] or "?"


def check_docstrings(sources: Iterable[Source]) -> Iterator[str]:
    """Every public module, class, function and method, and every test, says what it gives or promises."""
    for source in sources:
        if not ast.get_docstring(source.tree):
            yield f"{source.path}:1: no docstring; the first line says what the module is for"
        for node in _public(source.tree):
            if not ast.get_docstring(node):
                what = "the behaviour it promises" if node.name.startswith("test_") else "what it gives"
                yield source.at(node, f"{node.name} has no docstring; say {what} in one line")


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    for node in tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(_last_name(decorator) in {"overload", "setter"} for decorator in node.decorator_list):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def check_limits_explained(sources: Iterable[Source]) -> Iterator[str]:
    """Every constant of limits.py is followed by its unit and reason."""
    for source in sources:
        if source.path != "catfs/limits.py":
            continue
        body = source.tree.body
        for node, after in zip(body, [*body[1:], None], strict=True):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(node, ast.Assign | ast.AnnAssign) and not isinstance(text, ast.Constant):
                yield source.at(node, "a limit without unit and reason; write them in a string below it")


def check_raises(sources: Iterable[Source]) -> Iterator[str]:
    """Every `pytest.raises` checks the message by `match=`, or a field of what it caught."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                yield from _unchecked_raises(source, node)


def _unchecked_raises(source: Source, function: Function) -> Iterator[str]:
    used = {dotted(node) for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    checked = {call for call, name in _named_raises(function) if f"{name}.value" in used}
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or dotted(node.func) != "pytest.raises" or node in checked:
            continue
        if not any(keyword.arg in {"match", "check"} for keyword in node.keywords):
            yield source.at(node, "pytest.raises accepts any message; add match=, or check a field of .value")


def _named_raises(function: Function) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With | ast.AsyncWith) else []:
            if isinstance(item.optional_vars, ast.Name):
                yield item.context_expr, item.optional_vars.id


def check_test_habits(sources: Iterable[Source]) -> Iterator[str]:
    """Tests neither sleep nor step aside."""
    for source in sources:
        for node in ast.walk(source.tree) if source.is_test else []:
            if isinstance(node, ast.Attribute) and (advice := FORBIDDEN_IN_TESTS.get(dotted(node))):
                yield source.at(node, f"{dotted(node)}: {advice}")


def check_finished(sources: Iterable[Source]) -> Iterator[str]:
    """Nothing is left for later: no marks, no unfinished bodies, no ignored type without a reason."""
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), start=1):
            if _MARK.search(line):
                yield f"{source.path}:{number}: a note for later; do it now, or leave it out"
            if _SILENT_IGNORE.search(line):
                yield f"{source.path}:{number}: give code and reason: type: ignore[code]  # reason"
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node):
                yield source.at(node, "an unfinished body; finish it, or make the method abstract")
