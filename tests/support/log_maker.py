"""Write logs for tests, made record by record without any session."""

import orjson

from catfs.records.write_record import Record, record_from_dict

START = 1_770_000_000_000_000_000
"""Time of the first record, in nanoseconds since 1970; each further one is a millisecond later."""


class LogMaker:
    """A write log that grows."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._inode = 1 << 40

    @property
    def records(self) -> list[Record]:
        """The records so far."""
        return [record_from_dict(orjson.loads(line)) for line in self.lines]

    @property
    def data(self) -> bytes:
        """The log as the bytes of a plain file."""
        return b"".join(line + b"\n" for line in self.lines)

    def fresh(self) -> int:
        """Give an inode number that no file has."""
        self._inode += 1
        return self._inode

    def add(self, op: str, path: str = "", ino: int = 0, pid: int = 0, **fields: object) -> int:
        """Add a record and give its sequence number."""
        seq = len(self.lines)
        record = {"seq": seq, "op": op, "t": START + seq * 10**6, "path": path, "ino": ino, "pid": pid}
        self.lines.append(orjson.dumps(record | fields))
        return seq

    def process(
        self,
        pid: int,
        parent: int = 1,
        start: int = 100,
        argv: str = "cc -c",
        thread: int | None = None,
        exe: str | None = None,
    ) -> int:
        """Add the record of a process; its program is the first word of its arguments.

        Args:
            pid: Id of the process.
            parent: Id of its parent.
            start: When it started, in clock ticks.
            argv: Its arguments, split at spaces.
            thread: Id of the thread; None for the first one.
            exe: Its executable; None for the one that the arguments name, in /usr/bin.
        """
        words = argv.split(" ")
        seq = len(self.lines)
        fields = {
            "seq": seq,
            "op": "process",
            "t": START + seq * 10**6,
            "pid": pid if thread is None else thread,
            "process": pid,
            "parent": parent,
            "start": start,
            "uid": 1000,
            "exe": f"/usr/bin/{words[0]}" if exe is None else exe,
            "cwd": "/",
            "argv": words,
        }
        self.lines.append(orjson.dumps(fields))
        return seq

    def create(self, path: str, pid: int = 0, **fields: object) -> int:
        """Add the making of a regular file and give its inode number."""
        ino = self.fresh()
        self.add("create", path, ino, pid, **({"mode": 0o100644, "uid": 1, "gid": 1} | fields))
        return ino

    def write(self, path: str, ino: int, offset: int, length: int, pid: int = 0, **fields: object) -> int:
        """Add a write and give its sequence number."""
        return self.add("write", path, ino, pid, offset=offset, length=length, data=0, **fields)
