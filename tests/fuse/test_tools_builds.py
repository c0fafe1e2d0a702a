"""Builds make in a mount what they make outside: make, CMake, and cargo where it is there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.workbench import TRANSPORTS, Workbench, absent, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

MAKEFILE = """\
objects := $(patsubst %.c,build/%.o,$(wildcard *.c))
all: build/program
build/program: $(objects) | build
\t$(CC) -o $@ $^
build/%.o: %.c common.h | build
\t$(CC) -O1 -g -MMD -c -o $@ $<
build:
\tmkdir -p $@
clean:
\trm -rf build
-include $(wildcard build/*.d)
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.18)
project(sample C)
file(GLOB parts part*.c)
add_library(parts STATIC ${parts})
add_executable(program main.c)
target_link_libraries(program parts)
configure_file(main.c generated/main.copy COPYONLY)
enable_testing()
add_test(NAME runs COMMAND program)
install(TARGETS program DESTINATION bin)
install(FILES common.h DESTINATION include)
"""

_CARGO = '[package]\nname = "sample"\nversion = "1.0.0"\nedition = "2021"\n'


def _write_c_sources(folder: Path) -> None:
    parts = range(8)
    folder.mkdir()
    (folder / "common.h").write_text("".join(f"int part{index}(void);\n" for index in parts))
    for index in parts:
        text = f'#include "common.h"\nint part{index}(void) {{ return {index}; }}\n'
        (folder / f"part{index}.c").write_text(text)
    total = " + ".join(f"part{index}()" for index in parts)
    main = (
        f'#include <stdio.h>\n#include "common.h"\nint main(void) {{ printf("%d\\n", {total}); return 0; }}\n'
    )
    (folder / "main.c").write_text(main)


def fill(lower: Path) -> None:
    """Put sources into the lower."""
    for name in ("make", "cmake"):
        _write_c_sources(lower / name)
    (lower / "make/Makefile").write_text(MAKEFILE)
    (lower / "cmake/CMakeLists.txt").write_text(CMAKE)
    (lower / "cargo/src").mkdir(parents=True)
    (lower / "cargo/Cargo.toml").write_text(_CARGO)
    (lower / "cargo/src/lib.rs").write_text("pub fn answer() -> u32 {\n    42\n}\n")
    (lower / "cargo/src/main.rs").write_text('fn main() {\n    println!("{}", sample::answer());\n}\n')


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount with sources and the plain directory beside it."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("bench"), fill)


def test_make_builds_once_and_again_what_changed(bench: Workbench) -> None:
    """A first make -j2 builds all, then nothing, then what a changed header needs; the program runs."""
    script = """\
    make -s -j2
    build/program
    make -q
    printf 'int more(void);\\n' >> common.h
    ! make -q
    make -s -j2
    make -q
    touch main.c
    make -s
    build/program
    """
    assert bench.run(script, "make") == b"28\n28\n"
    assert b"build/part7.o" in bench.compare("make")


def test_make_removes_what_it_built(bench: Workbench) -> None:
    """A make clean takes the build away, and another build makes the same."""
    bench.run("make -s clean; test ! -e build; make -s -j2; build/program", "make")
    bench.compare("make")


def test_cmake_configures_builds_tests_and_installs(bench: Workbench) -> None:
    """A CMake project is configured, built, tested and installed with the same files."""
    script = """\
    cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$PWD/installed" > /dev/null
    cmake --build build -j2 > /dev/null
    (cd build && ctest > /dev/null)
    cmake --install build > /dev/null
    installed/bin/program
    """
    assert bench.run(script, "cmake") == b"28\n"
    logs = ["CMakeOutput.log", "CMakeError.log", "CMakeConfigureLog.yaml"]  # temporary names and times
    found = bench.compare("cmake", [*(f"build/CMakeFiles/{name}" for name in logs), "build/Testing"])
    assert {b"installed/bin/program", b"build/libparts.a", b"build/generated/main.copy"} <= found.keys()


def test_cargo_builds_a_program(bench: Workbench, record_property: Callable[[str, object], None]) -> None:
    """A Rust library and program are built, with the same files; a second build has nothing to do."""
    if missing := absent("cargo"):
        record_property("absent", f"{' '.join(missing)}: no Rust program was built")
        return
    script = """\
    export CARGO_INCREMENTAL=0
    cargo build --quiet --offline
    target/debug/sample
    cargo build --quiet --offline
    """
    assert bench.run(script, "cargo") == b"42\n"
    # What cargo remembers of the compiler is written in no fixed order.
    assert b"target/debug/sample" in bench.compare("cargo", ["target/.rustc_info.json"])
