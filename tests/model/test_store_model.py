"""A local store does what a dictionary does, in any order of putting, deleting, cleaning and reopening."""

import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.store import LocalStore, MissingObjectError, check_store, collect_garbage

# Few different contents, so that they meet again; small, compressible, and too large for a pack.
CONTENTS = [b"", b"a", b"b" * 500, bytes(range(200)), b"large " * 12_000, bytes(range(256)) * 300]

_DATA = st.sampled_from(CONTENTS)
_STEP = st.one_of(
    st.tuples(st.just("put"), st.lists(_DATA, min_size=1, max_size=1)),
    st.tuples(st.just("stream"), st.lists(_DATA, min_size=1, max_size=1)),
    st.tuples(st.just("batch"), st.lists(_DATA, max_size=6)),
    st.tuples(st.just("delete"), st.lists(_DATA, min_size=1, max_size=2)),
    st.tuples(st.just("collect"), st.lists(_DATA, max_size=4)),
    st.tuples(st.just("reopen"), st.just([])),
)


def _step(store: LocalStore, model: dict[Digest, bytes], name: str, contents: list[bytes]) -> None:
    """Do one step with the store and the dictionary."""
    named = {Digest.of(data): data for data in contents}
    if name == "delete":
        for digest in named:
            assert store.delete(digest) == (model.pop(digest, None) is not None)
    elif name == "collect":
        found = collect_garbage(store, named, clock=lambda: system_clock() + 10**18)
        assert set(found.removed) == model.keys() - named.keys()
        for digest in found.removed:
            del model[digest]
    elif name == "batch":
        with store.batch() as batch:
            assert [batch.put(data) for data in contents] == [Digest.of(data) for data in contents]
        model.update(named)
    else:
        for data in contents:
            put = store.put(data) if name == "put" else store.put_stream(io.BytesIO(data))
            assert put == Digest.of(data)
        model.update(named)


def _check(store: LocalStore, model: dict[Digest, bytes]) -> None:
    assert sorted(store.iterate()) == sorted(model)
    for data in CONTENTS:
        digest = Digest.of(data)
        assert store.has(digest) == (digest in model)
        if digest in model:
            assert (store.get(digest), store.size(digest)) == (data, len(data))
            assert store.read(digest, 7, 11) == data[7:18]
        else:
            with pytest.raises(MissingObjectError, match=digest.hex):
                store.verify(digest)


@settings(max_examples=60)
@given(st.lists(_STEP, max_size=14))
def test_a_store_is_a_dictionary_by_digest(steps: list[tuple[str, list[bytes]]]) -> None:
    """What was put and not removed is there, whole, once; also for a process that opened the store before."""
    with tempfile.TemporaryDirectory() as folder:
        store = watcher = LocalStore(Path(folder), durable=False)
        model: dict[Digest, bytes] = {}
        for name, contents in steps:
            if name == "reopen":
                store = LocalStore(Path(folder), durable=False)
            else:
                _step(store, model, name, contents)
            _check(store, model)
        assert check_store(store, threads=1).problems == ()
        _check(LocalStore(Path(folder)), model)
        _check(watcher, model)
