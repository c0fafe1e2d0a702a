"""A declaration: which directories must be returned as they were, and what may survive."""

import os
from collections.abc import Sequence
from pathlib import Path

from catfs.errors import UsageError
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class DomainDeclaration:
    """One domain and its durable outputs.

    Args:
        path: Absolute path, symlinks resolved.
        outputs: Declared outputs, relative to the domain, none below another.
    """

    path: Path
    outputs: tuple[bytes, ...] = ()


def declare(
    domains: Sequence[Path], outputs: Sequence[Path], allowed_roots: Sequence[Path]
) -> tuple[DomainDeclaration, ...]:
    """Resolve and check what a command line declares.

    Args:
        domains: The domains; relative paths count from the working directory.
        outputs: The durable outputs; they need not exist.
        allowed_roots: Folders under which outputs may be; empty means anywhere in a domain.

    Raises:
        UsageError: when a domain is no directory, two overlap, or an output is outside every
            domain, is a whole domain, is outside the allowed roots, or can never be committed.
    """
    roots = [_resolve_domain(path) for path in domains]
    for index, root in enumerate(roots):
        for other in roots[:index]:
            if root == other:
                raise UsageError(f"the domain {root} is named twice")
            if root.is_relative_to(other) or other.is_relative_to(root):
                raise UsageError(f"the domains {other} and {root} overlap", hint="name the outer one only")
    allowed = [resolve_output(path) for path in allowed_roots]
    declared: dict[Path, set[bytes]] = {root: set() for root in roots}
    for output in outputs:
        resolved = resolve_output(output)
        root = _domain_of(resolved, roots, output)
        if allowed and not any(resolved.is_relative_to(place) for place in allowed):
            raise UsageError(
                f"the output {output} is outside the allowed roots {', '.join(map(str, allowed))}",
                hint="declare it elsewhere or allow its folder with --allowed-root",
            )
        if os.statvfs(root).f_flag & os.ST_RDONLY:
            raise UsageError(
                f"the output {output} lies on a file system that is mounted read-only",
                hint="nothing can be committed there; declare no output, or mount it writable",
            )
        declared[root].add(os.fsencode(resolved.relative_to(root)))
    return tuple(DomainDeclaration(root, _without_nested(paths)) for root, paths in declared.items())


def covering_domains(
    domains: Sequence[Path], outputs: Sequence[Path], allowed_roots: Sequence[Path]
) -> tuple[Path, ...]:
    """Give the domains, and besides them a directory around each output that lies in none of them.

    Only an output that lies under an allowed root gets one: the nearest directory above it that exists. A
    domain that lies in such a directory is part of it then. Whatever else happens there is a leftover.

    Args:
        domains: The declared domains; relative paths count from the working directory.
        outputs: The durable outputs.
        allowed_roots: Folders under which outputs may be.
    """
    given = [Path(os.path.realpath(path)) for path in domains]
    allowed = [resolve_output(path) for path in allowed_roots]
    around: set[Path] = set()
    for output in map(resolve_output, outputs):
        in_domain = any(output.is_relative_to(domain) for domain in given)
        if in_domain or not any(output.is_relative_to(root) for root in allowed):
            continue
        around.add(next(place for place in output.parents if place.is_dir()))
    outer = [
        place
        for place in sorted(around)
        if not any(place != other and place.is_relative_to(other) for other in around)
    ]
    kept = [
        path
        for path, domain in zip(domains, given, strict=True)
        if not any(domain.is_relative_to(place) for place in outer)
    ]
    return (*kept, *outer)


def resolve_output(path: Path) -> Path:
    """Make a path absolute; symlinks of its parents are followed, the last name is kept as it is."""
    absolute = Path(os.path.abspath(path))
    return Path(os.path.realpath(absolute.parent)) / absolute.name if absolute.name else absolute


def _resolve_domain(path: Path) -> Path:
    resolved = Path(os.path.realpath(path))
    if not resolved.is_dir():
        problem = "is not a directory" if resolved.exists() else "does not exist"
        raise UsageError(f"the domain {path} {problem}")
    if resolved.parent == resolved:
        raise UsageError("the root of the file system cannot be a domain", hint="name a directory below it")
    return resolved


def _domain_of(resolved: Path, roots: Sequence[Path], given: Path) -> Path:
    for root in roots:
        if resolved == root or os.path.realpath(resolved) == str(root):
            raise UsageError(
                f"the output {given} is the whole domain {root}", hint="declare what may survive in it"
            )
        if resolved.is_relative_to(root):
            return root
    raise UsageError(
        f"the output {given} lies in no domain", hint=f"the domains are {', '.join(map(str, roots))}"
    )


def _without_nested(paths: set[bytes]) -> tuple[bytes, ...]:
    """Drop outputs that lie below another declared output."""
    kept = []
    for path in sorted(paths):
        parts = path.split(b"/")
        above = (b"/".join(parts[:count]) for count in range(1, len(parts)))
        if not any(parent in paths for parent in above):
            kept.append(path)
    return tuple(kept)
