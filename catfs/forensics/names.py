"""The names of a log: which file each path means, through renames of files and of whole folders.

A tree of the names that the log has spoken of. Moving a folder moves one name, and everything below it
is found at its new path.
"""

from collections.abc import Iterator


class Name:
    """One name in one directory.

    Args:
        parent: The name of the directory; None for a domain.
        name: The last part of the path.
    """

    __slots__ = ("children", "ino", "name", "parent")

    def __init__(self, parent: "Name | None", name: bytes) -> None:
        self.parent = parent
        self.name = name
        self.children: dict[bytes, Name] = {}
        self.ino: int | None = None
        """Inode number of what has the name; None when the log did not say."""

    @property
    def path(self) -> bytes:
        """The path of the name, relative to its domain."""
        parts: list[bytes] = []
        here: Name | None = self
        while here is not None and here.parent is not None:
            parts.append(here.name)
            here = here.parent
        return b"/".join(reversed(parts))

    def below(self) -> Iterator["Name"]:
        """Give every known name below this one."""
        waiting = list(self.children.values())
        while waiting:
            name = waiting.pop()
            yield name
            waiting += name.children.values()


class NameTree:
    """The names of all domains."""

    def __init__(self) -> None:
        self._roots: dict[int, Name] = {}

    def root(self, domain: int) -> Name:
        """Give the name of a domain itself.

        Args:
            domain: Its index.
        """
        if domain not in self._roots:
            self._roots[domain] = Name(None, b"")
        return self._roots[domain]

    def find(self, domain: int, path: bytes) -> Name | None:
        """Give the name at a path; None when it is not known."""
        here: Name | None = self.root(domain)
        for part in path.split(b"/") if path else ():
            if here is None:
                return None
            here = here.children.get(part)
        return here

    def make(self, domain: int, path: bytes) -> Name:
        """Give the name at a path, made with those above it when it is not known."""
        here = self.root(domain)
        for part in path.split(b"/") if path else ():
            child = here.children.get(part)
            if child is None:
                child = here.children[part] = Name(here, part)
            here = child
        return here

    def remove(self, name: Name) -> None:
        """Take a name away, with everything known below it."""
        if name.parent is not None:
            name.parent.children.pop(name.name, None)

    def move(self, name: Name, domain: int, path: bytes) -> None:
        """Give a name another place, with everything below it; what was there must be removed before."""
        self.remove(name)
        above, _, last = path.rpartition(b"/")
        name.parent = self.make(domain, above)
        name.name = last
        name.parent.children[last] = name

    def exchange(self, first: Name, second: Name) -> None:
        """Let two names change places, each with everything below it."""
        if first.parent is None or second.parent is None:
            return
        first.parent, second.parent = second.parent, first.parent
        first.name, second.name = second.name, first.name
        first.parent.children[first.name] = first
        second.parent.children[second.name] = second
