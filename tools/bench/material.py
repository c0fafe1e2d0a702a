"""What the rows work on: trees, an archive, a wheel, a repository and a C project, the same in every run."""

import json
import os
import random
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

_COPY = ("cp", "-a", "--reflink=never")
_SEED = 20_260_101
"""Of all random bytes, so that every run works on the same ones."""


DOMAIN_FILE_BYTES = 200
"""Bytes of an average file of the domains of the rows on proofs and memory."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything there is.

    Args:
        files: Files of the rows on single files.
        tree_folders: Folders of the trees.
        tree_files: Files in each of them.
        archive_files: Files in the archive.
        appended: Files that are appended to.
        inserts: Transactions of the database row.
        big_bytes: Size of the big file.
        sources: C files of the project.
        domain_small: Files of the small domain of the rows on proofs.
        domain_large: Files of the large one.
        repeats: How often a short command is started for one sample.
    """

    files: int = 2000
    tree_folders: int = 40
    tree_files: int = 50
    archive_files: int = 5000
    appended: int = 300
    inserts: int = 300
    big_bytes: int = 1 << 30
    sources: int = 60
    domain_small: int = 1_000
    domain_large: int = 100_000
    repeats: int = 5


FULL: Final = Scale()
"""What the promises are about."""
QUICK: Final = Scale(
    files=100,
    tree_folders=4,
    tree_files=10,
    archive_files=100,
    appended=20,
    inserts=10,
    big_bytes=8 << 20,
    sources=3,
    domain_small=100,
    domain_large=500,
    repeats=1,
)
"""For trying the tool itself; its times mean nothing."""

GIT_ENVIRONMENT: Final[Mapping[str, str]] = {
    **os.environ,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_OPTIONAL_LOCKS": "1",
    "LC_ALL": "C",
}
"""Nobody's configuration decides what git does."""


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory with everything in it, block by block even where blocks could be shared.

    Raises:
        subprocess.CalledProcessError: when that fails.
    """
    subprocess.run([*_COPY, str(source), str(target)], check=True)


def _source() -> random.Random:
    return random.Random(_SEED)  # noqa: S311  # nothing here is secret


def file_name(index: int) -> str:
    """Give the name of a numbered file."""
    return f"f{index:06d}"


def make_flat(folder: Path, count: int, size: int) -> None:
    """Make a folder of numbered files.

    Args:
        folder: Made, with what is above it.
        count: Number of files.
        size: Bytes in each; no two are equal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = _source()
    for index in range(count):
        (folder / file_name(index)).write_bytes(source.randbytes(size))


def make_tree(folder: Path, folders: int, files: int, size: int) -> None:
    """Make a folder of numbered folders of numbered files.

    Args:
        folder: Made, with what is above it.
        folders: Number of folders.
        files: Number of files in each.
        size: Bytes in each file.
    """
    for index in range(folders):
        make_flat(folder / f"d{index:04d}", files, size)


def make_domain(folder: Path, files: int, size: int = DOMAIN_FILE_BYTES) -> None:
    """Make a large tree of small files, a hundred in each folder.

    Args:
        folder: Where.
        files: How many.
        size: Bytes of an average file.
    """
    make_tree(folder, max(1, files // 100), min(files, 100), size)


def make_big_file(path: Path, size: int) -> None:
    """Make one file of random bytes.

    Args:
        path: Where.
        size: Bytes, a multiple of 1 MiB.
    """
    block = _source().randbytes(1 << 20)
    with path.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(block)


def make_archive(assets: Path, files: int) -> Path:
    """Make an uncompressed archive of a tree of files with 2 KiB each."""
    path = assets / "tree.tar"
    if not path.exists():
        tree = assets / "tree"
        make_tree(tree, max(1, files // 50), min(files, 50), 2048)
        with tarfile.open(path, "w") as archive:
            archive.add(tree, "tree")
    return path


def make_wheel(assets: Path, modules: int) -> Path:
    """Make a wheel of many small modules that needs nothing else.

    Args:
        assets: Where.
        modules: Number of modules.
    """
    path = assets / "bench_material-1.0-py3-none-any.whl"
    members = {
        f"bench_material/part{index // 40}/module{index}.py": _python_module(index)
        for index in range(modules)
    }
    members["bench_material/__init__.py"] = '"""Material."""\n'
    info = "bench_material-1.0.dist-info"
    members[f"{info}/METADATA"] = "Metadata-Version: 2.1\nName: bench-material\nVersion: 1.0\n"
    members[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def _python_module(index: int) -> str:
    functions = (
        f"def function_{index}_{n}(a, b):\n"
        f'    """Give a number."""\n'
        f"    total = {n}\n"
        f"    for item in range(a):\n"
        f"        total += item * b + {index}\n"
        f"    return total\n\n"
        for n in range(12)
    )
    return f'"""Module {index}."""\n\n' + "".join(functions)


def make_npm_package(assets: Path, modules: int) -> Path:
    """Make an npm package of many small modules that needs nothing else.

    Args:
        assets: Where.
        modules: Number of modules.
    """
    path = assets / "bench-material-1.0.0.tgz"
    members = {f"part{index // 40}/module{index}.js": _node_module(index) for index in range(modules)}
    members["package.json"] = json.dumps({"name": "bench-material", "version": "1.0.0"})
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            archive.addfile(member, BytesIO(text.encode()))
    return path


def _node_module(index: int) -> str:
    functions = (
        f"exports.f{index}_{n} = (a, b) => {{\n  return a * b + {index};\n}};\n\n" for n in range(12)
    )
    return "'use strict';\n\n" + "".join(functions)


def run_git(root: Path, *arguments: str) -> str:
    """Run git in a repository and give what it prints.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    command = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "gc.auto=0",
        "-c",
        "safe.directory=*",
        "-C",
        str(root),
    ]
    done = subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True, env=dict(GIT_ENVIRONMENT)
    )
    return done.stdout


def make_repository(root: Path, folders: int, files: int) -> None:
    """Make a repository with two branches, `main` and `other`, which differ in every fourth file.

    Args:
        root: The work tree; `main` is checked out.
        folders: Number of folders.
        files: Number of files in each.
    """
    make_tree(root, folders, files, 2048)
    run_git(root, "init", "-q", "-b", "main")
    run_git(root, "add", "-A")
    run_git(root, "commit", "-q", "-m", "one")
    run_git(root, "checkout", "-q", "-b", "other")
    for index, path in enumerate(sorted(root.glob("d*/f*"))):
        if index % 4 == 0:
            path.write_bytes(path.read_bytes()[::-1])
    run_git(root, "commit", "-q", "-a", "-m", "two")
    run_git(root, "checkout", "-q", "main")


_HEADERS = 40
_FUNCTIONS = 45


def make_c_project(root: Path, sources: int) -> None:
    """Make a C project with a Makefile whose program prints one number.

    Each source includes many headers, found by way of several include folders, as in a real build.

    Args:
        root: Its folder; `make` in it makes `out/program`, by way of `obj/`.
        sources: Number of C files.
    """
    for folder in ("src", "include/first", "include/second", "include/third", "out"):
        (root / folder).mkdir(parents=True)
    for index in range(_HEADERS):
        place = ("first", "second", "third")[index % 3]
        (root / "include" / place / f"part{index}.h").write_text(_header(index), "ascii")
    for index in range(sources):
        (root / "src" / f"unit{index}.c").write_text(_unit(index), "ascii")
    calls = " + ".join(f"unit{index}(n)" for index in range(sources))
    declarations = "".join(f"unsigned unit{index}(unsigned);\n" for index in range(sources))
    (root / "src" / "main.c").write_text(
        f'#include <stdio.h>\n{declarations}int main(void) {{ unsigned n = 7; printf("%u\\n", {calls}); }}\n',
        "ascii",
    )
    (root / "Makefile").write_text(_MAKEFILE, "ascii")


def _header(index: int) -> str:
    lines = [f"#ifndef PART{index}_H", f"#define PART{index}_H", "#include <stddef.h>"]
    lines += [f"struct part{index}_{n} {{ int a; size_t b; char c[{n + 1}]; }};" for n in range(30)]
    lines += [f"static inline unsigned mix{index}(unsigned a) {{ return a * {2 * index + 3}u ^ (a >> 7); }}"]
    return "\n".join([*lines, "#endif", ""])


def _unit(index: int) -> str:
    used = [(index * 7 + n * 3) % _HEADERS for n in range(15)]
    lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>", "#include <math.h>"]
    lines += [f"#include <part{number}.h>" for number in used]
    for n in range(_FUNCTIONS):
        mix = f"mix{used[n % len(used)]}"
        lines += [
            f"static unsigned work{n}(unsigned a) {{",
            f"  unsigned t[64], s = {n}u;",
            f"  for (unsigned i = 0; i < 64; i++) t[i] = {mix}(a + i) + s;",
            f"  for (unsigned i = 1; i < 64; i++) if (t[i] > t[i - 1]) s += t[i] % {n + 3}u; else s ^= t[i];",
            "  switch (s % 5) { case 0: return s + 1; case 1: return s * 3;",
            "    case 2: return ~s; default: return s; }",
            "}",
        ]
    total = " + ".join(f"work{n}(n)" for n in range(_FUNCTIONS))
    return "\n".join([*lines, f"unsigned unit{index}(unsigned n) {{ return {total}; }}", ""])


_MAKEFILE = """\
CC = gcc
CFLAGS = -O2 -Iinclude/first -Iinclude/second -Iinclude/third
SOURCES := $(wildcard src/*.c)
OBJECTS := $(SOURCES:src/%.c=obj/%.o)
out/program: obj/units.a
\t$(CC) -o $@ obj/main.o obj/units.a -lm
obj/units.a: $(OBJECTS)
\tar rcs $@ $(filter-out obj/main.o,$(OBJECTS))
obj/%.o: src/%.c | obj
\t$(CC) $(CFLAGS) -MMD -c -o $@ $<
obj:
\tmkdir -p obj
-include $(wildcard obj/*.d)
"""
