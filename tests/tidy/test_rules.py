"""Each rule of tests/tidy finds what it is there to find, and leaves good code alone."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.tidy import imports, shape, texts
from tests.tidy.sources import Source, read_texts

Rule = Callable[[Iterable[Source]], Iterator[str]]

LONG = "\n".join(["def long() -> None:", *["    pass"] * 70])
NO_MESSAGE = "def test_a():\n    with pytest.raises(ValueError):\n        f()\n"
UNREAD = "def test_a():\n    with pytest.raises(ValueError) as caught:\n        f()\n"

BAD: list[tuple[Rule, str, str, str]] = [
    (
        imports.check_direction,
        "catfs/records/a.py",
        "from catfs.merkle import Tree",
        "records imports merkle",
    ),
    (imports.check_direction, "catfs/records/a.py", "import catfs.store.local", "records imports store"),
    (imports.check_direction, "catfs/store/a.py", "from catfs.merkle import Tree", "a room beside it"),
    (
        imports.check_direction,
        "catfs/digest.py",
        "from catfs import records",
        "the ground floor imports records",
    ),
    (imports.check_direction, "catfs/proof/a.py", "from ..commit import plan", "proof imports commit"),
    (
        imports.check_direction,
        "catfs/runtime/a.py",
        "def f():\n    import catfs.cli.main",
        "runtime imports cli",
    ),
    (imports.check_direction, "catfs/attic/a.py", "", "has no room attic"),
    (imports.check_direction, "catfs/cli/a.py", "import catfs.attic.a", "unknown room attic"),
    (imports.check_place, "catfs/store/a.py", "def f():\n    import os", "import inside a function"),
    (imports.check_pyfuse3, "catfs/overlay/view.py", "import pyfuse3", "imports pyfuse3"),
    (imports.check_pyfuse3, "tests/fuse/test_a.py", "from pyfuse3 import FUSEError", "imports pyfuse3"),
    (imports.check_exports, "catfs/store/__init__.py", "from catfs.store.a import B", "B not in __all__"),
    (imports.check_exports, "catfs/store/__init__.py", "__all__ = ['B']", "lists B, which is not there"),
    (shape.check_module_length, "catfs/a.py", "\n" * 601, "601 lines, 600 at most"),
    (shape.check_module_length, "catfs/a.py", "\n" * 201, "201 lines in the middle module"),
    (shape.check_function_length, "tests/unit/a.py", LONG, "long has 71 lines"),
    (shape.check_function_length, "catfs/a.py", LONG, "1 of 1 functions exceed 40 lines"),
    (shape.check_catching, "catfs/a.py", "try:\n    f()\nexcept Exception:\n    raise", "catches everything"),
    (
        shape.check_catching,
        "catfs/a.py",
        "try:\n    f()\nexcept (OSError, Exception):\n    g()",
        "catches everything",
    ),
    (
        shape.check_catching,
        "catfs/a.py",
        "try:\n    f()\nexcept BaseException:\n    g()",
        "catches everything",
    ),
    (shape.check_catching, "catfs/a.py", "try:\n    f()\nexcept:\n    g()", "catches everything"),
    (
        shape.check_catching,
        "catfs/a.py",
        "with contextlib.suppress(Exception):\n    f()",
        "suppresses everything",
    ),
    (shape.check_docstrings, "catfs/a.py", "", "no docstring; the first line says"),
    (
        shape.check_docstrings,
        "catfs/a.py",
        '"""A."""\nclass B:\n    """B."""\n    def f(self): ...',
        "f has no docstring",
    ),
    (
        shape.check_docstrings,
        "tests/unit/a.py",
        '"""A."""\ndef test_b(): ...',
        "say the behaviour it promises",
    ),
    (
        shape.check_limits_explained,
        "catfs/limits.py",
        "A = 1\nB = 2\n'''Bytes.'''",
        "limits.py:1: a limit without",
    ),
    (shape.check_raises, "tests/unit/a.py", NO_MESSAGE, "accepts any message"),
    (shape.check_raises, "tests/unit/a.py", UNREAD, "accepts any message"),
    (
        shape.check_test_habits,
        "tests/unit/a.py",
        "@pytest.mark.skipif(True)\ndef f(): ...",
        "fails and says what",
    ),
    (shape.check_test_habits, "tests/unit/a.py", "time.sleep(1)", "wait for the event itself"),
    (shape.check_finished, "catfs/a.py", "f()  # TO" + "DO: later", "a note for later"),
    (shape.check_finished, "catfs/a.py", "f()  # type" + ": ignore", "give code and reason"),
    (shape.check_finished, "catfs/a.py", "f()  # type" + ": ignore[arg-type]", "give code and reason"),
    (shape.check_finished, "catfs/a.py", "raise NotImplementedError", "an unfinished body"),
]
"""Rule, path and text of a source that breaks it, and what the problem must say."""

GOOD: list[tuple[Rule, str, str]] = [
    (
        imports.check_direction,
        "catfs/store/a.py",
        "from catfs.store.b import C\nfrom catfs import digest\nimport os",
    ),
    (
        imports.check_direction,
        "catfs/cli/a.py",
        "from catfs.runtime import run\nfrom catfs.errors import CatfsError",
    ),
    (imports.check_direction, "catfs/errors.py", "from catfs.limits import NAME_BYTES_MAX\nimport catfs"),
    (imports.check_direction, "tests/unit/a.py", "from catfs.cli import main\nfrom catfs.store import local"),
    (imports.check_direction, "catfs/__main__.py", "from catfs.cli.main import main"),
    (imports.check_place, "catfs/cli/main.py", "def f():\n    import catfs.cli.run"),
    (imports.check_pyfuse3, "catfs/overlay/transports/pyfuse3.py", "import pyfuse3"),
    (imports.check_pyfuse3, "catfs/runtime/a.py", "from catfs.overlay.transports.pyfuse3 import serve"),
    (imports.check_exports, "catfs/store/__init__.py", "from a import B, _c\n__all__ = ['B']"),
    (shape.check_module_length, "catfs/a.py", "\n" * 200),
    (shape.check_catching, "catfs/cli/main.py", "try:\n    f()\nexcept Exception:\n    g()"),
    (shape.check_catching, "catfs/overlay/transports/a.py", "try:\n    f()\nexcept Exception:\n    g()"),
    (shape.check_catching, "catfs/a.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
    (shape.check_catching, "catfs/a.py", "try:\n    f()\nexcept (OSError, errors.CatfsError):\n    g()"),
    (shape.check_docstrings, "catfs/a.py", '"""A."""\ndef _f(): ...\nclass _B:\n    def f(self): ...'),
    (shape.check_limits_explained, "catfs/limits.py", "A = 1\n'''Bytes.'''"),
    (shape.check_raises, "tests/unit/a.py", NO_MESSAGE.replace("Error)", "Error, match='a')")),
    (shape.check_raises, "tests/unit/a.py", UNREAD + "    assert caught.value.path == b'a'\n"),
    (shape.check_test_habits, "catfs/a.py", "time.sleep(1)"),
    (shape.check_finished, "catfs/a.py", "f()  # type" + ": ignore[arg-type]  # the stub is wrong"),
]
"""Rule, path and text of a source that keeps it."""


@pytest.mark.parametrize(("rule", "path", "text", "problem"), BAD)
def test_rule_finds_a_bad_source(rule: Rule, path: str, text: str, problem: str) -> None:
    """A source that breaks a rule is reported with its place and what to do."""
    problems = list(rule([Source(path, text)]))
    assert any(problem in found for found in problems), problems
    assert all(found.startswith((path, "catfs: ")) for found in problems)


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_rule_leaves_a_good_source_alone(rule: Rule, path: str, text: str) -> None:
    """A source that keeps a rule is not reported."""
    assert list(rule([Source(path, text)])) == []


def test_circle_of_three_modules_is_reported_once() -> None:
    """A circle is given as the way round it, whatever form the imports have."""
    sources = [
        Source("catfs/store/__init__.py", "from catfs.store.a import A"),
        Source("catfs/store/a.py", "from catfs.store import b"),
        Source("catfs/store/b.py", "import catfs.store.c"),
        Source("catfs/store/c.py", "def f():\n    from .a import A"),
    ]
    way = "catfs.store.a -> catfs.store.b -> catfs.store.c -> catfs.store.a"
    assert [way in problem for problem in imports.check_cycles(sources)] == [True]


def test_module_that_imports_by_its_own_room_is_a_circle() -> None:
    """Inside a room, the `__init__.py` is not the way to a sibling."""
    sources = [
        Source("catfs/store/__init__.py", "from catfs.store.a import A"),
        Source("catfs/store/a.py", "from catfs.store import B"),
    ]
    assert [problem.split(":")[0] for problem in imports.check_cycles(sources)] == ["catfs/store/__init__.py"]


def test_tree_without_circle_is_left_alone() -> None:
    """Two ways to one module are no circle."""
    sources = [
        Source("catfs/store/a.py", "from catfs.store import b, c"),
        Source("catfs/store/b.py", "from catfs.store.c import C"),
        Source("catfs/store/c.py", "import os"),
    ]
    assert list(imports.check_cycles(sources)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cd /wo" + "rk/main", "a place of one machine"),
        ("see '/tm" + "p/bash_jobs.0/1'", "a place of one machine"),
        ("https://py" + "pi.org/simple", "names the host"),
        ("https://files.python" + "hosted.org/x", "names the host"),
    ],
)
def test_machine_paths_and_hosts_are_found(text: str, problem: str) -> None:
    """A line that only makes sense on one machine is reported with its number."""
    (found,) = texts.check_places([("docs/a.md", f"fine\n{text}\n")])
    assert found.startswith("docs/a.md:2: ")
    assert problem in found


def test_usual_paths_are_left_alone() -> None:
    """Paths that every machine has, and relative ones, are no problem."""
    assert list(texts.check_places([("a.md", "/usr/bin/env /tmp/x src/work/a ./work/b network/c")])) == []


def test_files_of_the_project_are_read_and_build_results_are_not(tmp_path: Path) -> None:
    """The walk sees scripts and .ci, and leaves out environments, caches, links and what is no text."""
    for name in ("scripts/a", ".ci/run", "b.md", ".venv/c", "x/__pycache__/d", "y.egg-info/e", "dist/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text", "utf-8")
    (tmp_path / "sample").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "link").symlink_to("b.md")
    assert sorted(path for path, _ in read_texts(tmp_path)) == [".ci/run", "b.md", "scripts/a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no JSON"),
        ("true", "expected $schema"),
        (json.dumps({"$schema": "other"}), "expected $schema"),
        (json.dumps({"$schema": texts.DRAFT, "type": "text"}), "no valid Draft 7 schema"),
    ],
)
def test_bad_schema_is_found(text: str, problem: str) -> None:
    """A schema that is no Draft 7 schema is reported."""
    (found,) = texts.check_schemas({"a.schema.json": text}, {"a.schema.json": text})
    assert problem in found


def test_schema_that_is_not_installed_is_found() -> None:
    """A schema that the package lacks, or has in another text, is reported; an equal one is not."""
    text = json.dumps({"$schema": texts.DRAFT, "type": "object"})
    (found,) = texts.check_schemas({"a.schema.json": text}, {})
    assert "keep catfs/schemas a link" in found
    assert list(texts.check_schemas({"a.schema.json": text}, {"a.schema.json": text})) == []


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        ("", "has Two None"),
        ("two==1.9 \\\n    --hash=sha256:0\n", "has Two 1.9"),
        ("two==2.1\n", "has no digest"),
        ("--index-url https://example.org\ntwo==2.1 \\\n", "option or address"),
    ],
)
def test_lock_that_does_not_fit_is_found(lock: str, problem: str) -> None:
    """A missing or old release, a pin without digest and an address are reported."""
    project = '[project]\ndependencies = []\n[project.optional-dependencies]\ndev = ["Two>=2"]\n'
    assert any(problem in found for found in texts.check_lock(project, lock))


def test_folder_of_tests_that_nobody_runs_is_found() -> None:
    """A test outside the folders of scripts/test is reported."""
    paths = ["tests/unit/test_a.py", "tests/extra/test_b.py"]
    (found,) = texts.check_kinds("a\nkinds=(tidy unit)\nb\n", paths)
    assert found.startswith("tests/extra/test_b.py: ")
