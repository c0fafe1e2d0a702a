"""The page on the protocol says what the code does."""

import os
import re
from errno import ENOSYS, ENOTTY
from pathlib import Path

import pytest

from catfs.overlay.transports.devfuse.dispatch import NEVER_AGAIN, Handlers, not_known
from catfs.overlay.transports.devfuse.negotiation import WANTED, Agreement
from catfs.overlay.transports.devfuse.requests import Handler
from catfs.overlay.transports.devfuse.wire import Init, Opcode
from tests.support.memory_lower import MemoryLower
from tests.support.views import ACTOR, make_view

_PAGE = Path(__file__).parents[2] / "docs/formats/fuse-protocol.md"
_ROW = re.compile(r"^\| ([A-Z0-9_]+) \| (\d+) \| ([\w ]+) \|", re.MULTILINE)
_NO_REPLY = {Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY}


def _tables() -> tuple[list[Handler], list[Handler]]:
    """Give the handlers in a run and in a session that is meant to survive."""
    view = make_view(MemoryLower())
    tables = []
    for durable in (False, True):
        view.durable = durable
        tables.append(Handlers(view, Agreement(45, WANTED, 0)).table())
    os.close(view.data.descriptor)
    return tables[0], tables[1]


def _answer(opcode: Opcode, run: Handler, durable: Handler) -> str:
    if opcode in _NO_REPLY:
        return "no reply"
    if opcode == Opcode.IOCTL:
        with pytest.raises(OSError, match="ioctl") as failure:
            run(1, ACTOR, memoryview(b""))
        return "ENOTTY" if failure.value.errno == ENOTTY else "?"
    if run is not_known:
        return "ENOSYS" if durable is not_known else "ENOSYS in a run"
    return "handled"


def test_the_page_lists_every_operation_as_it_is_answered() -> None:
    """Name, code and answer of each row are those of the dispatch table, and no operation is left out."""
    run, durable = _tables()
    expected = {op.name: (int(op), _answer(op, run[op], durable[op])) for op in Opcode}
    expected["INIT"] = (int(Opcode.INIT), "handled")  # by the connection, before there are handlers
    found = {name: (int(code), answer) for name, code, answer in _ROW.findall(_PAGE.read_text())}
    assert found == expected


def test_the_page_names_every_feature_in_use() -> None:
    """Each feature that is taken is in the table of what is agreed."""
    taken = _PAGE.read_text().split("Refused on purpose")[0]
    for feature in Init:
        if feature in WANTED:
            assert re.search(rf"\b{feature.name}\b", taken), feature.name


def test_refusals_say_not_implemented() -> None:
    """What is refused for good is refused with ENOSYS."""
    run, _ = _tables()
    for opcode in NEVER_AGAIN:
        with pytest.raises(OSError, match="not implemented") as failure:
            run[opcode](1, ACTOR, memoryview(b""))
        assert failure.value.errno == ENOSYS
