"""The structure of a JavaScript source, with modules of both kinds: `import` and `require`."""

from typing import TYPE_CHECKING

from catfs.spectral.structure import SymbolKind
from catfs.spectral.syntax import (
    Found,
    documented,
    head_comment,
    named_field,
    signature_of,
    text_of,
    unquoted,
)

if TYPE_CHECKING:
    from tree_sitter import Node

_FUNCTIONS = frozenset({"function_declaration", "generator_function_declaration"})
_FUNCTION_VALUES = frozenset({"arrow_function", "function_expression", "generator_function"})
_DECLARATIONS = frozenset({"lexical_declaration", "variable_declaration"})


def read_javascript(root: "Node") -> tuple[str, Found]:
    """Give the first line of a file's documentation, and what is found in it."""
    found = Found()
    for node, doc in documented(root):
        match node.type:
            case "import_statement":
                found.imports.add(unquoted(node.child_by_field_name("source")))
            case "export_statement":
                _read_export(node, doc, found)
            case "expression_statement":
                _read_assignment(node, found)
            case _:
                _read_definition(node, doc, found)
    return head_comment(root), found


def _read_export(node: "Node", doc: str, found: Found) -> None:
    source = node.child_by_field_name("source")
    if source is not None:
        found.imports.add(unquoted(source))
    declaration = node.child_by_field_name("declaration")
    is_default = any(child.type == "default" for child in node.children)
    names = [] if declaration is None else _read_definition(declaration, doc, found)
    found.exports.update(["default"] if is_default else names)
    for clause in node.named_children:
        if clause.type == "export_clause":
            for item in clause.named_children:
                found.exports.add(named_field(item, "alias") or named_field(item, "name"))
        elif clause.type == "namespace_export":
            found.exports.update(text_of(child) for child in clause.named_children)
    if source is not None and not names and any(child.type == "*" for child in node.children):
        found.exports.add(f"* from {unquoted(source)}")


def _read_definition(node: "Node", doc: str, found: Found) -> list[str]:
    """Read a function, class or variables, and give the names."""
    name = named_field(node, "name")
    if node.type in _FUNCTIONS:
        found.add(SymbolKind.FUNCTION, name, node, doc)
    elif node.type == "class_declaration":
        found.add(SymbolKind.CLASS, name, node, doc)
        body = node.child_by_field_name("body")
        for member, own in documented(body) if body is not None else ():
            if member.type == "method_definition":
                found.add(SymbolKind.METHOD, f"{name}.{named_field(member, 'name')}", member, own)
    elif node.type in _DECLARATIONS:
        return [_read_variable(node, item, doc, found) for item in _declarators(node)]
    return [name] if name else []


def _declarators(node: "Node") -> list["Node"]:
    return [child for child in node.named_children if child.type == "variable_declarator"]


def _read_variable(node: "Node", item: "Node", doc: str, found: Found) -> str:
    """Read one variable; one that holds a function is a function."""
    name = named_field(item, "name")
    value = item.child_by_field_name("value")
    word = named_field(node, "kind") or "var"
    if value is not None and value.type in _FUNCTION_VALUES:
        found.add(SymbolKind.FUNCTION, name, item, doc, f"{word} {signature_of(item, value)}")
        return name
    if value is not None and value.type == "call_expression" and named_field(value, "function") == "require":
        arguments = value.child_by_field_name("arguments")
        words = (
            [] if arguments is None else [node for node in arguments.named_children if node.type == "string"]
        )
        found.imports.update(map(unquoted, words))
        return name
    kind = SymbolKind.CONSTANT if word == "const" else SymbolKind.VARIABLE
    found.add(kind, name, item, doc, f"{word} {signature_of(item)}")
    return name


def _read_assignment(node: "Node", found: Found) -> None:
    """Read `exports.name = ...` and `module.exports = { name, ... }`."""
    for expression in node.named_children:
        if expression.type != "assignment_expression":
            continue
        left, right = expression.child_by_field_name("left"), expression.child_by_field_name("right")
        place = text_of(left)
        for prefix in ("module.exports.", "exports."):
            if place.startswith(prefix):
                found.exports.add(place.removeprefix(prefix))
                break
        if place == "module.exports":
            names = [] if right is None or right.type != "object" else _property_names(right)
            found.exports.update(names or ["module.exports"])


def _property_names(value: "Node") -> list[str]:
    names = []
    for item in value.named_children:
        if item.type == "shorthand_property_identifier":
            names.append(text_of(item))
        elif item.type in {"pair", "method_definition"}:
            names.append(unquoted(item.child_by_field_name("key") or item.child_by_field_name("name")))
    return names
