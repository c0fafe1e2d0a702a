"""A full disk: the command sees ENOSPC, the domain stays as it was, and catfs says so without a traceback.

The workspace is on a small tmpfs, mounted in a private namespace in which the whole of `catfs run`
lives. The tmpfs and everything on it is gone with the namespace.
"""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import CATFS, TIMEOUT_SECONDS, Result

pytestmark = pytest.mark.fuse


def run_on_small_disk(tmp_path: Path, script: str, before: str, after: str, *options: str) -> Result:
    """Run a script in a domain on a tmpfs of 8 MiB; `before` and `after` are shell around `catfs run`.

    Args:
        tmp_path: Where the tmpfs is mounted.
        script: What the command does.
        before: Shell that runs in the domain before the run.
        after: Shell that runs in the domain after it.
        options: Options of `catfs run`.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    words = shlex.join([str(CATFS), "run", *options, "--", "sh", "-c", script])
    lines = [
        f"mount -t tmpfs -o size=8m none {disk}",
        f"mkdir {disk}/domain",
        f"cd {disk}/domain",
        before,
        "find . -path ./.catfs -prune -o -type f -print0 | sort -z | xargs -0r sha256sum > ../before",
        f"{words}; status=$?",
        "find . -path ./.catfs -prune -o -type f -print0 | sort -z | xargs -0r sha256sum > ../after",
        "cmp ../before ../after && echo unchanged",
        after,
        "exit $status",
    ]
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", "\n".join(lines)],
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        cwd=tmp_path,
    )
    result = Result(ended.returncode, ended.stdout, ended.stderr.decode(errors="backslashreplace"))
    assert "Traceback" not in result.stderr, result.stderr
    return result


def test_command_that_fills_the_disk_fails_and_nothing_is_committed(tmp_path: Path) -> None:
    """The command gets ENOSPC as on any disk; its failure is the run's, and the domain is unchanged."""
    script = "echo small > out; head -c 30000000 /dev/zero | tr '\\0' x > large"
    result = run_on_small_disk(tmp_path, script, "echo old > file", "", "--output", "out")
    assert result.status not in {0, 3}
    assert "No space left" in result.stderr
    assert b"unchanged" in result.stdout


def test_reserving_more_than_the_disk_has_is_refused(tmp_path: Path) -> None:
    """Fallocate gets ENOSPC for more than there is, and what fits is reserved as before."""
    script = "fallocate -n -l 1M out; fallocate -l 2M out; fallocate -l 1T out || stat -c %s out"
    result = run_on_small_disk(tmp_path, script, "echo old > file", "", "--output", "out")
    assert result.status == 0
    assert "No space left" in result.stderr
    assert b"2097152" in result.stdout


def test_reserving_what_is_stored_already_takes_no_room(tmp_path: Path) -> None:
    """On a nearly full disk only bytes that are not in the session yet are held against what is left."""
    lines = (
        "head -c 5000000 /dev/zero | tr '\\0' x > large",
        "fallocate -l 5500000 large && stat -c %s large",
        "fallocate -l 20000000 large || rm large",
        "echo small > out",
    )
    result = run_on_small_disk(tmp_path, "\n".join(lines), "echo old > file", "", "--output", "out")
    assert result.status == 0
    assert b"5500000" in result.stdout
    assert "No space left" in result.stderr


def test_a_full_disk_has_room_again_once_a_file_is_gone(tmp_path: Path) -> None:
    """Space that waits for a quiet moment is there for whoever cannot wait, over and over."""
    script = "for i in 1 2 3 4 5; do head -c 5000000 /dev/zero > large; rm large; done; echo small > out"
    result = run_on_small_disk(tmp_path, script, "echo old > file", "", "--output", "out")
    assert result.status == 0, result.stderr


def test_next_run_on_the_same_disk_works(tmp_path: Path) -> None:
    """Nothing of the failed run keeps the space, so that a smaller one succeeds."""
    script = "head -c 30000000 /dev/zero | tr '\\0' x > large"
    again = f"{CATFS} run --output out -- sh -c 'echo small > out' && cat out; ls .catfs/sessions | wc -l"
    result = run_on_small_disk(tmp_path, script, "echo old > file", again)
    assert result.stdout.split()[-2:] == [b"small", b"0"]


def test_disk_that_fills_during_the_commit_leaves_the_old_state(tmp_path: Path) -> None:
    """The output fits once as the session's data but not a second time as the committed file."""
    script = "head -c 5000000 /dev/urandom > out"
    result = run_on_small_disk(tmp_path, script, "echo old > file; echo old > out", "", "--output", "out")
    assert result.status == 125
    assert "No space left" in result.stderr
    assert b"unchanged" in result.stdout


def test_disk_that_is_full_before_the_run_is_told(tmp_path: Path) -> None:
    """A run that cannot even begin says what is the matter."""
    fill = "echo old > file; cat /dev/zero > ../fill 2>/dev/null"
    result = run_on_small_disk(tmp_path, "echo x > out", fill, "", "--output", "out")
    assert result.status != 0
    assert "No space left" in result.stderr
