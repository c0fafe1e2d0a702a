"""The connection answers every request, and refuses what is none, without a kernel at the other end.

A pair of sockets that keep message boundaries stands in for /dev/fuse.
"""

import logging
import os
import socket
import stat
from collections.abc import Iterator
from errno import EEXIST, EIO, ENODATA, ENOSYS, ENOTTY, ENXIO, EPROTO, ERANGE, ESTALE

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catfs.limits import RELEASE_BYTES_MIN
from catfs.overlay import View
from catfs.overlay.transports.devfuse import Notifier, names, wire
from catfs.overlay.transports.devfuse.connection import Connection, State
from catfs.overlay.transports.devfuse.dispatch import NEVER_AGAIN
from catfs.overlay.transports.devfuse.negotiation import WANTED
from catfs.overlay.transports.devfuse.wire import Opcode
from tests.support.memory_lower import MemoryLower
from tests.support.views import MemoryTrace, make_view

_WITHOUT_REPLY = {Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY}
_INIT = wire.INIT_IN.pack(7, 45, 131072, int(WANTED), *(0,) * 12)
_LARGEST = 100_000


_NUMBERS = st.sampled_from([0, 1, 2, 3, 5, 64, 4096, 0o100644, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
_WORDS = st.lists(_NUMBERS.map(lambda number: number.to_bytes(4, "little")), max_size=20).map(b"".join)
_NAME = st.sampled_from([b"file", b"folder", b"new", b"\xff" * 300, b".", b"..", b"", b"a/b", b"user.x"])
_NAMES = st.lists(_NAME.map(lambda name: name + b"\0"), max_size=3).map(b"".join)
_BODIES = st.tuples(_WORDS, _NAMES).map(b"".join)
_OPCODES = st.sampled_from([*(opcode for opcode in Opcode if opcode != Opcode.INIT), 7, 60])
_NODES = st.sampled_from([0, 1, 3, 4, 5, 6, 7, 1 << 48, 1 << 63])
_USERS = st.sampled_from([0, 1000])


class _Defects(logging.Filter):
    """Keeps errors of ours from the log, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Take a record out of the log; one with a traceback is a defect."""
        if record.exc_info:
            self.found.append(logging.Formatter().formatException(record.exc_info))
        return False


class Kernel:
    """The other end: sends requests and takes replies."""

    def __init__(self) -> None:
        lower = MemoryLower()
        lower.file(b"file", b"lower content")
        lower.directory(b"folder")
        lower.file(b"folder/inner", b"inside")
        lower.symlink(b"link", b"file")
        self.trace = MemoryTrace()
        self.view: View = make_view(lower, self.trace)
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self.connection = Connection(self.view, self._theirs.fileno())
        self._unique = 0
        self.notices: list[bytes] = []
        """What came from the server without having been asked for."""

    def close(self) -> None:
        """Close both ends and the data file."""
        self._ours.close()
        self._theirs.close()
        os.close(self.view.data.descriptor)

    def send(self, message: bytes) -> bytes | None:
        """Send raw bytes and give the raw reply, None when there is none; notices are put aside."""
        self._ours.send(message)
        assert self.connection.serve(1, 0) is State.BUSY
        try:
            while True:
                reply = self._ours.recv(_LARGEST)
                if wire.OUT_HEADER.unpack_from(reply)[2]:
                    return reply
                self.notices.append(reply)
        except BlockingIOError:
            return None

    def ask(self, opcode: int, nodeid: int = 1, body: bytes = b"", *, extra: int = 0) -> tuple[int, bytes]:
        """Send a request as root and give (errno, what follows the header) of the reply."""
        self._unique += 2
        head = wire.IN_HEADER.pack(
            wire.IN_HEADER.size + len(body), opcode, self._unique, nodeid, 0, 0, os.getpid(), extra, 0
        )
        reply = self.send(head + body)
        assert reply is not None, "there was no reply"
        length, error, unique = wire.OUT_HEADER.unpack_from(reply)
        assert length == len(reply)
        assert unique == self._unique
        return -error, reply[wire.OUT_HEADER.size :]

    def tell(self, opcode: int, nodeid: int, body: bytes) -> None:
        """Send a request that gets no reply."""
        head = wire.IN_HEADER.pack(wire.IN_HEADER.size + len(body), opcode, 3, nodeid, 0, 0, 0, 0, 0)
        assert self.send(head + body) is None

    def start(self) -> None:
        """Negotiate."""
        assert self.ask(Opcode.INIT, 0, _INIT)[0] == 0

    def make(self, name: bytes) -> int:
        """Make a file and give its node id."""
        error, reply = self.ask(
            Opcode.CREATE, 1, wire.CREATE_IN.pack(0, stat.S_IFREG | 0o640, 0, 0) + name + b"\0"
        )
        assert error == 0
        return int(wire.ENTRY_OUT.unpack_from(reply)[0])

    def look(self, name: bytes, parent: int = 1) -> int:
        """Look a name up and give its node id; 0 when it does not exist."""
        error, body = self.ask(Opcode.LOOKUP, parent, name + b"\0")
        assert error == 0
        return int(wire.ENTRY_OUT.unpack_from(body)[0])

    def notice(self) -> bytes:
        """Give what was sent unasked."""
        return self._ours.recv(_LARGEST)

    @property
    def descriptor(self) -> int:
        """The server's end."""
        return self._theirs.fileno()


@pytest.fixture
def fresh() -> Iterator[Kernel]:
    """Give a connection before INIT."""
    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(fresh: Kernel) -> Kernel:
    """Give a connection after INIT."""
    fresh.start()
    return fresh


def test_nothing_is_answered_before_init(fresh: Kernel) -> None:
    """A request before INIT fails, and works afterwards."""
    assert fresh.ask(Opcode.GETATTR, 1, bytes(16)) == (EIO, b"")
    fresh.start()
    assert fresh.ask(Opcode.GETATTR, 1, bytes(16))[0] == 0


def test_an_old_kernel_is_refused(fresh: Kernel) -> None:
    """A kernel that is too old is told so, and the connection remembers it."""
    assert fresh.ask(Opcode.INIT, 0, wire.INIT_IN_SHORT.pack(7, 20, 0, 0)) == (EPROTO, b"")
    assert fresh.connection.refused


def test_a_newer_major_asks_again(fresh: Kernel) -> None:
    """A kernel with a larger major version is told ours, and its second INIT is agreed to."""
    error, body = fresh.ask(Opcode.INIT, 0, wire.INIT_IN_SHORT.pack(8, 0, 0, 0))
    assert (error, wire.INIT_OUT.unpack_from(body)[0]) == (0, 7)
    fresh.start()


def test_a_file_is_made_written_and_read(kernel: Kernel) -> None:
    """CREATE, WRITE, READ and GETATTR work by node id alone, and the log has the writer."""
    body = wire.CREATE_IN.pack(0, stat.S_IFREG | 0o640, 0, 0) + b"new\0"
    error, reply = kernel.ask(Opcode.CREATE, 1, body)
    assert error == 0
    node = wire.ENTRY_OUT.unpack_from(reply)[0]
    handle, flags, _ = wire.OPEN_OUT.unpack_from(reply, wire.ENTRY_OUT.size)
    assert (handle, flags) == (0, wire.FOPEN_KEEP_CACHE)
    content = bytes(range(256)) * 40
    error, reply = kernel.ask(
        Opcode.WRITE, node, wire.WRITE_IN.pack(0, 0, len(content), 0, 0, 0, 0) + content
    )
    assert wire.WRITE_OUT.unpack_from(reply)[0] == len(content)
    assert kernel.ask(Opcode.READ, node, wire.READ_IN.pack(0, 5, 9000, 0, 0, 0, 0)) == (0, content[5:9005])
    assert wire.ATTR_OUT.unpack_from(kernel.ask(Opcode.GETATTR, node, bytes(16))[1])[4] == len(content)
    assert kernel.ask(Opcode.CREATE, 1, body) == (EEXIST, b"")
    assert [record.pid for record in kernel.trace.records()] == [os.getpid()] * 2


def test_pages_changed_in_memory_are_put_down_to_the_last_writer(kernel: Kernel) -> None:
    """The kernel writes mapped pages itself: such a write counts for who changed the file before."""
    node = kernel.look(b"file")
    kernel.ask(Opcode.WRITE, node, wire.WRITE_IN.pack(0, 0, 1, 0, 0, 0, 0) + b"x")
    cached = wire.WRITE_IN.pack(0, 0, 1, wire.WRITE_CACHE, 0, 0, 0) + b"y"
    head = wire.IN_HEADER.pack(wire.IN_HEADER.size + len(cached), Opcode.WRITE, 9, node, 0, 0, 0, 0, 0)
    assert kernel.send(head + cached) is not None
    assert [record.pid for record in kernel.trace.records()] == [os.getpid()] * 2


def test_a_missing_name_is_remembered(kernel: Kernel) -> None:
    """A name that does not exist is answered by node 0 with a life time, not by an error."""
    error, body = kernel.ask(Opcode.LOOKUP, 1, b"missing\0")
    assert error == 0
    node, _, life = wire.ENTRY_OUT.unpack_from(body)[:3]
    assert node == 0
    assert life > 0


def test_references_are_counted(kernel: Kernel) -> None:
    """A removed file lives until as many references are dropped as were given."""
    node = kernel.look(b"file")
    assert kernel.look(b"file") == node
    assert kernel.ask(Opcode.UNLINK, 1, b"file\0") == (0, b"")
    kernel.tell(Opcode.FORGET, node, wire.FORGET_IN.pack(1))
    assert kernel.ask(Opcode.GETATTR, node, bytes(16))[0] == 0
    one = wire.BATCH_FORGET_IN.pack(1, 0) + wire.FORGET_ONE.pack(node, 1)
    kernel.tell(Opcode.BATCH_FORGET, 0, one)
    assert kernel.ask(Opcode.GETATTR, node, bytes(16)) == (ESTALE, b"")


def test_what_the_kernel_forgets_in_bulk_waits_for_a_quiet_moment(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other requests come first, references given again meanwhile stay, and in the end none is left."""
    monkeypatch.setattr(names, "_FORGOTTEN_AT_ONCE", 2)
    made = [kernel.make(b"%d" % number) for number in range(6)]
    for number in range(6):
        assert kernel.ask(Opcode.UNLINK, 1, b"%d\0" % number) == (0, b"")
    body = wire.BATCH_FORGET_IN.pack(6, 0) + b"".join(wire.FORGET_ONE.pack(node, 1) for node in made)
    kernel.tell(Opcode.BATCH_FORGET, 0, body)
    assert [node in kernel.view.nodes for node in made] == [False, False, True, True, True, True]
    kernel.view.nodes[made[-1]].lookups += 1
    assert kernel.connection.serve(10, 0) is State.IDLE
    assert [node in kernel.view.nodes for node in made] == [False] * 5 + [True]
    monkeypatch.setattr(names, "_FORGOTTEN_MAX", 0)
    kernel.tell(Opcode.BATCH_FORGET, 0, body)
    assert made[-1] not in kernel.view.nodes


def test_space_goes_back_to_the_disk_in_a_quiet_moment(kernel: Kernel) -> None:
    """Whoever removes a file does not wait for that; whoever asks for the free space hears of it before."""
    descriptor = kernel.view.data.descriptor
    _, reply = kernel.ask(Opcode.CREATE, 1, wire.CREATE_IN.pack(0, 0o644, 0, 0) + b"new\0")
    node = wire.ENTRY_OUT.unpack_from(reply)[0]
    content = bytes(2 * RELEASE_BYTES_MIN)
    kernel.ask(Opcode.WRITE, node, wire.WRITE_IN.pack(0, 0, len(content), 0, 0, 0, 0) + content)
    taken = os.fstat(descriptor).st_blocks
    kernel.ask(Opcode.UNLINK, 1, b"new\0")
    kernel.tell(Opcode.FORGET, node, wire.FORGET_IN.pack(1))
    assert kernel.ask(Opcode.STATFS)[0] == 0
    assert kernel.view.space().f_bfree > os.fstatvfs(descriptor).f_bfree
    assert os.fstat(descriptor).st_blocks == taken
    assert kernel.connection.serve(2, 0) is State.IDLE
    assert os.fstat(descriptor).st_blocks < taken


def test_listings_count_references_only_with_entries(kernel: Kernel) -> None:
    """READDIRPLUS gives a reference for each name but the dots; READDIR gives none."""
    body = wire.READ_IN.pack(0, 0, 8192, 0, 0, 0, 0)
    plain = kernel.ask(Opcode.READDIR, 1, body)[1]
    assert all(node.lookups == 0 for node in kernel.view.entries(kernel.view.directory(1)).values())
    plus = kernel.ask(Opcode.READDIRPLUS, 1, body)[1]
    assert all(node.lookups == 1 for node in kernel.view.entries(kernel.view.directory(1)).values())
    for name in (b".", b"..", b"file", b"folder", b"link"):
        assert name in plain
        assert name in plus
    assert kernel.ask(Opcode.READDIR, 1, wire.READ_IN.pack(0, 5, 8192, 0, 0, 0, 0)) == (0, b"")


def test_a_small_buffer_gets_part_of_a_listing(kernel: Kernel) -> None:
    """A listing that does not fit is cut between entries, and goes on behind the last one."""
    seen, position = 0, 0
    while chunk := kernel.ask(Opcode.READDIR, 1, wire.READ_IN.pack(0, position, 64, 0, 0, 0, 0))[1]:
        assert len(chunk) <= 64
        offset = 0
        while offset < len(chunk):
            _, position, length, _ = wire.DIRENT.unpack_from(chunk, offset)
            offset += (wire.DIRENT.size + length + 7) & ~7
            seen += 1
    assert seen == 5


def test_xattrs_are_sized(kernel: Kernel) -> None:
    """A question for the length gets the length, too little room an error."""
    node = kernel.look(b"file")
    value = wire.SETXATTR_IN.pack(3, 0, 0, 0) + b"user.a\0" + b"abc"
    assert kernel.ask(Opcode.SETXATTR, node, value) == (0, b"")
    for size, expected in ((0, (0, wire.GETXATTR_OUT.pack(3, 0))), (3, (0, b"abc")), (2, (ERANGE, b""))):
        question = wire.GETXATTR_IN.pack(size, 0) + b"user.a\0"
        assert kernel.ask(Opcode.GETXATTR, node, question) == expected
    assert kernel.ask(Opcode.LISTXATTR, node, wire.GETXATTR_IN.pack(99, 0)) == (0, b"user.a\0")
    assert kernel.ask(Opcode.REMOVEXATTR, node, b"user.a\0") == (0, b"")
    assert kernel.ask(Opcode.GETXATTR, node, wire.GETXATTR_IN.pack(9, 0) + b"user.a\0") == (ENODATA, b"")


def test_ranges_are_copied_and_found(kernel: Kernel) -> None:
    """COPY_FILE_RANGE says how much it copied in both of its forms; LSEEK finds holes."""
    source, target = kernel.look(b"file"), kernel.look(b"inner", kernel.look(b"folder"))
    body = wire.COPY_FILE_RANGE_IN.pack(0, 0, target, 0, 0, 5, 0)
    assert kernel.ask(Opcode.COPY_FILE_RANGE, source, body) == (0, wire.WRITE_OUT.pack(5, 0))
    body = wire.COPY_FILE_RANGE_IN.pack(0, 6, target, 0, 8192, 1 << 62, 0)
    assert kernel.ask(Opcode.COPY_FILE_RANGE_64, source, body) == (0, wire.COPY_FILE_RANGE_OUT.pack(7))
    assert kernel.ask(Opcode.READ, target, wire.READ_IN.pack(0, 0, 9999, 0, 0, 0, 0))[1] == (
        b"lowere" + bytes(8186) + b"content"
    )
    for offset, whence, expected in ((0, os.SEEK_HOLE, 4096), (4097, os.SEEK_DATA, 8192)):
        found = kernel.ask(Opcode.LSEEK, target, wire.LSEEK_IN.pack(0, offset, whence, 0))
        assert found == (0, wire.LSEEK_OUT.pack(expected))
    assert kernel.ask(Opcode.LSEEK, target, wire.LSEEK_IN.pack(0, 9999, os.SEEK_DATA, 0)) == (ENXIO, b"")
    negative = wire.LSEEK_IN.pack(0, (1 << 64) - 1, os.SEEK_DATA, 0)
    assert kernel.ask(Opcode.LSEEK, target, negative) == (ENXIO, b"")


def test_set_id_bits_go_when_the_kernel_says_so(kernel: Kernel) -> None:
    """The flag of a WRITE or of a SETATTR takes the bits, even of root; without it they stay.

    The reply of a WRITE says nothing of modes, so the kernel is told to ask again.
    """
    node = kernel.look(b"file")
    for flags, expected in ((0, 0o6755), (wire.WRITE_KILL_SUIDGID, 0o755)):
        kernel.view.node(node).mode = stat.S_IFREG | 0o6755
        kernel.ask(Opcode.WRITE, node, wire.WRITE_IN.pack(0, 0, 1, flags, 0, 0, 0) + b"x")
        assert stat.S_IMODE(kernel.view.node(node).mode) == expected
    notice = wire.OUT_HEADER.pack(40, 2, 0) + wire.NOTIFY_INVAL_INODE_OUT.pack(node, -1, 0)
    assert kernel.notices == [notice]
    for flag, expected in ((0, 0o6755), (wire.SetAttr.KILL_SUIDGID, 0o755)):
        kernel.view.node(node).mode = stat.S_IFREG | 0o6755
        kernel.ask(Opcode.SETATTR, node, wire.SETATTR_IN.pack(wire.SetAttr.SIZE | flag, *(0,) * 15))
        assert stat.S_IMODE(kernel.view.node(node).mode) == expected


def test_what_is_not_needed_is_refused_for_good(kernel: Kernel) -> None:
    """Opening, closing, syncing and the like are answered with ENOSYS, so the kernel stops asking."""
    for opcode in NEVER_AGAIN | {Opcode.OPEN, Opcode.OPENDIR, Opcode.FSYNC, Opcode.FSYNCDIR}:
        assert kernel.ask(opcode, 1, bytes(64)) == (ENOSYS, b""), opcode
    assert kernel.ask(Opcode.IOCTL, 1, bytes(64)) == (ENOTTY, b"")


def test_a_durable_session_syncs(fresh: Kernel) -> None:
    """Where a session is meant to survive, FSYNC is answered by syncing."""
    kernel = fresh
    kernel.view.durable = True
    kernel.start()
    for opcode in (Opcode.FSYNC, Opcode.FSYNCDIR, Opcode.SYNCFS):
        assert kernel.ask(opcode, 1, wire.FSYNC_IN.pack(0, 0, 0)) == (0, b"")


def test_unknown_requests_are_not_implemented(kernel: Kernel) -> None:
    """An operation that nobody knows gets ENOSYS, however large its number."""
    for opcode in (0, 7, 19, max(Opcode) + 1, 4096, 0xFFFFFFFF):
        assert kernel.ask(opcode, 1, bytes(40)) == (ENOSYS, b""), opcode


def test_extensions_are_left_out(kernel: Kernel) -> None:
    """Extensions at the end of a request are not taken for a part of it."""
    assert kernel.ask(Opcode.LOOKUP, 1, b"file\0" + bytes(8), extra=1)[0] == 0


_BODY = b"file\0"
_REQUEST = wire.IN_HEADER.pack(wire.IN_HEADER.size + len(_BODY), Opcode.LOOKUP, 8, 1, 0, 0, 1, 0, 0) + _BODY


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(_REQUEST[:12], id="no whole header"),
        pytest.param(_REQUEST + b"more", id="longer than it says"),
        pytest.param(_REQUEST[:-1], id="shorter than it says"),
        pytest.param(_REQUEST[:36] + b"\xff\xff" + _REQUEST[38:], id="extensions longer than all"),
    ],
)
def test_a_damaged_request_is_refused_and_logged(
    kernel: Kernel, message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that contradicts itself gets an error, a line in the log, and harms nothing."""
    reply = kernel.send(message)
    assert reply is not None
    assert wire.OUT_HEADER.unpack_from(reply)[1] == -EIO
    assert "not what the protocol says" in caplog.text
    assert kernel.look(b"file")


@pytest.mark.parametrize("body", [b"", b"\0", b"file", b"a\0b\0", b"file\0\0"])
def test_a_damaged_name_is_refused(kernel: Kernel, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A name must be there, once, ended by a NUL byte."""
    assert kernel.ask(Opcode.LOOKUP, 1, body) == (EIO, b"")
    assert "one name" in caplog.text


def test_an_error_of_ours_is_logged_and_harms_nothing(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect behind the boundary becomes EIO for one caller, and a traceback in the log."""
    node = kernel.look(b"link")
    kernel.view.nodes[node].mtime = "soon"  # type: ignore[assignment]  # a defect, made by hand
    assert kernel.ask(Opcode.GETATTR, node, bytes(16)) == (EIO, b"")
    assert kernel.look(b"file")
    assert [record.message for record in caplog.records if record.exc_info] == ["a request failed"]


def test_the_end_of_a_connection_is_noticed(kernel: Kernel) -> None:
    """A connection without the other end is at its end, not an error."""
    kernel.connection._receive = lambda: -1  # type: ignore[method-assign]  # a socket ends differently
    kernel._ours.send(b"x")
    assert kernel.connection.serve(10, 0) is State.ENDED


def test_an_idle_connection_pauses(kernel: Kernel) -> None:
    """Without requests serving pauses, and after a batch it does too."""
    assert kernel.connection.serve(10, 0) is State.IDLE


def test_what_can_wait_is_done_piece_by_piece_and_a_request_comes_first(kernel: Kernel) -> None:
    """A piece is followed by the next one, unless a request came meanwhile: that is answered before."""
    answered: list[int] = []

    def piece() -> bool:
        answered.append(kernel.connection.requests)
        if len(answered) == 2:
            kernel._ours.send(wire.IN_HEADER.pack(wire.IN_HEADER.size, Opcode.STATFS, 7, 1, 0, 0, 0, 0, 0))
        return len(answered) < 4

    before = kernel.connection.requests
    kernel.view.when_quiet = piece
    assert kernel.connection.serve(10, 0) is State.IDLE
    assert answered == [before, before, before + 1, before + 1]


def test_notices_have_the_form_of_the_protocol(kernel: Kernel) -> None:
    """Each notice has its code where a reply has its error, and no request id."""
    notifier = Notifier(kernel.descriptor)
    notifier.forget_attributes(5)
    assert kernel.notice() == wire.OUT_HEADER.pack(40, 2, 0) + wire.NOTIFY_INVAL_INODE_OUT.pack(5, -1, 0)
    notifier.forget_content(5, 10, 20)
    assert kernel.notice() == wire.OUT_HEADER.pack(40, 2, 0) + wire.NOTIFY_INVAL_INODE_OUT.pack(5, 10, 20)
    notifier.forget_entry(1, b"na")
    assert (
        kernel.notice()
        == wire.OUT_HEADER.pack(35, 3, 0) + wire.NOTIFY_INVAL_ENTRY_OUT.pack(1, 2, 0) + b"na\0"
    )
    notifier.deleted(1, 5, b"na")
    assert (
        kernel.notice() == wire.OUT_HEADER.pack(43, 6, 0) + wire.NOTIFY_DELETE_OUT.pack(1, 5, 2, 0) + b"na\0"
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(_OPCODES, _NODES, _USERS, _BODIES), min_size=1, max_size=40))
def test_requests_with_any_fields_are_answered(requests: list[tuple[int, int, int, bytes]]) -> None:
    """Requests made of extreme numbers and odd names get their one reply, and reveal no defect."""
    kernel = Kernel()
    defects = _Defects()
    logging.getLogger("catfs.overlay.transports.devfuse.connection").addFilter(defects)
    try:
        kernel.start()
        for name in (b"file", b"folder", b"link"):
            kernel.look(name)
        for opcode, node, uid, body in requests:
            head = wire.IN_HEADER.pack(wire.IN_HEADER.size + len(body), opcode, 6, node, uid, uid, 0, 0, 0)
            reply = kernel.send(head + body)
            assert reply is not None or opcode in _WITHOUT_REPLY
            if reply is not None:
                length, error, unique = wire.OUT_HEADER.unpack_from(reply)
                assert (length, unique) == (len(reply), 6)
                assert -511 <= error <= 0
        assert kernel.ask(Opcode.GETATTR, 1, bytes(16))[0] == 0
    finally:
        logging.getLogger("catfs.overlay.transports.devfuse.connection").removeFilter(defects)
        kernel.close()
    assert defects.found == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.binary(min_size=1, max_size=300))
def test_random_bytes_never_end_the_connection(
    kernel: Kernel, caplog: pytest.LogCaptureFixture, message: bytes
) -> None:
    """Bytes that are no request at all are refused, whatever they are."""
    caplog.set_level(logging.CRITICAL, logger="catfs")
    kernel.send(message)
    assert kernel.look(b"missing") == 0
