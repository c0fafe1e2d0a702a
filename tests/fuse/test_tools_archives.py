"""Archivers and copiers do in a mount what they do outside: tar, rsync, cpio, unpacking of image layers."""

import os
import stat
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.workbench import TRANSPORTS, Workbench, all_times, open_workbench, times_of_files

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

_TIME = 1_600_000_000

LAYERS = """\
import os, shutil, sys, tarfile

def remove(path):
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)

def unpack(layer, top):
    archive = tarfile.open(layer)
    archive.extraction_filter = staticmethod(lambda member, path: member)
    directories = []
    for member in archive:
        path = os.path.join(top, member.name)
        folder, name = os.path.split(path)
        if name == ".wh..wh..opq":
            for entry in os.listdir(folder):
                remove(os.path.join(folder, entry))
        elif name.startswith(".wh."):
            remove(os.path.join(folder, name[4:]))
        else:
            if os.path.lexists(path) and not (member.isdir() and os.path.isdir(path)):
                remove(path)
            archive.extract(member, top, numeric_owner=True)
            for key, value in member.pax_headers.items():
                if key.startswith("SCHILY.xattr."):
                    os.setxattr(path, key[13:], value.encode(), follow_symlinks=False)
            if member.isdir():
                directories.append(member)
    for member in directories:
        path = os.path.join(top, member.name)
        if os.path.isdir(path):
            os.utime(path, (member.mtime, member.mtime))

os.umask(0)
for layer in sys.argv[2:]:
    unpack(layer, sys.argv[1])
"""


def _member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname, member.mtime = kind, mode, link, _TIME + len(name)
    return member


def _device(name: str, kind: bytes, mode: int, number: tuple[int, int]) -> tarfile.TarInfo:
    member = _member(name, kind, mode)
    member.devmajor, member.devminor = number
    return member


def _write_layer(path: Path, members: list[tarfile.TarInfo]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            content = f"content of {member.name} in {path.name}\n".encode() if member.isreg() else b""
            member.size = len(content)
            archive.addfile(member, BytesIO(content))


def _fill_layers(folder: Path) -> None:
    """Write three layers of an image as they come out of a registry."""
    folder.mkdir()
    owned = _member("home/ann/file", mode=0o600)
    owned.uid, owned.gid = 1000, 1001
    tagged = _member("usr/bin/tagged", mode=0o755)
    tagged.pax_headers = {"SCHILY.xattr.user.origin": "image"}
    directories = ["dev", "home", "home/ann", "etc", "usr", "usr/bin", "usr/lib", "tmp", "var", "var/cache"]
    base = [_member(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755) for name in directories]
    base += [
        _device("dev/null", tarfile.CHRTYPE, 0o666, (1, 3)),
        _device("dev/loop0", tarfile.BLKTYPE, 0o660, (7, 0)),
        _member("dev/initctl", tarfile.FIFOTYPE, 0o600),
        _member("usr/bin/perl", mode=0o755),
        _member("usr/bin/perl5", tarfile.LNKTYPE, link="usr/bin/perl"),
        _member("usr/bin/passwd", mode=0o4755),
        _member("usr/bin/wall", mode=0o2755),
        _member("usr/lib/libc.so.6", mode=0o755),
        _member("usr/lib/libc.so", tarfile.SYMTYPE, 0o777, "libc.so.6"),
        _member("lib", tarfile.SYMTYPE, 0o777, "usr/lib"),
        _member("etc/passwd"),
        _member("etc/old"),
        _member("var/cache/one"),
        _member("var/cache/two"),
        owned,
        tagged,
    ]
    _write_layer(folder / "1.tar", base)
    second = [
        _member("etc/.wh.old"),
        _member("etc/passwd"),
        _member("usr/bin/perl5.36", tarfile.LNKTYPE, link="usr/bin/perl"),
        _member("usr/lib/libc.so.7", mode=0o755),
        _member("usr/lib/libc.so", tarfile.SYMTYPE, 0o777, "libc.so.7"),
        _member("var/cache", tarfile.DIRTYPE),
        _member("var/cache/.wh..wh..opq"),
        _member("var/cache/three"),
    ]
    _write_layer(folder / "2.tar", second)
    third = [
        _member("etc/old", tarfile.DIRTYPE, 0o700),
        _member("etc/old/now-a-folder"),
        _member("home/.wh.ann"),
        _member("usr/lib/libc.so"),
        _member("dev/.wh.loop0"),
    ]
    _write_layer(folder / "3.tar", third)


def _fill_tree(tree: Path) -> None:
    """Make a tree with one of everything that an archive can hold."""
    (tree / "deep/er/est").mkdir(parents=True)
    (tree / "empty").mkdir(0o700)
    (tree / "shared").mkdir()
    (tree / "shared").chmod(0o3775)
    for index in range(60):
        (tree / f"deep/er/{index}").write_bytes(os.fsencode(f"{index} ") * index * 97)
    (tree / "none").touch()
    (tree / "program").write_bytes(b"#!/bin/sh\n")
    (tree / "program").chmod(0o4755)
    os.chown(tree / "none", 1234, 4321)
    os.link(tree / "program", tree / "deep/same-program")
    os.link(tree / "program", tree / "deep/er/same-program")
    (tree / "link").symlink_to("deep/er")
    (tree / "dangling").symlink_to("nowhere/" + "x" * 150)
    os.mkfifo(tree / "fifo", 0o640)
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tree / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 9))
    (Path(os.fsdecode(os.fsencode(tree) + b"/\xff\xfe name\n"))).write_bytes(b"odd")
    (tree / ("n" * 200)).write_bytes(b"long")
    os.setxattr(tree / "deep/er/7", "user.kept", b"value\0\xff")
    os.setxattr(tree / "deep", "user.folder", b"")
    with (tree / "sparse").open("wb") as file:
        for offset in (1 << 16, 1 << 18):
            file.seek(offset)
            file.write(b"island")
        file.truncate(1 << 20)
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, ns=(_TIME * 10**9, _TIME * 10**9 + 123_456_789), follow_symlinks=False)


def fill(lower: Path) -> None:
    """Put a tree and the layers of an image into the lower."""
    for name in ("tar", "rsync", "cpio"):
        (lower / name).mkdir()
        _fill_tree(lower / name / "tree")
    _fill_layers(lower / "layers")
    (lower / "image").mkdir()


def _is_below_out(path: bytes, mode: int) -> bool:
    del mode
    return path.startswith(b"out/tree")


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount with archives and the plain directory beside it."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("bench"), fill)


def test_tar_packs_and_unpacks_everything(bench: Workbench) -> None:
    """What comes out of an archive has the same content, kinds, modes, owners, links, holes and times."""
    script = """\
    tar -c --sort=name --sparse --xattrs --numeric-owner -f tree.tar tree
    mkdir out
    tar -x -p --xattrs --numeric-owner -f tree.tar -C out
    tar -d -f tree.tar -C out
    tar -x -p --xattrs --numeric-owner --overwrite -f tree.tar -C out
    tar -x -p --xattrs --unlink-first --recursive-unlink -f tree.tar -C out
    """
    bench.run(script, "tar")
    # The archive itself has the process id of tar in it, because of the sparse file.
    found = bench.compare("tar", ["tree.tar"], timed=_is_below_out)
    names = (b"out/tree/deep/er/same-program", b"out/tree/deep/same-program", b"out/tree/program")
    assert found[b"out/tree/program"].names == names
    sparse = (bench.server.mount / "tar/out/tree/sparse").stat()
    assert sparse.st_blocks * 512 < sparse.st_size // 8


def test_rsync_copies_everything_once(bench: Workbench) -> None:
    """All is copied by rsync -aHX, then nothing, then what changed, and what is gone is deleted."""
    script = """\
    rsync -aHX tree/ out/
    rsync -aHXi tree/ out/
    echo more >> tree/deep/er/5
    rm tree/deep/er/6
    ln tree/deep/er/8 tree/deep/er/eight
    touch -d @1600000001 tree/deep tree/deep/er tree/deep/er/5
    rsync -aHX --delete --inplace tree/ out/
    rsync -aHXi --delete --checksum tree/ out/
    """
    assert bench.run(script, "rsync") == b""
    found = bench.compare("rsync", timed=all_times)
    assert found[b"out/deep/er/7"].xattrs == (("user.kept", b"value\0\xff"),)


def test_cpio_copies_out_in_and_through(bench: Workbench) -> None:
    """A tree is packed by cpio, unpacked, and passed through with links."""
    script = """\
    find tree -depth -print0 | sort -z > names
    cpio --quiet --io-size=65536 -0 -o -H newc --reproducible < names > tree.cpio
    mkdir out through
    (cd out && cpio --quiet --io-size=65536 -i -d -m --no-absolute-filenames < ../tree.cpio)
    cpio --quiet --io-size=65536 -0 -p -d -m -l through < names
    """
    bench.run(script, "cpio")
    found = bench.compare("cpio", timed=lambda path, mode: stat.S_ISREG(mode) and b"tree/" in path)
    assert b"through/tree/deep/er/7" in found[b"tree/deep/er/7"].names
    assert stat.S_ISCHR(found[b"out/tree/null"].mode)


def test_image_layers_unpack_over_each_other(bench: Workbench) -> None:
    """Layers with hard links, device nodes, set-id bits, whiteouts and changed kinds give the same image."""
    bench.run('"$PYTHON" -c "$1" . ../layers/*.tar', "image", LAYERS)
    found = bench.compare("image", timed=times_of_files)
    assert found[b"dev/null"].device == os.makedev(1, 3)
    assert found[b"usr/bin/perl"].names == (b"usr/bin/perl", b"usr/bin/perl5", b"usr/bin/perl5.36")
    assert found[b"usr/bin/passwd"].mode & 0o7777 == 0o4755
    assert found[b"usr/bin/tagged"].xattrs == (("user.origin", b"image"),)
    assert stat.S_ISDIR(found[b"etc/old"].mode)
    assert not {b"dev/loop0", b"home/ann", b"var/cache/one"} & found.keys()
