"""Declarations that can never be committed."""

import os
from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.runtime.declaration import declare


def test_an_output_on_a_read_only_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said before the command runs; without an output the domain can be used."""
    found = list(os.statvfs(tmp_path))
    found[8] = os.ST_RDONLY
    facts = os.statvfs_result(found)
    monkeypatch.setattr(os, "statvfs", {tmp_path: facts}.__getitem__)
    with pytest.raises(UsageError, match="mounted read-only"):
        declare([tmp_path], [tmp_path / "out"], ())
    assert declare([tmp_path], [], ())[0].path == tmp_path
