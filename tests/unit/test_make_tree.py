"""The tool that makes large domains makes the same one each time."""

from pathlib import Path

import pytest

from tools.make_tree import main


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("directories", "expected"), [(7, 7), (0, 0)])
def test_a_tree_has_the_files_that_were_asked_for(tmp_path: Path, directories: int, expected: int) -> None:
    """Spread over directories or flat, with sizes around the one given, and alike each time."""
    arguments = ["--files", "50", "--directories", str(directories), "--size", "20"]
    assert main([str(tmp_path / "a"), *arguments]) == 0
    assert main([str(tmp_path / "b"), *arguments]) == 0
    files = _files(tmp_path / "a")
    assert files == _files(tmp_path / "b")
    assert len(files) == 50
    assert len({Path(name).parent for name in files} - {Path()}) == expected
    assert max(map(len, files.values())) <= 40


def test_a_folder_that_exists_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be somebody's domain."""
    assert main([str(tmp_path), "--files", "1"]) == 2
    assert "name a new folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_numbers_below_zero_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence."""
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "x"), "--files", "-1"])
    assert caught.value.code == 2
    assert "at least 0" in capsys.readouterr().err
