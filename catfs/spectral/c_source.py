"""The structure of a C source. A file offers to others every function and variable without `static`."""

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

_TAGGED = {
    "struct_specifier": SymbolKind.STRUCT,
    "union_specifier": SymbolKind.UNION,
    "enum_specifier": SymbolKind.ENUM,
}
_NESTING = frozenset(
    {
        "preproc_ifdef",
        "preproc_if",
        "preproc_else",
        "preproc_elif",
        "linkage_specification",
        "declaration_list",
    }
)
_NAMES = frozenset({"identifier", "type_identifier", "field_identifier"})


def read_c(root: "Node") -> tuple[str, Found]:
    """Give the first line of a file's documentation, and what is found in it."""
    found = Found()
    _read(root, found)
    return head_comment(root), found


def _read(parent: "Node", found: Found) -> None:
    for node, doc in documented(parent):
        match node.type:
            case "preproc_include":
                found.imports.add(unquoted(node.child_by_field_name("path")))
            case "preproc_def" | "preproc_function_def":
                name = named_field(node, "name")
                signature = f"#define {name}{named_field(node, 'parameters')}"
                found.add(SymbolKind.MACRO, name, node, doc, signature)
            case "function_definition":
                _read_function(node, node, doc, found)
            case "declaration":
                _read_declaration(node, doc, found)
            case "type_definition":
                _read_type(node, doc, found)
            case kind if kind in _TAGGED:
                _read_tagged(node, doc, found)
            case kind if kind in _NESTING:
                _read(node, found)


def _read_function(node: "Node", declared: "Node", doc: str, found: Found) -> None:
    name = _declared_name(declared.child_by_field_name("declarator"))
    if name:
        found.add(SymbolKind.FUNCTION, name, node, doc)
        if not _is_static(node):
            found.exports.add(name)


def _read_declaration(node: "Node", doc: str, found: Found) -> None:
    """Read prototypes and variables; one declaration may have several of them."""
    kind = node.child_by_field_name("type")
    if kind is not None and kind.type in _TAGGED:
        _read_tagged(kind, doc, found)
    for declarator in node.children_by_field_name("declarator"):
        name = _declared_name(declarator)
        if not name:
            continue
        is_function = _is_function(declarator)
        found.add(SymbolKind.FUNCTION if is_function else SymbolKind.VARIABLE, name, node, doc)
        if not _is_static(node):
            found.exports.add(name)


def _read_type(node: "Node", doc: str, found: Found) -> None:
    kind = node.child_by_field_name("type")
    if kind is not None and kind.type in _TAGGED:
        _read_tagged(kind, doc, found)
    for declarator in node.children_by_field_name("declarator"):
        head = "" if kind is None else signature_of(kind)
        signature = f"typedef {head} {text_of(declarator)}"
        found.add(SymbolKind.TYPE, _declared_name(declarator), node, doc, signature)


def _read_tagged(node: "Node", doc: str, found: Found) -> None:
    """Read a struct, union or enum. Without a body it is only mentioned; one without a name has a typedef."""
    name = named_field(node, "name")
    if name and node.child_by_field_name("body") is not None:
        found.add(_TAGGED[node.type], name, node, doc)


def _is_static(node: "Node") -> bool:
    return any(
        child.type == "storage_class_specifier" and text_of(child) == "static"
        for child in node.named_children
    )


def _is_function(declarator: "Node") -> bool:
    """Say whether a declarator is that of a function; a pointer to one is a variable."""
    node: Node | None = declarator
    while node is not None and node.type in {"pointer_declarator", "init_declarator"}:
        node = node.child_by_field_name("declarator")
    if node is None or node.type != "function_declarator":
        return False
    inner = node.child_by_field_name("declarator")
    return inner is not None and inner.type == "identifier"


def _declared_name(declarator: "Node | None") -> str:
    node = declarator
    while node is not None and node.type not in _NAMES:
        below = node.child_by_field_name("declarator")
        if below is None and node.type == "parenthesized_declarator" and node.named_children:
            below = node.named_children[-1]
        node = below
    return text_of(node)
