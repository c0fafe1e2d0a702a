"""How the paths of a job specification lie to each other: what overlaps, escapes or stands twice."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from catfs.limits import NAME_BYTES_MAX
from catfs.records.validation import Finding
from catfs.records.validation_codes import Code
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class _Place:
    """A path of a job and where it is.

    Args:
        pointer: Its place in the specification.
        given: As it stands there.
        resolved: Absolute.
    """

    pointer: str
    given: str
    resolved: str

    def holds(self, other: "_Place") -> bool:
        """Say whether another place is this one or lies below it."""
        return is_at_or_below(other.resolved, self.resolved)

    def overlaps(self, other: "_Place") -> bool:
        """Say whether one of two places holds the other."""
        return self.holds(other) or other.holds(self)


def is_at_or_below(path: str, folder: str) -> bool:
    """Say whether a normalized absolute path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def path_findings(value: Mapping[str, object], resolve: Callable[[str], str]) -> Iterator[Finding]:
    """Give what is wrong with the paths of a job specification that fits its schema.

    Args:
        value: The specification.
        resolve: Makes a path absolute and normalized.
    """
    outputs = value["durable_outputs"]
    assert isinstance(outputs, list)
    given = {
        key: [(f"/{key}/{index}", path) for index, path in enumerate(_texts(value.get(key, [])))]
        for key in ("inputs", "catalytic_domains", "allowed_roots", "forbidden_paths")
    }
    given["durable_outputs"] = [
        (f"/durable_outputs/{index}/path", output["path"]) for index, output in enumerate(outputs)
    ]
    flat = [item for items in given.values() for item in items]
    malformed = [finding for pointer, path in flat for finding in _form(pointer, path)]
    if malformed:
        yield from malformed
        return
    base = resolve(".")
    places = {key: [_Place(*item, resolve(item[1])) for item in items] for key, items in given.items()}
    for place in (place for items in places.values() for place in items):
        if not os.path.isabs(place.given) and not is_at_or_below(place.resolved, base):
            yield Finding(Code.PATH_ESCAPES, place.pointer, "a relative path stays below the job's folder")
    domains, forbidden = places["catalytic_domains"], places["forbidden_paths"]
    yield from _domain_findings(domains, forbidden)
    yield from _output_findings(places["durable_outputs"], domains, forbidden, places["allowed_roots"])


def _form(pointer: str, path: str) -> Iterator[Finding]:
    """Find names that no file system can have."""
    if any(len(name.encode()) > NAME_BYTES_MAX for name in path.split("/")):
        yield Finding(Code.PATH_INVALID, pointer, f"expected names of at most {NAME_BYTES_MAX} bytes")


def _domain_findings(domains: list[_Place], forbidden: list[_Place]) -> Iterator[Finding]:
    for index, domain in enumerate(domains):
        if domain.resolved == "/":
            yield Finding(Code.DOMAIN_IS_ROOT, domain.pointer, "the root of the file system is no domain")
        for other in domains[:index]:
            if domain.resolved == other.resolved:
                yield Finding(Code.DOMAIN_DUPLICATE, domain.pointer, f"is the domain {other.pointer} again")
            elif domain.overlaps(other):
                text = f"overlaps the domain at {other.pointer}"
                yield Finding(Code.DOMAIN_OVERLAPS_DOMAIN, domain.pointer, text)
        for place in _overlapping(domain, forbidden):
            text = f"overlaps the forbidden path at {place.pointer}"
            yield Finding(Code.DOMAIN_OVERLAPS_FORBIDDEN, domain.pointer, text)


def _output_findings(
    outputs: list[_Place], domains: list[_Place], forbidden: list[_Place], roots: list[_Place]
) -> Iterator[Finding]:
    for index, output in enumerate(outputs):
        for other in outputs[:index]:
            if output.resolved == other.resolved:
                yield Finding(Code.OUTPUT_DUPLICATE, output.pointer, f"is the output {other.pointer} again")
            elif output.overlaps(other):
                text = f"overlaps the output at {other.pointer}"
                yield Finding(Code.OUTPUT_OVERLAPS_OUTPUT, output.pointer, text)
        for place in _overlapping(output, forbidden):
            text = f"overlaps the forbidden path at {place.pointer}"
            yield Finding(Code.OUTPUT_OVERLAPS_FORBIDDEN, output.pointer, text)
        for domain in domains:
            if output.holds(domain):
                text = f"holds the whole domain at {domain.pointer}"
                yield Finding(Code.OUTPUT_IS_DOMAIN, output.pointer, text)
        allowed = roots or domains
        if not any(root.holds(output) for root in allowed):
            where = "the allowed roots" if roots else "the domains, and there are no allowed roots"
            yield Finding(Code.OUTPUT_OUTSIDE_ROOTS, output.pointer, f"lies outside {where}")


def _overlapping(place: _Place, others: Iterable[_Place]) -> Iterator[_Place]:
    return (other for other in others if place.overlaps(other))


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value
