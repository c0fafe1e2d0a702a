"""Reading the sources of a domain: every content once, with all processors."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from catfs.digest import Digest
from catfs.errors import MachineError
from catfs.spectral.languages import SOURCE_BYTES_MAX, language_of, read_source, reader_of
from catfs.spectral.spectrum import Spectrum
from catfs.spectral.structure import LanguageNote, SourceStructure, Structure
from catfs.store import CatalyticStore

SourceProgress = Callable[[int, int], None]
"""Told now and then how many sources were read, and of how many."""

_PORTION_FILES = 64
"""Most sources that one process is given at a time; fewer of them in all are not worth a second process."""

_PORTION_BYTES = 1 << 20
"""Bytes of source after which a portion is closed."""

_Source = tuple[Digest, str]
"""A content and its language. Files with equal content and another language are read once for each."""

_Portion = tuple[list[_Source], list[bytes]]


def describe_sources(
    spectrum: Spectrum,
    store: CatalyticStore,
    *,
    workers: int | None = None,
    progress: SourceProgress | None = None,
) -> Structure:
    """Give what the source files of a domain say of themselves.

    Args:
        spectrum: The domain.
        store: Holds its contents.
        workers: Processes that read, when there is enough to do; None for one per processor, 0 for none.
        progress: Told how far it is; None for nobody.

    Raises:
        MissingObjectError: when the store lacks a content.
        DamagedObjectError: when a content is damaged.
        MachineError: when a process that reads is killed.
    """
    paths = {path: language for path, _ in spectrum.files() if (language := language_of(path)) is not None}
    languages = {}
    for language in set(paths.values()):
        reader, problem = reader_of(language)
        count = sum(1 for other in paths.values() if other == language)
        languages[language] = LanguageNote(count, reader, problem)
    wanted = {
        path: (spectrum.entries[path].digest, language)
        for path, language in paths.items()
        if languages[language].reader
    }
    sources = list(dict.fromkeys(wanted.values()))
    portions = _portions(sources, spectrum.contents(), store)
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    found: dict[_Source, SourceStructure] = {}
    is_alone = not workers or len(sources) <= _PORTION_FILES
    for source, structure in _read_alone(portions) if is_alone else _read_shared(portions, workers):
        found[source] = structure
        if progress is not None:
            progress(len(found), len(sources))
    return Structure(spectrum.root, languages, {path: found[source] for path, source in wanted.items()})


def _portions(
    sources: Iterable[_Source], sizes: dict[Digest, int], store: CatalyticStore
) -> Iterator[_Portion]:
    """Give the sources with their bytes, a few at a time; of a long one just so much that this shows."""
    names: list[_Source] = []
    contents: list[bytes] = []
    held = 0
    for digest, language in sources:
        size = sizes[digest]
        is_short = size <= SOURCE_BYTES_MAX
        names.append((digest, language))
        contents.append(store.get(digest) if is_short else store.read(digest, 0, SOURCE_BYTES_MAX + 1))
        held += len(contents[-1])
        if len(names) >= _PORTION_FILES or held >= _PORTION_BYTES:
            yield names, contents
            names, contents, held = [], [], 0
    if names:
        yield names, contents


def _read_alone(portions: Iterable[_Portion]) -> Iterator[tuple[_Source, SourceStructure]]:
    for sources, contents in portions:
        yield from zip(sources, _read_portion([name for _, name in sources], contents), strict=True)


def _read_shared(portions: Iterable[_Portion], workers: int) -> Iterator[tuple[_Source, SourceStructure]]:
    """Read with several processes; only a few portions wait at any time."""
    waiting: deque[tuple[list[_Source], Future[list[SourceStructure]]]] = deque()

    def first() -> Iterator[tuple[_Source, SourceStructure]]:
        sources, future = waiting.popleft()
        return zip(sources, future.result(), strict=True)

    try:
        with ProcessPoolExecutor(workers) as pool:
            for sources, contents in portions:
                waiting.append((sources, pool.submit(_read_portion, [name for _, name in sources], contents)))
                if len(waiting) > 2 * workers:
                    yield from first()
            while waiting:
                yield from first()
    except BrokenProcessPool as error:
        raise MachineError(
            "a process that reads sources was ended", hint="there may be too little memory for their trees"
        ) from error


def _read_portion(languages: list[str], contents: list[bytes]) -> list[SourceStructure]:
    return [read_source(language, data) for language, data in zip(languages, contents, strict=True)]
