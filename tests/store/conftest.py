"""A store of each kind, open, with a way to close and open it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from restate_runtime.store.base import Store
from restate_runtime.store.memory import MemoryStore
from restate_runtime.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "store.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    await opened.open()
    yield opened
    await opened.close()
