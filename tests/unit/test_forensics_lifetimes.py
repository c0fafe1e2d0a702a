"""Files of a log: their names through renames and links, their births and deaths."""

import hypothesis.strategies as st
from hypothesis import given

from catfs.forensics import FileKind, FileLife, FileTable
from tests.support.log_maker import LogMaker


def _table(log: LogMaker) -> FileTable:
    table = FileTable()
    for record in log.records:
        table.note(record)
    return table


def _life(table: FileTable, path: str) -> FileLife:
    life = table.at(0, path.encode())
    assert life is not None
    return life


def test_a_file_follows_the_rename_of_a_folder_above_it() -> None:
    """One rename moves everything below, and the old path still finds the file."""
    log = LogMaker()
    log.add("mkdir", "a", 7, mode=0o40755, uid=1, gid=1)
    log.create("a/file")
    log.add("rename", "a", 7, path2="b", flags=0)
    log.write("b/file", 1 << 40 | 1, 0, 5)
    table = _table(log)
    assert _life(table, "b/file").names == (b"b/file",)
    assert _life(table, "b/file").written == 5
    assert _life(table, "a").names == (b"b",)
    assert len(table) == 2


def test_links_are_names_of_one_file() -> None:
    """It lives until its last name is gone."""
    log = LogMaker()
    ino = log.create("one")
    log.add("link", "one", ino, path2="two")
    log.add("unlink", "one", ino)
    alive = _life(_table(log), "two")
    assert (alive.names, alive.died) == ((b"two",), None)
    log.add("unlink", "two", ino)
    dead = _life(_table(log), "two")
    assert dead.is_temporary
    assert dead.lifetime_ns == 3 * 10**6


def test_what_a_rename_replaces_dies() -> None:
    """Its own record is none: the number in the rename says which file it was."""
    log = LogMaker()
    old, new = log.create("target"), log.create("tmp")
    log.add("rename", "tmp", new, path2="target", flags=0, ino2=old)
    table = _table(log)
    assert _life(table, "target").ino == new
    replaced = table.life(old)
    assert replaced is not None
    assert replaced.is_temporary
    assert replaced.last_path == b"target"


def test_a_replaced_file_of_the_original_is_known_from_the_rename() -> None:
    """Even when nothing spoke of it before."""
    log = LogMaker()
    new = log.create("tmp")
    log.add("rename", "tmp", new, path2="config", flags=0, ino2=33)
    replaced = _table(log).life(33)
    assert replaced is not None
    assert (replaced.born, replaced.is_temporary) == (None, False)
    assert replaced.died is not None


def test_an_exchange_swaps_two_names() -> None:
    """Both files live on, each under the name of the other, with all that is below."""
    log = LogMaker()
    log.add("mkdir", "d", 7, mode=0o40755, uid=1, gid=1)
    inside, file = log.create("d/inside"), log.create("f")
    log.add("rename", "d", 7, path2="f", flags=2, ino2=file)
    table = _table(log)
    assert _life(table, "f/inside").ino == inside
    assert _life(table, "d").ino == file
    assert _life(table, "d").died is None


def test_a_file_without_a_name_is_temporary_until_it_is_linked() -> None:
    """O_TMPFILE: it lives until the last record about it, or stays under the name that it gets."""
    log = LogMaker()
    ino = log.create("#1 in d", unlinked=True)
    log.write("#1 in d", ino, 0, 9, unlinked=True)
    life = _table(log).life(ino)
    assert life is not None
    assert life.is_temporary
    assert (life.lifetime_ns, life.written) == (10**6, 9)
    log.add("link", "#1 in d", ino, path2="d/kept")
    kept = _life(_table(log), "d/kept")
    assert not kept.is_temporary
    assert kept.names == (b"d/kept",)


def test_writes_after_the_last_name_still_count() -> None:
    """A program may write to what it holds open; the file stays dead."""
    log = LogMaker()
    ino = log.create("tmp")
    log.add("unlink", "tmp", ino)
    log.write("tmp", ino, 0, 11, unlinked=True)
    life = _life(_table(log), "tmp")
    assert (life.is_temporary, life.written, life.lifetime_ns) == (True, 11, 10**6)


def test_an_original_that_came_back_under_another_number_stays_one_file() -> None:
    """Before its first change a file of the original may be numbered anew."""
    log = LogMaker()
    log.add("read", "src/a.c", 50)
    log.write("src/a.c", 60, 0, 1)
    table = _table(log)
    assert len(table) == 1
    life = _life(table, "src/a.c")
    assert (life.ino, life.was_read, life.first.seq) == (60, True, 0)


def test_marks_and_originals_of_a_mounted_session_are_no_changes() -> None:
    """`base` and `sync` neither name a file nor let one live longer."""
    log = LogMaker()
    log.add("base", "old/name", 9, mode=1, size=2, mtime=3, ctime=4)
    log.add("sync", "", 1, size=0, offset=0)
    assert len(_table(log)) == 0


def test_the_content_at_the_end_is_told_and_is_no_act_of_a_program() -> None:
    """Digest and size come from the last records, and the last event stays the write."""
    log = LogMaker()
    ino = log.create("a")
    write = log.write("a", ino, 0, 3)
    log.add("content", "a", ino, length=3, digest="ab" * 32)
    life = _life(_table(log), "a")
    assert (life.length, life.digest, life.last.seq) == (3, b"ab" * 32, write)
    assert life.kind is FileKind.FILE


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.lists(st.tuples(st.sampled_from(["make", "folder", "move", "swap", "link", "drop"]), PATHS, PATHS))


class _Model:
    """Names as a plain dictionary from path to inode number, changed path by path."""

    def __init__(self) -> None:
        self.log = LogMaker()
        self.files: dict[str, int] = {}
        self.folders: dict[str, int] = {}

    def step(self, action: str, path: str, path2: str) -> None:
        """Do an action if a file system would; else nothing."""
        if action in {"make", "folder"} and self._is_free(path):
            self._make(action, path)
        elif action == "link" and path in self.files and self._is_free(path2):
            self.files[path2] = self.files[path]
            self.log.add("link", path, self.files[path], path2=path2)
        elif action == "drop" and path in self.files:
            self.log.add("unlink", path, self.files.pop(path))
        elif action in {"move", "swap"} and self._may_move(path, path2):
            self._move(action, path, path2)

    def _is_free(self, path: str) -> bool:
        above = path.rpartition("/")[0]
        return path not in {**self.files, **self.folders} and (not above or above in self.folders)

    def _make(self, action: str, path: str) -> None:
        if action == "make":
            self.files[path] = self.log.create(path)
        else:
            self.folders[path] = self.log.fresh()
            self.log.add("mkdir", path, self.folders[path], mode=0o40755, uid=1, gid=1)

    def _may_move(self, path: str, path2: str) -> bool:
        both = {**self.files, **self.folders}
        above = path2.rpartition("/")[0]
        inside = path2.startswith(path + "/") or path.startswith(path2 + "/") or path == path2
        if path not in both or inside or both[path] == both.get(path2) or (above and above not in both):
            return False
        return above not in self.files

    def _move(self, action: str, path: str, path2: str) -> None:
        both = {**self.files, **self.folders}
        there = both.get(path2)
        if action == "swap" and there is None:
            return
        if action == "move" and there is not None and (path2 in self.folders or path in self.folders):
            return
        facts: dict[str, int] = {} if there is None else {"ino2": there}
        self.log.add("rename", path, both[path], path2=path2, flags=2 if action == "swap" else 0, **facts)
        if action == "move":
            self.files.pop(path2, None)
        for names in (self.files, self.folders):
            moved = {self._moved(name, path, path2, action): ino for name, ino in names.items()}
            names.clear()
            names.update(moved)

    def _moved(self, name: str, path: str, path2: str, action: str) -> str:
        for old, new in ((path, path2), (path2, path)) if action == "swap" else ((path, path2),):
            if name == old or name.startswith(old + "/"):
                return new + name.removeprefix(old)
        return name


@given(STEPS)
def test_names_are_those_of_a_plain_model(steps: list[tuple[str, str, str]]) -> None:
    """Whatever is made, linked, moved, swapped and removed: every file has the names of the model."""
    model = _Model()
    for step in steps:
        model.step(*step)
    found = {name.decode(): life.ino for life in _table(model.log).lives() for name in life.names}
    assert found == {**model.files, **model.folders}
