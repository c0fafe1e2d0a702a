"""Rows on single system calls: many small files, one directory, one big file, several clients."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.bench.inside import Step, Work
from tools.bench.material import Scale, file_name, make_big_file, make_flat
from tools.bench.model import FUSE_OVERLAYFS, NATIVE, OVERLAYFS, Promise, Row, RowError

AS_FAST: Final = Promise(1.0, peer=FUSE_OVERLAYFS)
"""At least as fast as fuse-overlayfs."""
TWICE: Final = Promise(0.5, peer=FUSE_OVERLAYFS)
"""At least twice as fast."""

_BLOCK = b"\xa5" * 4096
_MEBIBYTE = b"\x5a" * (1 << 20)
_PASSES = 5
"""How often a row on cached answers asks for all of them."""
_CLIENTS = 4


def file_rows(scale: Scale) -> list[Row]:
    """Give the rows on single system calls.

    Args:
        scale: How much of everything.
    """
    return [*_small_file_rows(scale), *_name_rows(scale), *_big_file_rows(scale), *_client_rows(scale)]


def expect(condition: bool, problem: str) -> None:
    """Refuse a row that did not do its work.

    Raises:
        RowError: when the condition does not hold.
    """
    if not condition:
        raise RowError(problem, hint="its time would mean nothing")


def _small_file_rows(scale: Scale) -> list[Row]:
    count = scale.files
    prepare = _flat(count)
    names = [f"flat/{file_name(index)}" for index in range(count)]
    missing = [f"flat/missing{index}" for index in range(count)]
    stat_all = _each(names, os.stat)
    created = _counted("new", count)
    return [
        Row(
            "create",
            f"create and write {count} files of 4 KiB",
            prepare,
            Work(_create(count), created, _make_folder).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "stat-cold",
            f"stat {count} files that the kernel does not know yet",
            prepare,
            Work(stat_all, cold=True).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "stat-warm",
            f"stat {count} known files, {_PASSES} times",
            prepare,
            Work(_repeat(stat_all, _PASSES), warm=stat_all).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "stat-negative",
            f"stat {count} names that do not exist, {_PASSES} times",
            prepare,
            Work(_repeat(_each(missing, _stat_missing), _PASSES)).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "open-read",
            f"open, read and close {count} files of 4 KiB, {_PASSES} times",
            prepare,
            Work(_repeat(_each(names, _read_file), _PASSES)).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "append",
            f"append 4 KiB to each of {scale.appended} existing files of 64 KiB",
            _flat(scale.appended, 65536),
            Work(_each(names[: scale.appended], _append), _appended(scale.appended)).measure,
            promises=(TWICE,),
        ),
    ]


def _name_rows(scale: Scale) -> list[Row]:
    count = scale.files
    names = [f"flat/{file_name(index)}" for index in range(count)]
    fresh = [f"new/{file_name(index)}" for index in range(count)]
    prepare = _flat(count)
    make_fresh = _both(_make_folder, _create(count))
    return [
        Row(
            "readdir",
            f"list a directory of {count} names, {_PASSES} times",
            prepare,
            Work(_repeat(_list_flat(count), _PASSES), cold=True).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "rename",
            f"rename {count} files made in the mount",
            prepare,
            Work(_each(fresh, _rename), _renamed("new", count), make_fresh).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "rename-lower",
            f"rename {count} files that were there before",
            prepare,
            Work(_each(names, _rename), _renamed("flat", count)).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "unlink",
            f"unlink {count} files made in the mount",
            prepare,
            Work(_each(fresh, os.unlink), _counted("new", 0), make_fresh).measure,
            promises=(AS_FAST,),
        ),
        Row(
            "unlink-lower",
            f"unlink {count} files that were there before",
            prepare,
            Work(_each(names, os.unlink), _counted("flat", 0)).measure,
            promises=(AS_FAST,),
        ),
    ]


def _big_file_rows(scale: Scale) -> list[Row]:
    size = scale.big_bytes
    mebibytes = size >> 20
    read = functools.partial(_read_big, size=size)
    return [
        Row(
            "patch-big",
            f"write 4 KiB into the middle of an existing file of {mebibytes} MiB",
            _big(size),
            Work(functools.partial(_patch_big, size=size), functools.partial(_patched, size=size)).measure,
            promises=(Promise(0.01, peer=OVERLAYFS),),
        ),
        Row(
            "write-big",
            f"write {mebibytes} MiB in blocks of 1 MiB, without fsync",
            _flat(1),
            Work(functools.partial(_write_big, size=size), functools.partial(_written, size=size)).measure,
            promises=(Promise(1 / 0.8, peer=NATIVE),),
        ),
        Row(
            "read-big",
            f"read {mebibytes} MiB that are in memory, in blocks of 1 MiB",
            _big(size),
            Work(read, warm=read).measure,
            promises=(Promise(1 / 0.9, peer=NATIVE),),
        ),
    ]


def _client_rows(scale: Scale) -> list[Row]:
    each = "create, write, stat, read and unlink"
    return [
        Row(
            "one-client",
            f"{each} {scale.files} files in one process",
            _flat(1),
            Work(functools.partial(_clients, clients=1, files=scale.files), _counted("new", 0)).measure,
        ),
        Row(
            "many-clients",
            f"{each} {scale.files} files, shared by {_CLIENTS} processes at once",
            _flat(1),
            Work(
                functools.partial(_clients, clients=_CLIENTS, files=scale.files), _counted("new", 0)
            ).measure,
            promises=(Promise(1.0, row="one-client"),),
        ),
    ]


def _flat(count: int, size: int = 4096) -> Step:
    def prepare(lower: Path, assets: Path) -> None:
        del assets
        make_flat(lower / "flat", count, size)

    return prepare


def _big(size: int) -> Step:
    def prepare(lower: Path, assets: Path) -> None:
        del assets
        make_big_file(lower / "big", size)

    return prepare


def _each(names: list[str], act: Callable[[str], object]) -> Step:
    """Do one thing to each of some files; the working directory is the root of the mount."""

    def run(root: Path, assets: Path) -> None:
        del root, assets
        for name in names:
            act(name)

    return run


def _repeat(step: Step, times: int) -> Step:
    def run(root: Path, assets: Path) -> None:
        for _ in range(times):
            step(root, assets)

    return run


def _both(first: Step, second: Step) -> Step:
    def run(root: Path, assets: Path) -> None:
        first(root, assets)
        second(root, assets)

    return run


def _make_folder(root: Path, assets: Path) -> None:
    del assets
    (root / "new").mkdir()


def _create(count: int) -> Step:
    return _each([f"new/{file_name(index)}" for index in range(count)], _write_block)


def _write_block(name: str) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, _BLOCK)
    os.close(descriptor)


def _stat_missing(name: str) -> None:
    try:
        os.stat(name)
    except FileNotFoundError:
        return
    raise RowError(f"{name} exists")


def _read_file(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    got = len(os.read(descriptor, 8192))
    os.close(descriptor)
    expect(got == 4096, f"{name}: expected 4096 bytes, got {got}")


def _append(name: str) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, _BLOCK)
    os.close(descriptor)


def _rename(name: str) -> None:
    os.rename(name, name + ".moved")


def _list_flat(count: int) -> Step:
    def run(root: Path, assets: Path) -> None:
        del assets
        got = len(os.listdir(root / "flat"))
        expect(got == count, f"flat: expected {count} names, got {got}")

    return run


def _counted(folder: str, count: int) -> Step:
    def verify(root: Path, assets: Path) -> None:
        del assets
        got = len(os.listdir(root / folder))
        expect(got == count, f"{folder}: expected {count} names, got {got}")

    return verify


def _renamed(folder: str, count: int) -> Step:
    def verify(root: Path, assets: Path) -> None:
        del assets
        got = sum(name.endswith(".moved") for name in os.listdir(root / folder))
        expect(got == count, f"{folder}: expected {count} renamed files, got {got}")

    return verify


def _appended(count: int) -> Step:
    def verify(root: Path, assets: Path) -> None:
        del assets
        for index in range(count):
            content = (root / "flat" / file_name(index)).read_bytes()
            expect(
                len(content) == 69632 and content.endswith(_BLOCK),
                f"{file_name(index)} lacks what was appended",
            )

    return verify


def _patch_big(root: Path, assets: Path, *, size: int) -> None:
    del assets
    descriptor = os.open(root / "big", os.O_RDWR)
    os.pwrite(descriptor, _BLOCK, size // 2)
    os.close(descriptor)


def _patched(root: Path, assets: Path, *, size: int) -> None:
    del assets
    with (root / "big").open("rb") as stream:
        stream.seek(size // 2)
        expect(stream.read(4096) == _BLOCK, "big lacks the 4 KiB that were written")
        expect(stream.read(4096) != _BLOCK, "big was changed beyond what was written")
    expect((root / "big").stat().st_size == size, "big has another size than before")


def _write_big(root: Path, assets: Path, *, size: int) -> None:
    del assets
    descriptor = os.open(root / "written", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    for _ in range(size >> 20):
        os.write(descriptor, _MEBIBYTE)
    os.close(descriptor)


def _written(root: Path, assets: Path, *, size: int) -> None:
    del assets
    got = (root / "written").stat().st_size
    expect(got == size, f"written: expected {size} bytes, got {got}")


def _read_big(root: Path, assets: Path, *, size: int) -> None:
    del assets
    buffer = bytearray(1 << 20)
    got = 0
    with (root / "big").open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            got += count
    expect(got == size, f"big: expected {size} bytes, got {got}")


def _clients(root: Path, assets: Path, *, clients: int, files: int) -> None:
    """Share the work among processes and wait for all of them."""
    del assets
    (root / "new").mkdir()
    children = []
    for client in range(clients):
        pid = os.fork()
        if pid == 0:
            _be_client(range(client, files, clients))
        children.append(pid)
    failed = [pid for pid in children if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0]
    expect(not failed, f"{len(failed)} of {clients} clients failed")


def _be_client(indices: range) -> None:
    status = 1
    try:
        for index in indices:
            name = f"new/{file_name(index)}"
            _write_block(name)
            os.stat(name)
            _read_file(name)
            os.unlink(name)
        status = 0
    finally:
        os._exit(status)
