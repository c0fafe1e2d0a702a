"""Whether declared outputs are what the job says they must be: the last step of a job that has criteria.

It is done by catfs itself, in the view, before anything is proven or committed; its result is kept like that
of every other step, so a job whose output does not meet its criteria has failed.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from catfs.errors import printable
from catfs.overlay import View
from catfs.overlay.nodes import Directory, File, Node, Symlink
from catfs.records.job_written import OutputCriteria
from catfs.values import dataclass

CHECK_ARGUMENTS = (b"catfs", b"check-outputs")
"""What stands in the job as the arguments of this step."""

CHECK_INTENT = "check the outputs against their criteria"

CHECKED_BYTES_MAX = 1 << 30
"""Largest file that is read as text or JSON, in bytes: it is held in memory for that."""

_BLOCK_BYTES = 1 << 20
_KINDS = {"file": File, "directory": Directory, "symlink": Symlink}


@dataclass(frozen=True, slots=True)
class DeclaredOutput:
    """An output that has criteria.

    Args:
        domain: Number of the domain.
        path: Relative to it.
        criteria: What it must be.
    """

    domain: int
    path: bytes
    criteria: OutputCriteria


def locate(output: Path, domains: Sequence[Path], criteria: OutputCriteria) -> DeclaredOutput:
    """Give an output by its domain.

    Args:
        output: Absolute path, in one of the domains.
        domains: The domains.
        criteria: What it must be.
    """
    number = next(number for number, domain in enumerate(domains) if output.is_relative_to(domain))
    return DeclaredOutput(number, os.fsencode(output.relative_to(domains[number])), criteria)


def check_outputs(view: View, outputs: Sequence[DeclaredOutput]) -> tuple[bool, str]:
    """Say whether outputs meet their criteria, and tell of each.

    Args:
        view: The view, which nobody changes any more.
        outputs: The outputs.

    Raises:
        OSError: when content cannot be read.
    """
    lines, met = [], True
    for output in outputs:
        problems = list(_problems(view, view.resolve(output.domain, output.path), output.criteria))
        met = met and not problems
        said = "; ".join(problems) or "meets its criteria"
        lines.append(f"{printable(output.path)}: {said}\n")
    return met, "".join(lines)


def _problems(view: View, node: Node | None, criteria: OutputCriteria) -> Iterator[str]:
    """Give what an output lacks, the first reason that makes the others pointless alone."""
    if node is None:
        yield "is not there"
        return
    if criteria.kind is not None and not isinstance(node, _KINDS[criteria.kind]):
        yield f"expected a {criteria.kind}"
        return
    if not isinstance(node, File):
        if criteria.asks_for_file:
            yield "expected a file"
        return
    if criteria.bytes_min is not None and node.size < criteria.bytes_min:
        yield f"expected at least {criteria.bytes_min} bytes, got {node.size}"
    if criteria.bytes_max is not None and node.size > criteria.bytes_max:
        yield f"expected at most {criteria.bytes_max} bytes, got {node.size}"
    if criteria.sha256 is not None and (got := _digest(view, node)) != criteria.sha256:
        yield f"expected the SHA-256 {criteria.sha256}, got {got}"
    if criteria.media is not None and (problem := _media_problem(view, node, criteria.media)):
        yield problem


def _blocks(view: View, node: File) -> Iterator[bytes]:
    for offset in range(0, node.size, _BLOCK_BYTES):
        yield bytes(view.read_content(node, offset, _BLOCK_BYTES))


def _digest(view: View, node: File) -> str:
    hasher = hashlib.sha256()
    for block in _blocks(view, node):
        hasher.update(block)
    return hasher.hexdigest()


def _media_problem(view: View, node: File, media: str) -> str | None:
    if node.size > CHECKED_BYTES_MAX:
        return f"expected at most {CHECKED_BYTES_MAX} bytes to read as {media}, got {node.size}"
    content = b"".join(_blocks(view, node))
    try:
        if media == "json":
            orjson.loads(content)
        else:
            content.decode()
    except ValueError:
        return f"cannot be read as {media}"
    return None
