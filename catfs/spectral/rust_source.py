"""The structure of a Rust source. What a file offers to others is marked `pub`, for whomever."""

from typing import TYPE_CHECKING

from catfs.spectral.structure import SymbolKind, one_line
from catfs.spectral.syntax import COMMENTS, Found, comment_line, documented, is_inner, named_field, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_ITEMS = {
    "function_item": SymbolKind.FUNCTION,
    "function_signature_item": SymbolKind.FUNCTION,
    "struct_item": SymbolKind.STRUCT,
    "union_item": SymbolKind.UNION,
    "enum_item": SymbolKind.ENUM,
    "trait_item": SymbolKind.INTERFACE,
    "type_item": SymbolKind.TYPE,
    "associated_type": SymbolKind.TYPE,
    "const_item": SymbolKind.CONSTANT,
    "static_item": SymbolKind.VARIABLE,
    "mod_item": SymbolKind.MODULE,
    "macro_definition": SymbolKind.MACRO,
}


def read_rust(root: "Node") -> tuple[str, Found]:
    """Give the first line of a file's documentation, and what is found in it."""
    found = Found()
    _read(root, "", found)
    first = root.named_children[0] if root.named_children else None
    has_doc = first is not None and first.type in COMMENTS and is_inner(first)
    return comment_line(first) if first is not None and has_doc else "", found


def _read(parent: "Node", prefix: str, found: Found) -> None:
    """Read the items of a file, module, trait or implementation, each name behind that of what holds it."""
    for node, doc in documented(parent):
        if node.type == "use_declaration":
            path = one_line(named_field(node, "argument"))
            found.imports.add(path)
            if _is_public(node):
                found.exports.add(f"use {path}")
        elif node.type == "extern_crate_declaration":
            found.imports.add(named_field(node, "name"))
        elif node.type == "impl_item":
            owner = named_field(node, "type").partition("<")[0]
            _read_body(node, f"{prefix}{owner}::", found)
        elif node.type in _ITEMS:
            _read_item(node, prefix, doc, found)


def _read_item(node: "Node", prefix: str, doc: str, found: Found) -> None:
    kind = _ITEMS[node.type]
    name = prefix + named_field(node, "name")
    if kind is SymbolKind.FUNCTION and any(child.type == "self_parameter" for child in _parameters(node)):
        kind = SymbolKind.METHOD
    signature = f"macro_rules! {name}" if kind is SymbolKind.MACRO else None
    found.add(kind, name, node, doc, signature)
    if _is_public(node):
        found.exports.add(name)
    if kind in {SymbolKind.INTERFACE, SymbolKind.MODULE}:
        _read_body(node, f"{name}::", found)


def _read_body(node: "Node", prefix: str, found: Found) -> None:
    body = node.child_by_field_name("body")
    if body is not None:
        _read(body, prefix, found)


def _parameters(node: "Node") -> list["Node"]:
    parameters = node.child_by_field_name("parameters")
    return [] if parameters is None else parameters.named_children


def _is_public(node: "Node") -> bool:
    return any(
        child.type == "visibility_modifier" and text_of(child).startswith("pub")
        for child in node.named_children
    )
