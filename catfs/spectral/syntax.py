"""What the readers of all grammars share: walking with documentation, signatures, collecting."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from catfs.spectral.structure import Symbol, SymbolKind, one_line

if TYPE_CHECKING:
    from tree_sitter import Node

COMMENTS: Final = frozenset({"comment", "line_comment", "block_comment"})
"""Types of nodes that are comments, in any of the grammars."""

_DECORATIONS: Final = frozenset({"attribute_item"})
"""Types of nodes that stand between a comment and what it documents."""


@dataclass
class Found:
    """What was found in a file so far.

    Args:
        imports: What it imports.
        exports: What it offers to others.
        symbols: What it defines.
    """

    imports: set[str] = field(default_factory=set)
    exports: set[str] = field(default_factory=set)
    symbols: list[Symbol] = field(default_factory=list)

    def add(self, kind: SymbolKind, name: str, node: "Node", doc: str, signature: str | None = None) -> None:
        """Add a symbol.

        Args:
            kind: What it is.
            name: Its name, with that of what holds it.
            node: Where it is defined.
            doc: First line of its documentation.
            signature: How it is declared; None for the text of the node up to its body.
        """
        shown = signature_of(node) if signature is None else one_line(signature)
        self.symbols.append(Symbol(kind, one_line(name), shown, node.start_point.row + 1, doc))


def text_of(node: "Node | None") -> str:
    """Give the text of a node; nothing for None. What is not UTF-8 is escaped."""
    data = b"" if node is None else node.text or b""
    return data.decode("utf-8", "backslashreplace")


def named_field(node: "Node", name: str) -> str:
    """Give the text of a field of a node; nothing when it has none."""
    return text_of(node.child_by_field_name(name))


def unquoted(node: "Node | None") -> str:
    """Give the text of a string without its quotes, or angle brackets."""
    return one_line(text_of(node).strip("\"'`<>"))


def signature_of(node: "Node", body_of: "Node | None" = None) -> str:
    """Give the text of a node up to its body, on one line.

    Args:
        node: The node.
        body_of: Which node has the body, when it is another one.
    """
    body = (body_of or node).child_by_field_name("body")
    data = node.text or b""
    if body is not None:
        data = data[: body.start_byte - node.start_byte]
    return one_line(data.decode("utf-8", "backslashreplace")).rstrip(" {;").removesuffix("=>").rstrip(" =")


def documented(parent: "Node") -> Iterator[tuple["Node", str]]:
    """Give the named children of a node but for comments, each with the first line of its documentation.

    That is the block of comments that ends on the line before, each of them on a line of its own.
    """
    block: list[Node] = []
    block_end = row_before = -1
    for node in parent.named_children:
        row = node.start_point.row
        if node.type in COMMENTS:
            if block and row - block_end > 1:
                block = []
            if row != row_before:
                block.append(node)
                block_end = _last_row(node)
        elif node.type in _DECORATIONS:
            block_end = _last_row(node)
        else:
            is_above = bool(block) and row - block_end <= 1 and not is_inner(block[0])
            yield node, comment_line(block[0]) if is_above else ""
            block, row_before = [], _last_row(node)


def head_comment(root: "Node") -> str:
    """Give the first line of the comment that a file begins with, unless it documents what is below it."""
    nodes = [node for node in root.named_children if node.type != "hash_bang_line"]
    if not nodes or nodes[0].type not in COMMENTS:
        return ""
    end = _last_row(nodes[0])
    for node in nodes[1:]:
        is_near = node.start_point.row - end <= 1
        if node.type in COMMENTS and is_near:
            end = _last_row(node)
            continue
        belongs_below = is_near and not node.type.startswith(("preproc", "import"))
        return "" if belongs_below else comment_line(nodes[0])
    return comment_line(nodes[0])


def comment_line(comment: "Node") -> str:
    """Give the first line with text of a comment, without what makes it a comment."""
    for line in text_of(comment).splitlines():
        stripped = line.strip().removesuffix("*/").lstrip("/*!").strip()
        if stripped:
            return one_line(stripped)
    return ""


def is_inner(comment: "Node") -> bool:
    """Say whether a comment documents what it stands in (Rust: `//!`)."""
    return text_of(comment).startswith(("//!", "/*!"))


def _last_row(node: "Node") -> int:
    """Give the row of the last character of a node; some comments hold the end of their line."""
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point.row else row
