"""SQLite in a mount: the same bytes as outside, and nothing lost when several processes write at once."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

ONE_WRITER = """\
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
print(base.execute(f"pragma journal_mode={sys.argv[2]}").fetchone()[0])
base.execute("create table if not exists log(id integer primary key, text, amount)")
for index in range(150):
    base.execute("insert into log(text, amount) values(?, ?)", (f"line {index} " * 9, index))
base.execute("begin")
base.execute("update log set amount = amount * 2 where id % 3 = 0")
base.execute("delete from log where id % 7 = 0")
base.execute("rollback")
base.execute("begin")
base.execute("create index amounts on log(amount)")
base.executemany("insert into log(text, amount) values(?, ?)", ((b"x" * 900, n) for n in range(300)))
base.execute("commit")
base.execute("delete from log where id % 5 = 0")
print(base.execute("select count(*), sum(amount) from log").fetchone())
base.execute("vacuum")
print(base.execute("pragma integrity_check").fetchone()[0])
base.close()
"""

MANY_WRITERS = """\
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for index in range(40):
    base.execute("begin immediate")
    base.execute("insert into log(text, amount) values(?, ?)", (sys.argv[2], index))
    base.execute("update total set amount = amount + 1")
    base.execute("commit")
    rows, total = base.execute("select (select count(*) from log), amount from total").fetchone()
    assert rows == total, (rows, total)
"""


def fill(lower: Path) -> None:
    """Put a database into the lower, and make folders for others."""
    for name in ("delete", "truncate", "persist", "wal"):
        (lower / name).mkdir()
    with closing(sqlite3.connect(lower / "wal/old")) as base:
        base.execute("create table log(id integer primary key, text, amount)")
        base.executemany("insert into log(text, amount) values(?, ?)", (("old" * 40, n) for n in range(500)))
        base.commit()


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount with a database and the plain directory beside it."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("bench"), fill)


@pytest.mark.parametrize("mode", ["delete", "truncate", "wal"])
def test_sqlite_writes_the_same_database(bench: Workbench, mode: str) -> None:
    """Transactions, rollback and vacuum leave the same bytes, in rollback and in write-ahead mode."""
    said = bench.run('"$PYTHON" -c "$1" base "$2"', mode, ONE_WRITER, mode)
    assert said.splitlines()[0] == mode.encode()
    assert said.splitlines()[-1] == b"ok"
    assert b"base" in bench.compare(mode)


def test_sqlite_works_on_in_a_database_of_the_lower(bench: Workbench) -> None:
    """A database that was there before is turned to write-ahead mode and written."""
    said = bench.run('"$PYTHON" -c "$1" old wal', "wal", ONE_WRITER)
    assert said.splitlines()[-1] == b"ok"
    bench.compare("wal")


@pytest.mark.parametrize("mode", ["wal", "persist"])
def test_sqlite_writers_lose_nothing(bench: Workbench, mode: str) -> None:
    """Four processes write one database at once: each sees whole transactions, and all are there."""
    path = bench.server.mount / mode / "shared"
    with closing(sqlite3.connect(path)) as base:
        assert base.execute(f"pragma journal_mode={mode}").fetchone() == (mode,)
        base.execute("create table log(id integer primary key, text, amount)")
        base.execute("create table total(amount)")
        base.execute("insert into total values(0)")
        base.commit()
    writers = [
        subprocess.Popen([sys.executable, "-c", MANY_WRITERS, path, str(number)], stderr=subprocess.PIPE)
        for number in range(4)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=STEP_SECONDS)
        assert writer.returncode == 0, errors
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        assert base.execute("select count(*) from log").fetchone() == (160,)
        assert base.execute("select amount from total").fetchone() == (160,)
