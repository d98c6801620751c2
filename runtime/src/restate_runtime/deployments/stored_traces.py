"""The trace of a stored invocation: its own spans, or with those of everything it called."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from restate_protocol import journal as j

from restate_runtime.core.records import Invocation, JournalRow
from restate_runtime.core.spans import Span, derive_spans
from restate_runtime.store.base import Store

from .contracts import Contracts

#: Invocations in one trace. A larger trace is cut: its first ones are shown.
MAX_TRACE = 200


class StoredTraces:
    """Derives spans from what the store has."""

    def __init__(self, store: Store, contracts: Contracts) -> None:
        self._store = store
        self._contracts = contracts

    async def own(self, record: Invocation) -> list[Span]:
        """The spans of one invocation."""
        return await self._derive(record, await self._store.journal(record.id))

    async def whole(self, record: Invocation) -> list[Span]:
        """The spans of an invocation and of all that it called, each parent before its children."""
        spans: list[Span] = []
        seen = {record.id}
        waiting = deque([record])
        while waiting:
            one = waiting.popleft()
            rows = await self._store.journal(one.id)
            spans += await self._derive(one, rows)
            for called in await self._called(one, rows):
                if called.id not in seen and len(seen) < MAX_TRACE:
                    seen.add(called.id)
                    waiting.append(called)
        return spans

    async def _derive(self, record: Invocation, rows: Sequence[JournalRow]) -> list[Span]:
        view = await self._contracts.view(record)
        return derive_spans(record, rows, await self._store.attempts(record.id), view.field_name)

    async def _called(self, parent: Invocation, rows: Sequence[JournalRow]) -> list[Invocation]:
        """Invocations that this one called and that nobody else did."""
        entries = [j.decode(row.entry) for row in rows]
        calls = [entry.invocation_id for entry in entries if isinstance(entry, j.Call)]
        records = [await self._store.invocation(one) for one in calls[:MAX_TRACE]]
        return [one for one in records if one is not None and one.reply and one.parent_id == parent.id]
