"""What a session may expect of its data file, in memory and on the disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.overlay import DataFile, ForkedData


@pytest.fixture(params=["memory", "disk"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DataFile]:
    """Give an empty data file of each kind."""
    if request.param == "memory":
        descriptor = os.memfd_create("catfs-test", os.MFD_CLOEXEC)
    else:
        descriptor = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    yield DataFile(descriptor)
    os.close(descriptor)


def test_appended_bytes_follow_each_other(data: DataFile) -> None:
    """Each append starts where the last one ended, and is read back as it was."""
    assert data.append(b"first") == 0
    assert data.append(memoryview(b"second")) == 5
    assert data.size == 11
    assert data.read(0, 11) == b"firstsecond"
    assert data.read(3, 4) == b"stse"
    assert data.read(11, 0) == b""


def test_bytes_are_replaced_in_place(data: DataFile) -> None:
    """A write changes its range and nothing else, and not the size."""
    data.append(b"0123456789")
    data.write(3, b"abc")
    assert data.read(0, 10) == b"012abc6789"
    assert data.size == 10


def test_a_file_cut_by_somebody_else_is_noticed(data: DataFile) -> None:
    """A read never gives fewer bytes than asked for: it says where the file ends."""
    data.append(b"0123456789")
    os.ftruncate(data.descriptor, 4)
    with pytest.raises(EOFError, match="ends at 4, expected 8 bytes"):
        data.read(2, 6)


def test_released_space_leaves_the_rest_alone(data: DataFile) -> None:
    """Giving space back keeps the bytes around it and the positions."""
    data.append(b"a" * 4096 + b"b" * 65536 + b"c" * 4096)
    before = os.fstat(data.descriptor).st_blocks
    data.release(4096, 65536)
    assert data.read(0, 4096) == b"a" * 4096
    assert data.read(69632, 4096) == b"c" * 4096
    assert data.append(b"d") == data.size - 1 == 73728
    assert os.fstat(data.descriptor).st_blocks < before


def test_a_failed_append_counts_for_nothing(tmp_path: Path) -> None:
    """When the disk is full, the next append starts where the failed one started."""
    descriptor = os.open("/dev/full", os.O_RDWR | os.O_CLOEXEC)
    data = DataFile(descriptor, size=100)
    with pytest.raises(OSError, match="No space left on device"):
        data.append(b"lost")
    os.close(descriptor)
    assert data.size == 100
    data.descriptor = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    assert data.append(b"kept") == 100
    data.sync()
    assert data.read(100, 4) == b"kept"
    os.close(data.descriptor)


def test_a_fork_reads_both_parts_and_writes_only_its_own(data: DataFile) -> None:
    """What is added lies behind what was there and is read together with it; the file stays as it was."""
    data.append(b"0123456789")
    added = os.memfd_create("catfs-test-added", os.MFD_CLOEXEC)
    fork = ForkedData(data.descriptor, data.size, added)
    assert fork.append(b"abc") == 10
    assert fork.append(b"def") == 13
    assert fork.read(0, 16) == b"0123456789abcdef"
    assert fork.read(8, 4) == b"89ab"
    assert fork.read(12, 2) == b"cd"
    assert fork.read(3, 2) == b"34"
    fork.write(10, b"ABC")
    assert fork.read(9, 5) == b"9ABCd"
    assert (data.read(0, 10), os.fstat(data.descriptor).st_size) == (b"0123456789", 10)
    os.close(added)


def test_a_fork_of_an_empty_file_is_a_file(data: DataFile) -> None:
    """There is nothing below it."""
    added = os.memfd_create("catfs-test-added", os.MFD_CLOEXEC)
    fork = ForkedData(data.descriptor, 0, added)
    assert fork.append(b"abc") == 0
    assert fork.read(0, 3) == b"abc"
    with pytest.raises(EOFError, match="ends at 3, expected 4 bytes"):
        fork.read(0, 4)
    os.close(added)
