"""Rules on imports: direction, cycles, place, and who may use pyfuse3.

Each rule takes sources and gives problems, one sentence each, which say what to do instead.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.tidy.sources import Function, Source

FLOORS: tuple[tuple[str, ...], ...] = (
    ("records",),
    ("merkle", "store"),
    ("overlay", "proof", "commit", "ledger", "spectral", "forensics"),
    ("runtime",),
    ("cli", "agents", "truth"),
)
"""The rooms from the lowest to the highest floor; modules directly in catfs/ are the ground floor.
docs/design/0001-rooms-and-imports.md gives the reasons."""

PYFUSE3_PLACE = "catfs/overlay/transports/pyfuse3.py"
LAZY_IMPORT_PLACE = "catfs/cli/main.py"

_FLOOR_OF_ROOM = {room: floor for floor, rooms in enumerate([("",), *FLOORS]) for room in rooms}


@dataclass(frozen=True)
class Import:
    """One imported name.

    Args:
        module: The dotted name in the statement, made absolute.
        name: What `from ... import` takes out of it, or None.
        node: The statement.
    """

    module: str
    name: str | None
    node: ast.Import | ast.ImportFrom


def imports_of(source: Source) -> Iterator[Import]:
    """Give every import of a source, those inside functions and `if TYPE_CHECKING` too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(_absolute(source, node), alias.name, node)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = source.module.split(".") if source.is_package else source.module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def check_direction(sources: Iterable[Source]) -> Iterator[str]:
    """Imports inside catfs go down the floors only, and never sideways into another room."""
    for source in sources:
        if not source.path.startswith("catfs/"):
            continue
        room = _room(source.path)
        if room not in _FLOOR_OF_ROOM:
            yield f"{source.path}: DESIGN, section 4, has no room {room}; move it, or add the room to FLOORS"
            continue
        for found in imports_of(source):
            if found.module.split(".")[0] == "catfs" and (problem := _wrong_way(room, _imported_room(found))):
                yield source.at(found.node, problem)


def _wrong_way(room: str, target: str) -> str | None:
    if target not in _FLOOR_OF_ROOM:
        return f"imports the unknown room {target}; DESIGN, section 4, lists the rooms"
    here = room or "the ground floor"
    if _FLOOR_OF_ROOM[target] > _FLOOR_OF_ROOM[room]:
        return f"{here} imports {target}, which is above it; move what is shared down, or let {target} call"
    if _FLOOR_OF_ROOM[target] == _FLOOR_OF_ROOM[room] and target != room:
        return f"{here} imports {target}, a room beside it; join them in a room above, or share by records"
    return None


def _room(path: str) -> str:
    """Give the room of a path below catfs/; an empty text is the ground floor."""
    parts = path.split("/")
    if len(parts) > 2:
        return parts[1]
    return "cli" if parts[1] == "__main__.py" else ""


def _imported_room(found: Import) -> str:
    parts = found.module.split(".")
    if len(parts) == 1:
        return found.name if found.name in _FLOOR_OF_ROOM and found.name is not None else ""
    return parts[1] if len(parts) > 2 or parts[1] in _FLOOR_OF_ROOM else ""


def check_cycles(sources: Iterable[Source]) -> Iterator[str]:
    """No module of catfs imports itself by way of others."""
    known = {source.module: source for source in sources if source.path.startswith("catfs/")}
    graph = {module: _targets(source, known) for module, source in known.items()}
    reported: set[str] = set()
    for module in graph:
        if module not in reported and (cycle := _cycle_from(module, graph)):
            reported.update(cycle)
            way = " -> ".join([*cycle, cycle[0]])
            yield f"{known[module].path}: import cycle {way}; move what both need into a lower module"


def _targets(source: Source, known: Mapping[str, Source]) -> list[str]:
    targets = []
    for found in imports_of(source):
        inner = f"{found.module}.{found.name}"
        target = inner if inner in known else found.module
        if target in known:
            targets.append(target)
    return targets


def _cycle_from(start: str, graph: Mapping[str, list[str]]) -> list[str]:
    """Give a shortest way from a module back to itself, or nothing."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        longer = []
        for way in ways:
            for target in graph[way[-1]]:
                if target == start:
                    return way
                if target not in seen:
                    seen.add(target)
                    longer.append([*way, target])
        ways = longer
    return []


def check_place(sources: Iterable[Source]) -> Iterator[str]:
    """Imports stand at the top of a module; one listed place may import when a command starts."""
    for source in sources:
        if source.path == LAZY_IMPORT_PLACE:
            continue
        inside = {node for function in source.functions() for node in ast.walk(function)}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and node in inside:
                yield source.at(
                    node,
                    f"import inside a function; move it to the top (only {LAZY_IMPORT_PLACE} may be lazy)",
                )


def check_pyfuse3(sources: Iterable[Source]) -> Iterator[str]:
    """pyfuse3 is imported by its transport alone."""
    for source in sources:
        if source.path == PYFUSE3_PLACE:
            continue
        for found in imports_of(source):
            if found.module.split(".")[0] == "pyfuse3":
                yield source.at(found.node, f"imports pyfuse3; only {PYFUSE3_PLACE} may, use that transport")


def check_exports(sources: Iterable[Source]) -> Iterator[str]:
    """The `__init__.py` of a room exports what it imports or defines in public, by `__all__`."""
    for source in sources:
        if not source.is_package or not source.path.startswith("catfs/"):
            continue
        public = {name for name in _bound_names(source.tree) if not name.startswith("_")}
        exported = _listed_exports(source.tree)
        if extra := sorted(public - exported):
            yield f"{source.path}: {', '.join(extra)} not in __all__; list it, or import it where it is used"
        if lost := sorted(name for name in exported - public if not name.startswith("__")):
            yield f"{source.path}: __all__ lists {', '.join(lost)}, which is not there; import it or drop it"


def _bound_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name
        else:
            yield from _assigned_names(node)


def _assigned_names(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def _listed_exports(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and "__all__" in _assigned_names(node):
            return set(ast.literal_eval(node.value))
    return set()
