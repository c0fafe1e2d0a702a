"""What holds for every test: fixed seeds, no mount left behind, no unannounced warning in the log."""

import ctypes
import errno
import functools
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

_MNT_DETACH = 2
"""Flag of umount2(2): take the mount out of the tree now, release it when nobody uses it any more."""

hypothesis.settings.register_profile("fixed", derandomize=True, database=None, deadline=None, print_blob=True)
hypothesis.settings.register_profile("seeded", database=None, deadline=None, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Choose fixed examples, or the ones of `--hypothesis-seed` when it is given.

    Signals ignored by `nohup` or a shell are heeded again: tests send them to what they start.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    hypothesis.settings.load_profile("fixed" if _seed(config) is None else "seeded")


def pytest_report_header(config: pytest.Config) -> str:
    """Say which seed the random examples have, so that a failure can be repeated."""
    seed = _seed(config)
    if seed is None:
        return "seed: fixed for each test by its name; others with --hypothesis-seed=N"
    return f"seed: {seed} (--hypothesis-seed)"


def _seed(config: pytest.Config) -> str | None:
    seed = config.getoption("--hypothesis-seed")
    return None if seed is None else str(seed)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail, never skip, a test that needs real mounts on a machine that cannot make them."""
    if item.get_closest_marker("fuse") is not None and (problem := fuse_problem()) is not None:
        pytest.fail(problem, pytrace=False)


@functools.cache
def fuse_problem() -> str | None:
    """Give why this machine cannot mount with FUSE, or None when it can."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return (
            f"/dev/fuse cannot be opened ({error.strerror}), so tests that mount cannot run here: "
            "load the kernel module fuse, or give the container the device /dev/fuse and CAP_SYS_ADMIN"
        )
    return None


@pytest.fixture(autouse=True)
def leaves_no_mount(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a mount below its tmp_path, and unmount it for the tests after it."""
    if "tmp_path" not in request.fixturenames:
        yield
        return
    folder: Path = request.getfixturevalue("tmp_path")
    yield
    if left := unmount_below(folder):
        pytest.fail(
            f"the test left mounts behind: {left}; unmount in the test or in its fixture", pytrace=False
        )


@pytest.fixture(autouse=True, scope="session")
def session_leaves_no_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the last test when a fixture that several tests share has left a mount behind."""
    yield
    if left := unmount_below(tmp_path_factory.getbasetemp()):
        pytest.fail(f"a shared fixture left mounts behind: {left}; unmount in its teardown", pytrace=False)


def unmount_below(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> list[str]:
    """Detach every mount at or below a folder, the innermost first, and give their mount points.

    Args:
        folder: An existing folder.
        mounts: The list of mounts in the form of /proc/self/mounts.

    Raises:
        OSError: when the kernel refuses to detach one.
    """
    top = os.fsencode(folder.resolve())
    found = [
        point
        for line in mounts.read_bytes().splitlines()
        if (point := _unescape(line.split(b" ")[1])) == top or point.startswith(top + b"/")
    ]
    for point in reversed(found):
        _detach(point)
    return [os.fsdecode(point) for point in found]


def _unescape(field: bytes) -> bytes:
    """Undo the octal escapes that the kernel writes for space, tab, newline, backslash and hash."""
    for octal in (b"040", b"011", b"012", b"043"):
        field = field.replace(b"\\" + octal, bytes([int(octal, 8)]))
    return field.replace(b"\\134", b"\\")


def _detach(point: bytes) -> None:
    # Through the system call: a mount whose server is dead answers ENOTCONN to programs that look first.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(point, _MNT_DETACH) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(point))


@pytest.fixture(autouse=True)
def logs_no_warning(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which catfs logs a warning or error; a test that expects one asks for `caplog`."""
    if "caplog" in request.fixturenames:
        yield
        return
    collector = _Collector(logging.WARNING)
    logger = logging.getLogger("catfs")
    logger.addHandler(collector)
    yield
    logger.removeHandler(collector)
    if collector.messages:
        pytest.fail(f"catfs logged {collector.messages}; a test that expects this uses caplog", pytrace=False)


class _Collector(logging.Handler):
    """Keeps the messages it is given."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.messages.append(f"{record.levelname} {record.name}: {record.getMessage()}")
