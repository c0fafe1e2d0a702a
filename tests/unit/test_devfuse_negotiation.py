"""What is agreed with a kernel, for kernels that are not here."""

import struct
from errno import EPROTO

import pytest

from catfs.overlay.transports.devfuse.negotiation import MAX_TRANSFER_BYTES, WANTED, negotiate
from catfs.overlay.transports.devfuse.wire import (
    INIT_IN,
    INIT_IN_SHORT,
    INIT_OUT,
    PROTOCOL_MINOR,
    Init,
)


def _offer(minor: int, flags: int, major: int = 7) -> memoryview:
    rest = (flags >> 32, *(0,) * 11)
    return memoryview(INIT_IN.pack(major, minor, 131072, flags & 0xFFFFFFFF, *rest))


def test_takes_what_is_wanted_and_offered() -> None:
    """Of an offer of everything exactly the wanted features are taken, and the older version."""
    agreement = negotiate(_offer(38, (1 << 64) - 1))
    assert agreement is not None
    assert agreement.flags == WANTED
    assert agreement.minor == 38
    assert agreement.max_readahead == 131072


def test_takes_nothing_that_is_not_offered() -> None:
    """A kernel with few features gets few, and a short INIT of an old one is understood."""
    offer = memoryview(INIT_IN_SHORT.pack(7, 31, 4096, Init.ASYNC_READ | Init.POSIX_ACL))
    agreement = negotiate(offer)
    assert agreement is not None
    assert agreement.flags == Init.ASYNC_READ
    assert agreement.minor == 31


def test_never_takes_what_would_lose_changes() -> None:
    """Truncation at open would be lost without OPEN, delayed writes would hide who wrote."""
    for flag in (Init.ATOMIC_O_TRUNC, Init.WRITEBACK_CACHE, Init.AUTO_INVAL_DATA):
        assert not WANTED & flag


@pytest.mark.parametrize("missing", [Init.DONT_MASK, Init.SETXATTR_EXT, Init.POSIX_ACL])
def test_takes_access_lists_only_with_all_that_they_need(missing: Init) -> None:
    """Without the umask of new names, or word of set-gid bits, lists could not be kept right."""
    agreement = negotiate(_offer(38, ~int(missing) & ((1 << 64) - 1)))
    assert agreement is not None
    assert not agreement.flags & Init.POSIX_ACL


def test_speaks_no_newer_minor_than_it_knows() -> None:
    """A kernel of the future is spoken to in the version described here."""
    agreement = negotiate(_offer(99, 0))
    assert agreement is not None
    assert agreement.minor == PROTOCOL_MINOR


def test_lets_a_newer_major_ask_again() -> None:
    """A larger major version gets no agreement."""
    assert negotiate(_offer(0, 0, major=8)) is None


@pytest.mark.parametrize(("major", "minor"), [(7, 30), (6, 99), (0, 0)])
def test_refuses_an_older_kernel(major: int, minor: int) -> None:
    """Kernels before 7.31 are refused."""
    with pytest.raises(OSError, match="rotocol") as failure:
        negotiate(_offer(minor, 0, major))
    assert failure.value.errno == EPROTO


def test_refuses_a_short_message() -> None:
    """An INIT that ends early is no INIT."""
    for length in range(INIT_IN_SHORT.size):
        with pytest.raises(struct.error, match="buffer"):
            negotiate(_offer(38, 0)[:length])
    with pytest.raises(struct.error, match="buffer"):
        negotiate(_offer(38, Init.INIT_EXT)[: INIT_IN_SHORT.size + 3])


def test_the_reply_states_the_agreement() -> None:
    """Version, features, sizes and granularity are in the answer."""
    agreement = negotiate(_offer(38, (1 << 64) - 1))
    assert agreement is not None
    reply = INIT_OUT.unpack_from(agreement.reply())
    major, minor, readahead, flags, _, _, max_write, granularity, pages, _, flags2 = reply[:11]
    assert (major, minor, readahead) == (7, 38, 131072)
    assert flags | flags2 << 32 == WANTED
    assert max_write == MAX_TRANSFER_BYTES == pages * 4096
    assert granularity == 1
