"""The same random commits to every store: the same are refused, and afterwards the contents are equal."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from restate_runtime.core.decision import Write
from restate_runtime.store.base import Store, StoreInvalid
from restate_runtime.store.memory import MemoryStore
from restate_runtime.store.sqlite import SqliteStore

from .samples import contents
from .streams import SCOPE, Stream


async def outcome(store: Store, writes: list[Write]) -> str:
    try:
        await store.commit(writes)
    except StoreInvalid:
        return "invalid"
    return "committed"


async def compare(seed: int, commits: int, invalid: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        oracle, sqlite = MemoryStore(), SqliteStore(Path(folder) / "store.db")
        await oracle.open()
        await sqlite.open()
        try:
            for writes in Stream(seed, invalid).commits(commits):
                assert await outcome(sqlite, writes) == await outcome(oracle, writes), f"seed {seed}: {writes}"
            assert await contents(sqlite, SCOPE) == await contents(oracle, SCOPE), f"seed {seed}"
            await sqlite.close()
            await sqlite.open()
            assert await contents(sqlite, SCOPE) == await contents(oracle, SCOPE), f"seed {seed}, reopened"
        finally:
            await sqlite.close()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(1, 40), invalid=st.sampled_from([0.0, 0.02, 0.2]))
async def test_sqlite_does_what_the_oracle_does(seed: int, commits: int, invalid: float) -> None:
    await compare(seed, commits, invalid)
