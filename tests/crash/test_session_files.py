"""The small files of a session and its workspace, with any bytes in them: read or refused, never believed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.errors import FormatError, UsageError
from catfs.runtime.committed import committed_run
from catfs.runtime.control import open_control, serve_control
from catfs.runtime.mending import doubt_of, started_of
from catfs.runtime.sessions import SessionFacts, read_session
from catfs.runtime.workspace import Workspace

FACTS = {
    "session": "s",
    "kind": "mount",
    "pid": 7,
    "started": 5,
    "boot": "b",
    "domains": ["/srv/tree"],
}
NOTE = {"run_id": "r"}
LOST = {"log_bytes": 5}

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bent(draw: st.DrawFn, sound: Mapping[str, object]) -> bytes:
    """Give a sound record with one field bent, a cut one, one with other bytes, or any bytes at all."""
    data = orjson.dumps(sound)
    match draw(st.integers(0, 3)):
        case 0:
            return orjson.dumps({**sound, draw(st.sampled_from(sorted(sound))): draw(VALUES)})
        case 1:
            return data[: draw(st.integers(0, len(data)))]
        case 2:
            place = draw(st.integers(0, len(data) - 1))
            return data[:place] + draw(st.binary(min_size=1, max_size=3)) + data[place + 1 :]
        case _:
            return draw(st.binary(max_size=60))


def _reads(read: Callable[[Path], object], folder: Path) -> object:
    """Give what is read, or None when it is refused in good order."""
    try:
        return read(folder)
    except FormatError as error:
        problem = str(error)
    assert str(folder) in problem
    return None


@pytest.mark.parametrize("read", [read_session, doubt_of, started_of])
@settings(max_examples=150)
@given(data=bent(FACTS))
def test_session_facts_of_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, read: Callable[[Path], object], data: bytes
) -> None:
    """A damaged session.json is a FormatError that names it; nothing else comes out."""
    folder = tmp_path_factory.getbasetemp() / "facts"
    folder.mkdir(exist_ok=True)
    (folder / "session.json").write_bytes(data)
    found = _reads(read, folder)
    if isinstance(found, SessionFacts):
        assert all(domain.is_absolute() for domain in found.domains)


@settings(max_examples=150)
@given(data=bent(NOTE))
def test_note_of_a_commit_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """A damaged note never says that a session was committed."""
    folder = tmp_path_factory.getbasetemp() / "note"
    folder.mkdir(exist_ok=True)
    (folder / "commit.json").write_bytes(data)
    workspace = Workspace(folder)
    assert _reads(lambda place: committed_run(workspace, place), folder) is None


@settings(max_examples=150)
@given(data=bent(LOST))
def test_note_of_a_refused_sync_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """A damaged note never makes more of the log believed."""
    folder = tmp_path_factory.getbasetemp() / "lost"
    folder.mkdir(exist_ok=True)
    (folder / "session.json").write_bytes(orjson.dumps(FACTS))
    (folder / "lost").write_bytes(data)
    _reads(doubt_of, folder)


CONFIGURATION = b'allowed_roots = ["out"]\nallow_write = ["/var/tmp"]\nredact = ["pin"]\n'


@settings(max_examples=200)
@given(data=st.data())
def test_configuration_of_any_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A damaged config.toml is a UsageError that names it."""
    workspace = Workspace(tmp_path_factory.getbasetemp() / "workspace")
    workspace.folder.mkdir(parents=True, exist_ok=True)
    place = data.draw(st.integers(0, len(CONFIGURATION)))
    text = (
        CONFIGURATION[:place]
        + data.draw(st.binary(max_size=6))
        + CONFIGURATION[place + data.draw(st.integers(0, 9)) :]
    )
    (workspace.folder / "config.toml").write_bytes(text)
    problem = "config.toml"
    words: tuple[str, ...] = ("none",)
    try:
        words = workspace.configuration().redact
    except UsageError as error:
        problem = str(error)
    assert "config.toml" in problem
    assert all(word and "\0" not in word for word in words)


@settings(max_examples=60)
@given(question=st.binary(max_size=200) | bent({"ask": "status"}))
def test_control_message_of_any_bytes_is_answered(
    tmp_path_factory: pytest.TempPathFactory, question: bytes
) -> None:
    """Whatever is asked, the answer is one line of JSON, and the session goes on answering."""
    folder = tmp_path_factory.getbasetemp() / "control"
    folder.mkdir(exist_ok=True)
    asked: list[object] = []

    async def answer(value: object) -> dict[str, object]:
        asked.append(value)
        return {"asked": len(asked)}

    async def converse() -> bytes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_control, open_control(folder), answer)
            async with await trio.open_unix_socket(str(folder / "control")) as stream:
                await stream.send_all(question)
                await stream.send_eof()
                said = b"".join([block async for block in stream])
            nursery.cancel_scope.cancel()
        return said

    said = trio.run(converse)
    (folder / "control").unlink()
    reply = orjson.loads(said)
    assert ("refused" in reply) != ("asked" in reply)
