"""A memory store with invocations to export, and a target that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import AppendEntry, CreateInvocation, RecordAttempt, SaveInvocation
from restate_runtime.core.records import Attempt, AttemptOutcome, Invocation, Status
from restate_runtime.core.spans import Span
from restate_runtime.deployments.contracts import Contracts
from restate_runtime.deployments.stored_traces import StoredTraces
from restate_runtime.store.memory import MemoryStore

RESULT = j.result_to_pb(j.Value(b"")).to_binary()


@dataclass
class FakeTarget:
    """Takes spans, unless told to refuse that many times."""

    refuse: int = 0
    batches: list[list[Span]] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    async def export(self, spans: Sequence[Span]) -> bool:
        if self.refuse:
            self.refuse -= 1
            return False
        self.batches.append(list(spans))
        self.taken.set()
        return True

    async def close(self) -> None:
        self.closed = True

    @property
    def names(self) -> list[str]:
        return [span.name for batch in self.batches for span in batch]

    @property
    def ids(self) -> list[str]:
        return [span.span_id for batch in self.batches for span in batch]


@dataclass
class World:
    """A store, and how invocations get into it."""

    store: MemoryStore
    traces: StoredTraces

    async def put(self, number: int, **changes: Any) -> Invocation:
        """A suspended invocation with a run that is done and a sleep that is not, after one attempt."""
        one = Invocation(
            bytes([number]) * 16, "shop.v1.Cart", "Add", "ada", HandlerMode.SHARED, 1_000, status=Status.SUSPENDED
        )
        one.epoch = 1
        for name, value in changes.items():
            setattr(one, name, value)
        entries: list[j.Entry] = [j.Input(b""), j.Run("charge"), j.Completion(1, j.Value(b"")), j.Sleep(99_000)]
        rows = [AppendEntry(one.id, index, 1_000 + index, j.encode(entry)) for index, entry in enumerate(entries)]
        attempt = RecordAttempt(Attempt(one.id, 1, 1_000, 1_500, AttemptOutcome.SUSPENDED))
        await self.store.commit([CreateInvocation(one), *rows, attempt])
        return one

    async def complete(self, one: Invocation, at_ms: int = 2_000) -> None:
        one.status, one.completed_ms, one.result, one.expires_ms = Status.COMPLETED, at_ms, RESULT, at_ms + 1
        await self.store.commit([SaveInvocation(one)])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore()
    await store.open()
    yield World(store, StoredTraces(store, Contracts(store)))
    await store.close()
