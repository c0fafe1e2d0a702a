"""The comparison of the store with git and cp."""

from pathlib import Path

from tools.bench_store import measure


def test_every_way_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    """Each kind of object has a line for putting and one for getting, with three numbers."""
    told: list[str] = []
    lines = list(measure(tmp_path, 3, 1, 70_000, told.append))
    assert [line.split()[3:5] for line in lines[1:]] == [["bytes", what] for what in ("put", "get") * 2]
    assert all(float(cell) >= 0 for line in lines[1:] for cell in line.split()[5:8])
    assert list(tmp_path.iterdir()) == []
    steps = [f"{way}: {what}" for way in ("store", "git", "cp") for what in ("put", "get")]
    assert told == [
        "making 3 objects of 4096 bytes",
        *steps,
        "making 1 objects of 70000 bytes",
        *steps,
    ]
