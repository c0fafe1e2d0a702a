"""Where the time of a row goes: processors and requests, summed up from what perf recorded.

Nothing here runs perf; the text of `perf script` comes in, what people read comes out. Processor time is
counted by the clock: each sample stands for one period on one processor, also where that had nothing to do.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.bench.report import amount

PERIOD_SECONDS: Final = 250e-6
"""Time between two samples of a processor."""

SERVER: Final = "server"
IDLE: Final = "nobody"
THREADS: Final = "kernel threads"
OTHERS: Final = "others"

_KERNEL_THREADS: Final = 2
"""Process id of the ancestor of all threads of the kernel."""
_SYMBOLS_SHOWN: Final = 4
_SHARE_SHOWN: Final = 0.01
"""Smallest share of all processor time, or of all time of requests, that gets a line."""

_LINE = re.compile(r"\s*(?P<comm>.+?)\s+(?P<pid>\d+)\s+(?P<time>\d+\.\d+):\s+(?P<rest>.*)")
_CLOCK = re.compile(r"cpu-clock:\s+[0-9a-f]+ (?P<symbol>.*) \((?P<object>.*)\)")
_SEND = re.compile(r"fuse:fuse_request_send: connection (\d+) req (\d+) opcode \d+ \(FUSE_(\w+)\)")
_END = re.compile(r"fuse:fuse_request_end: connection (\d+) req (\d+) ")
_FORK = re.compile(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)")


@dataclass(slots=True)
class Usage:
    """What one kind of process did on the processors.

    Args:
        samples: Number of samples.
        in_kernel: Those of them that were in the kernel.
        symbols: How many were in which function; its name and that of its program or library.
    """

    samples: int = 0
    in_kernel: int = 0
    symbols: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Requests:
    """The requests of one kind that the programs of a row made.

    Args:
        count: How many.
        seconds: From sending to the reply, all together. Programs wait for it, but for a release; with
            several programs these times overlap.
    """

    count: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Profile:
    """What happened while a row was measured, in one sample of it or in several.

    Args:
        usage: By kind of process: `server`, the name of each program of the row, and who else there was.
        requests: By name of the request. Forgets are none: nobody waits for them.
    """

    usage: dict[str, Usage] = field(default_factory=dict)
    requests: dict[str, Requests] = field(default_factory=dict)

    def add(self, lines: Iterable[str], worker: int, server: int | None) -> None:
        """Add what was recorded in one sample.

        Args:
            lines: What `perf script` prints of it; lines of another form do not count.
            worker: Process id of what measured; all that it started takes part in the row.
            server: Process id of the server of the file system, or None when that has no name of its own.
        """
        recording = _Recording(self, worker, server)
        for line in lines:
            recording.take(line)


class _Recording:
    """The state of reading one recording: who started whom, and which requests are under way."""

    def __init__(self, profile: Profile, worker: int, server: int | None) -> None:
        self._profile = profile
        self._worker, self._server = worker, server
        self._parents: dict[int, int] = {}
        self._under_way: dict[tuple[str, str], tuple[str, float]] = {}

    def take(self, line: str) -> None:
        """Take one line into account."""
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            return
        pid, seconds, rest = int(found["pid"]), float(found["time"]), found["rest"]
        if clock := _CLOCK.fullmatch(rest):
            self._add_sample(self._kind(found["comm"], pid), clock["symbol"], clock["object"])
        elif sent := _SEND.match(rest):
            if self._takes_part(pid):
                self._under_way[sent[1], sent[2]] = sent[3], seconds
        elif ended := _END.match(rest):
            self._end_request((ended[1], ended[2]), seconds)
        elif (fork := _FORK.match(rest)) and fork[1] != fork[2]:  # a thread is no process
            self._parents[int(fork[1])] = int(fork[2])

    def _kind(self, comm: str, pid: int) -> str:
        """Give the kind of process that a sample is put down to."""
        if pid == self._server:
            return SERVER
        if pid == 0:
            return IDLE
        if self._takes_part(pid):
            return comm
        return THREADS if self._descends_from(pid, _KERNEL_THREADS) else OTHERS

    def _takes_part(self, pid: int) -> bool:
        return self._descends_from(pid, self._worker)

    def _descends_from(self, pid: int, ancestor: int) -> bool:
        seen = set()  # a number may be used again, so that the way up could be a circle
        while pid != ancestor and pid in self._parents and pid not in seen:
            seen.add(pid)
            pid = self._parents[pid]
        return pid == ancestor

    def _add_sample(self, kind: str, symbol: str, place: str) -> None:
        usage = self._profile.usage.setdefault(kind, Usage())
        usage.samples += 1
        usage.in_kernel += place.startswith("[")
        usage.symbols[symbol, place.rpartition("/")[2]] += 1

    def _end_request(self, key: tuple[str, str], seconds: float) -> None:
        begun = self._under_way.pop(key, None)
        if begun is not None:
            requests = self._profile.requests.setdefault(begun[0], Requests())
            requests.count += 1
            requests.seconds += seconds - begun[1]


def profile_text(peer: str, values: Sequence[float], profile: Profile) -> Iterator[str]:
    """Give the lines of one peer; amounts are those of an average sample.

    Args:
        peer: Its name.
        values: The time of each sample, in seconds.
        profile: The sum over all of them.
    """
    count = len(values)
    yield f"  {peer}: {amount(sum(values) / count, 's')} on the average of {count}, watched"
    total = sum(usage.samples for usage in profile.usage.values())
    for kind, usage in sorted(profile.usage.items(), key=lambda item: -item[1].samples):
        if usage.samples >= _SHARE_SHOWN * total:
            yield f"    {kind:<16}{_usage_text(kind, usage, count)}"
    waited = sum(requests.seconds for requests in profile.requests.values())
    for name, requests in sorted(profile.requests.items(), key=lambda item: -item[1].seconds):
        if requests.seconds < _SHARE_SHOWN * waited:
            continue
        number, each = f"{requests.count / count:.0f} x", amount(requests.seconds / requests.count, "s")
        yield f"    {name:<16}{number:>10}  {each:>8} = {amount(requests.seconds / count, 's')}"


def _usage_text(kind: str, usage: Usage, count: int) -> str:
    text = f"{amount(usage.samples * PERIOD_SECONDS / count, 's'):>10}"
    if kind in {IDLE, OTHERS}:
        return text
    often = usage.symbols.most_common(_SYMBOLS_SHOWN)
    symbols = ", ".join(f"{symbol} {share / usage.samples:.0%}" for (symbol, _), share in often)
    return f"{text}  {usage.in_kernel / usage.samples:>4.0%} in the kernel; {symbols}"
