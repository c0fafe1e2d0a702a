"""The structure of a Go source. What a file offers to others begins with a capital letter."""

from typing import TYPE_CHECKING

from catfs.spectral.structure import SymbolKind
from catfs.spectral.syntax import Found, documented, named_field, signature_of, text_of, unquoted

if TYPE_CHECKING:
    from tree_sitter import Node

_TYPES = {"interface_type": SymbolKind.INTERFACE, "struct_type": SymbolKind.STRUCT}
_VALUES = {"const_declaration": SymbolKind.CONSTANT, "var_declaration": SymbolKind.VARIABLE}


def read_go(root: "Node") -> tuple[str, Found]:
    """Give the first line of a file's documentation, and what is found in it."""
    found = Found()
    head = ""
    for node, doc in documented(root):
        match node.type:
            case "package_clause":
                head = doc
            case "import_declaration":
                found.imports.update(_imports(node))
            case "function_declaration":
                _add(SymbolKind.FUNCTION, named_field(node, "name"), node, doc, found)
            case "method_declaration":
                _read_method(node, doc, found)
            case "type_declaration":
                for spec, own in documented(node):
                    _read_type(spec, own or doc, found)
            case kind if kind in _VALUES:
                _read_values(node, doc, found)
    return head, found


def _imports(node: "Node") -> set[str]:
    specs = [child for child in node.named_children if child.type == "import_spec"]
    for group in node.named_children:
        specs += [child for child in group.named_children if child.type == "import_spec"]
    return {unquoted(spec.child_by_field_name("path")) for spec in specs}


def _read_method(node: "Node", doc: str, found: Found) -> None:
    """Read a method; its name stands behind that of its receiver's type."""
    receiver = named_field(node, "receiver").strip("() ").split()
    owner = receiver[-1].lstrip("*").partition("[")[0] if receiver else ""
    found.add(SymbolKind.METHOD, f"{owner}.{named_field(node, 'name')}", node, doc)


def _read_type(spec: "Node", doc: str, found: Found) -> None:
    kind = spec.child_by_field_name("type")
    name = named_field(spec, "name")
    if kind is not None and kind.type in _TYPES:
        word = kind.type.removesuffix("_type")
        parameters = named_field(spec, "type_parameters")
        _add(_TYPES[kind.type], name, spec, doc, found, f"type {name}{parameters} {word}")
    elif name:
        _add(SymbolKind.TYPE, name, spec, doc, found, f"type {signature_of(spec)}")


def _read_values(node: "Node", doc: str, found: Found) -> None:
    """Read constants or variables, alone or in a group."""
    specs = list(documented(node))
    for group in node.named_children:
        if group.type.endswith("_spec_list"):
            specs += documented(group)
    for spec, own in specs:
        for name in spec.children_by_field_name("name"):
            if name.is_named:
                _add(_VALUES[node.type], text_of(name), spec, own or doc, found)


def _add(
    kind: SymbolKind, name: str, node: "Node", doc: str, found: Found, signature: str | None = None
) -> None:
    found.add(kind, name, node, doc, signature)
    if name[:1].isupper():
        found.exports.add(name)
