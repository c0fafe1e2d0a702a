"""The guards of tests/conftest.py catch what they are there to catch."""

from pathlib import Path

import pytest

from tests.conftest import unmount_below
from tests.tidy.sources import ROOT

pytest_plugins = ["pytester"]

LOGGING_TESTS = """
import logging


def test_logs_a_warning():
    logging.getLogger("catfs.store").warning("lost %d bytes", 3)


def test_asks_for_the_warning(caplog):
    logging.getLogger("catfs.store").warning("lost %d bytes", 3)
    assert "lost 3 bytes" in caplog.text


def test_logs_for_information():
    logging.getLogger("catfs.store").info("read 3 bytes")
"""

SEEDED_TEST = """
import hypothesis


@hypothesis.given(hypothesis.strategies.integers())
def test_numbers(number):
    print("number", number)
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give a folder of tests with the conftest of this project.

    It is run in a process of its own: seeds and profiles of hypothesis belong to the whole process.
    """
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text("utf-8"))
    return pytester


def test_unannounced_warning_fails_the_test(inner: pytest.Pytester) -> None:
    """A test that logs a warning fails with its text, unless it asked for caplog."""
    inner.makepyfile(LOGGING_TESTS)
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*catfs logged *WARNING catfs.store: lost 3 bytes*"])


def test_random_examples_are_the_same_at_every_run(inner: pytest.Pytester) -> None:
    """Without a seed two runs try the same examples, and the header says so."""
    inner.makepyfile(SEEDED_TEST)
    first, second = (inner.runpytest_subprocess("-s", "-p", "no:cacheprovider") for _ in range(2))
    assert [line for line in first.outlines if line.startswith("seed: fixed")]
    numbers = [[line for line in run.outlines if "number " in line] for run in (first, second)]
    assert len(numbers[0]) > 10
    assert numbers[0] == numbers[1]


def test_given_seed_is_printed(inner: pytest.Pytester) -> None:
    """A seed on the command line stands in the header, so that a failure can be repeated."""
    inner.makepyfile(SEEDED_TEST)
    result = inner.runpytest_subprocess("--hypothesis-seed=7", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["seed: 7 (--hypothesis-seed)"])


def test_mounts_elsewhere_are_left_alone(tmp_path: Path) -> None:
    """Only mounts at or below the folder are detached, and a folder with a longer name is not below it."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc /proc proc rw 0 0\ncatfs {tmp_path}-other fuse rw 0 0\n", "utf-8")
    assert unmount_below(tmp_path, mounts) == []


def test_machine_without_fuse_fails_and_says_so(inner: pytest.Pytester) -> None:
    """A marked test fails, and is not skipped, where /dev/fuse cannot be opened."""
    text = (ROOT / "tests/conftest.py").read_text("utf-8").replace('"/dev/fuse"', '"/dev/no-fuse"')
    inner.makeconftest(text)
    inner.makeini("[pytest]\nmarkers = fuse: mounts")
    inner.makepyfile("import pytest\n\n@pytest.mark.fuse\ndef test_mount():\n    pass\n")
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*/dev/fuse cannot be opened (No such file or directory)*"])
