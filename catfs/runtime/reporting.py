"""The page of a run: gathers what its folder, its log and the domain as it is now have to say."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final, Self

from catfs.digest import Digest
from catfs.durable import publish
from catfs.errors import CatfsError, FormatError, UsageError, printable
from catfs.forensics.report import Content, RunFacts, StepFacts, TextDiff, compare_texts, make_page
from catfs.forensics.report.diffs import DIFF_BYTES_MAX
from catfs.ledger import RunReader
from catfs.overlay import View
from catfs.overlay.nodes import File
from catfs.records import Entry, JobSpec, Kind, RestoreDiff, step_file
from catfs.runtime.changed import git_output
from catfs.runtime.log_reading import LogSource, counts_of
from catfs.runtime.past import Past, past_of
from catfs.runtime.runs import checked_difference
from catfs.runtime.sealed_log import SealedLog

STREAM_BYTES_MAX: Final = 64 * 1024
"""Most bytes of what a step printed that come onto the page: the end, where the reason stands."""

DIFFS_MAX: Final = 300
"""Most files that are compared line by line."""


def write_report(source: LogSource, run: RunReader, path: Path, progress: Callable[[str], None]) -> int:
    """Write the page of a run.

    Args:
        source: Its log.
        run: The run.
        path: The file, in place of what is there.
        progress: Told what is done next.

    Returns:
        Bytes of the page.

    Raises:
        UsageError: when the place cannot be used, or there are too many records for a page.
        LogDamageError: when the log is damaged or not the one that the proof seals; nothing is written then.
        FormatError: when another file of the run is not what it should be.
        OSError: when something cannot be read or written.
    """
    if not path.name or not path.parent.is_dir() or path.is_dir():
        raise UsageError(
            f"{printable(os.fsencode(path))} cannot be a file", hint="name one in a folder that is there"
        )
    progress("reading the run")
    facts = _gather(run)
    progress("reading the log")
    log = SealedLog(source, facts.proof)
    page = make_page(log, facts, counts_of(log.source))
    publish(path.parent, os.fsencode(path.name), page)
    return len(page)


def _gather(run: RunReader) -> RunFacts:
    if not run.is_complete:
        return RunFacts(run.run_id, _declaration(run), None, None, None, None, (), ())
    proof, job = run.proof(), run.job()
    difference = checked_difference(run, proof)
    return RunFacts(
        run_id=run.run_id,
        job=job,
        info=run.info(),
        proof=proof,
        status=run.status(),
        difference=difference,
        steps=tuple(_steps(run, job)),
        diffs=tuple(_diffs(run, difference)),
    )


def _declaration(run: RunReader) -> JobSpec | None:
    try:
        return run.job()
    except FormatError:
        return None  # stopped before it was written, or damaged: the log says what there is to say


def _steps(run: RunReader, job: JobSpec) -> Iterator[StepFacts]:
    """Give the steps that ran; those after a failed one did not."""
    files = run.files
    for step in job.steps:
        if step_file(step.index, "json") in files:
            ends = (
                files.get(step_file(step.index, part), b"")[-STREAM_BYTES_MAX:]
                for part in ("stdout", "stderr")
            )
            yield StepFacts(run.step(step.index), *ends)


def _diffs(run: RunReader, difference: RestoreDiff) -> Iterator[TextDiff]:
    """Compare the declared files that changed, each with what is still known of it."""
    count = 0
    with _Contents(run) as contents:
        for place, domain in enumerate(difference.domains):
            for change in domain.declared:
                sides = (change.before, change.after)
                if any(side is not None and side.kind is not Kind.FILE for side in sides):
                    continue
                if count == DIFFS_MAX:
                    return
                count += 1
                before = contents.of(place, domain.path, change.path, change.before, moment=0)
                after = contents.of(place, domain.path, change.path, change.after, moment=None)
                yield compare_texts(place, change.path, change.kind.value, before, after)


class _Contents:
    """What files held before and after a run, from whoever still has it: the domain, git, the run's history.

    A context manager that closes the history.

    Args:
        run: The run.
    """

    def __init__(self, run: RunReader) -> None:
        self._run = run
        self._stack = ExitStack()
        self._past: Past | None = None
        self._views: dict[int | None, View] = {}

    def __enter__(self) -> Self:
        with suppress(CatfsError, OSError):
            if self._run.history() is not None:
                self._past = self._stack.enter_context(past_of(self._run))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def of(
        self, place: int, domain: bytes, path: bytes, entry: Entry | None, *, moment: int | None
    ) -> Content | None:
        """Give what one side of a change held.

        Args:
            place: Index of the domain.
            domain: Its absolute path.
            path: Relative to it.
            entry: What the run recorded of that side; None when there was nothing.
            moment: Records that there were at that moment; None for all.
        """
        if entry is None:
            return None
        if entry.size > DIFF_BYTES_MAX:
            return Content(entry.size, None)
        sources: tuple[Callable[[], bytes | None], ...] = (
            partial(_read_file, domain, path),
            partial(self._read_past, place, path, moment),
            partial(_read_committed, domain, path),
        )
        for read in sources:
            data = read()
            if data is not None and Digest.of(data) == entry.digest:
                return Content(entry.size, data)
        return Content(entry.size, None)

    def _read_past(self, place: int, path: bytes, moment: int | None) -> bytes | None:
        if self._past is None:
            return None
        try:
            if moment not in self._views:
                self._views[moment] = self._past.view_at(self._past.log.size if moment is None else moment)
            view = self._views[moment]
            node = view.resolve(place, path)
            return view.read_content(node, 0, node.size) if isinstance(node, File) else None
        except (CatfsError, OSError):
            return None  # damaged, or changed underneath: it would not have the digest anyway


def _read_file(domain: bytes, path: bytes) -> bytes | None:
    try:
        descriptor = os.open(domain + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # gone, or something else by now
    with open(descriptor, "rb") as file:
        try:
            return file.read(DIFF_BYTES_MAX + 1)
        except OSError:
            return None  # a folder, or a disk that fails: the digest could not be held against it


def _read_committed(domain: bytes, path: bytes) -> bytes | None:
    try:
        return git_output(Path(os.fsdecode(domain)), "cat-file", "blob", b"HEAD:./" + path)
    except UsageError:
        return None  # no repository, or nothing of that name in it
