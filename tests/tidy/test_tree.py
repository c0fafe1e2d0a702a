"""The whole tree keeps the rules of tests/tidy."""

from importlib import resources

import pytest

from tests.tidy import imports, shape, texts
from tests.tidy.sources import ROOT, Source, read_sources, read_texts


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    """Give all Python sources."""
    return read_sources()


def _assert_none(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_imports_go_down_the_floors(sources: list[Source]) -> None:
    """No room imports one above or beside it."""
    _assert_none(list(imports.check_direction(sources)))


def test_modules_import_in_no_circle(sources: list[Source]) -> None:
    """No module imports itself by way of others."""
    _assert_none(list(imports.check_cycles(sources)))


def test_imports_stand_at_the_top(sources: list[Source]) -> None:
    """No function imports, but in the one listed place."""
    _assert_none(list(imports.check_place(sources)))


def test_pyfuse3_stays_in_its_transport(sources: list[Source]) -> None:
    """One module imports pyfuse3."""
    _assert_none(list(imports.check_pyfuse3(sources)))


def test_rooms_export_what_they_list(sources: list[Source]) -> None:
    """Each `__all__` is what its `__init__.py` brings in."""
    _assert_none(list(imports.check_exports(sources)))


def test_modules_keep_their_budget(sources: list[Source]) -> None:
    """No module is too long, and most are short."""
    _assert_none(list(shape.check_module_length(sources)))


def test_functions_keep_their_budget(sources: list[Source]) -> None:
    """No function is too long, and nine in ten are short."""
    _assert_none(list(shape.check_function_length(sources)))


def test_errors_are_caught_by_name(sources: list[Source]) -> None:
    """Everything is caught in two places only."""
    _assert_none(list(shape.check_catching(sources)))


def test_public_names_are_described(sources: list[Source]) -> None:
    """Each public name and each test has a docstring."""
    _assert_none(list(shape.check_docstrings(sources)))


def test_limits_have_unit_and_reason(sources: list[Source]) -> None:
    """Each limit is explained below it."""
    _assert_none(list(shape.check_limits_explained(sources)))


def test_expected_errors_are_looked_at(sources: list[Source]) -> None:
    """Each pytest.raises checks message or field."""
    _assert_none(list(shape.check_raises(sources)))


def test_tests_neither_sleep_nor_step_aside(sources: list[Source]) -> None:
    """No test sleeps, skips or expects its own failure."""
    _assert_none(list(shape.check_test_habits(sources)))


def test_nothing_is_left_for_later(sources: list[Source]) -> None:
    """No notes for later, no unfinished bodies, no unexplained ignores."""
    _assert_none(list(shape.check_finished(sources)))


def test_no_file_names_the_machine_it_was_written_on() -> None:
    """No path of one machine and no registry host stands in any file."""
    _assert_none(list(texts.check_places(read_texts())))


def test_schemas_are_valid_and_installed() -> None:
    """Each schema is Draft 7 and comes with the package."""
    schemas = {path.name: path.read_text("utf-8") for path in (ROOT / "schemas").glob("*.json")}
    folder = resources.files("catfs") / "schemas"
    packaged = {name: (folder / name).read_text("utf-8") for name in schemas if (folder / name).is_file()}
    _assert_none(list(texts.check_schemas(schemas, packaged)))


def test_lock_fits_the_project() -> None:
    """requirements.lock pins what pyproject.toml asks for."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    _assert_none(list(texts.check_lock(project, (ROOT / "requirements.lock").read_text("utf-8"))))


def test_every_test_is_run_by_the_script() -> None:
    """scripts/test knows every folder of tests."""
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    _assert_none(list(texts.check_kinds((ROOT / "scripts/test").read_text("utf-8"), paths)))
