"""What a spectrum is held against: a domain, a store, another spectrum."""

from collections.abc import Callable, Iterator

from catfs.digest import Digest
from catfs.errors import UsageError
from catfs.merkle import Tree
from catfs.merkle import diff as diff_trees
from catfs.records import Change, listed_change
from catfs.spectral.spectrum import Spectrum
from catfs.store import CatalyticStore, DamagedObjectError, MissingObjectError
from catfs.values import dataclass

ContentProgress = Callable[[int, int], None]
"""Told now and then how many contents were looked at, and of how many."""


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """A domain held against a spectrum.

    Args:
        expected: The root in the spectrum.
        got: The root of the domain.
        changes: What leads from the spectrum to the domain, in the order of a walk.
    """

    expected: Digest
    got: Digest
    changes: tuple[Change, ...]

    @property
    def ok(self) -> bool:
        """Whether the domain is what the spectrum says."""
        return self.expected == self.got


@dataclass(frozen=True, slots=True)
class ContentProblem:
    """A content that a domain cannot be decoded without and that a store does not give.

    Args:
        digest: The content.
        path: One of the files that have it.
        problem: Why not.
    """

    digest: Digest
    path: bytes
    problem: str


def verify_domain(spectrum: Spectrum, tree: Tree) -> DomainCheck:
    """Hold a domain against a spectrum.

    Args:
        spectrum: What the domain should be.
        tree: What was read of it.

    Raises:
        MissingNodeError: when the tree is not whole.
    """
    return DomainCheck(spectrum.root, tree.root, tuple(map(listed_change, diff_trees(spectrum.tree, tree))))


def verify_contents(
    spectrum: Spectrum, store: CatalyticStore, progress: ContentProgress | None = None
) -> list[ContentProblem]:
    """Read every content of a spectrum in a store and give what is missing or damaged.

    Args:
        spectrum: Says which contents.
        store: Should hold them.
        progress: Told how far it is; None for nobody.
    """
    paths: dict[Digest, bytes] = {}
    for path, entry in spectrum.files():
        paths.setdefault(entry.digest, path)
    sizes = spectrum.contents()
    problems = []
    for number, (digest, path) in enumerate(paths.items(), start=1):
        try:
            store.verify(digest)
            if (size := store.size(digest)) != sizes[digest]:
                text = f"expected {sizes[digest]} bytes, got {size}"
                problems.append(ContentProblem(digest, path, text))
        except MissingObjectError:
            problems.append(ContentProblem(digest, path, "the store does not hold it"))
        except DamagedObjectError as error:
            problems.append(ContentProblem(digest, path, error.message))
        if progress is not None:
            progress(number, len(paths))
    return problems


def diff(before: Spectrum, after: Spectrum) -> Iterator[Change]:
    """Give every path in which two spectra differ, in the order of a walk."""
    return map(listed_change, diff_trees(before.tree, after.tree))


def read_hash(store: CatalyticStore, sha: Digest | str, byte_range: tuple[int, int] | None = None) -> bytes:
    """Give a content, or a range of it: exactly what was asked for, and nothing else is read.

    Args:
        store: Holds it.
        sha: Its digest.
        byte_range: First byte and the one behind the last, from 0; cut off at the end of the content.
            None for the whole content, which is then held against the digest.

    Raises:
        FormatError: when the text is no digest.
        UsageError: when the range runs backwards or begins below 0.
        MissingObjectError: when the store does not hold it.
        DamagedObjectError: when it is damaged.
    """
    digest = sha if isinstance(sha, Digest) else Digest.from_hex(sha)
    if byte_range is None:
        return store.get(digest)
    start, end = byte_range
    if not 0 <= start <= end:
        raise UsageError(f"expected a range from 0 on that does not run backwards, got {start}:{end}")
    return store.read(digest, start, end - start)
