"""What the admin API reads from the store: lists, journals, traces. Changes nothing."""

from __future__ import annotations

from collections import deque

from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import parse_invocation_id
from restate_protocol.status import StatusCode

from restate_runtime.core.records import Invocation, Status
from restate_runtime.core.spans import Span, command_name, derive_spans
from restate_runtime.store.base import InvocationFilter, Store

from . import messages
from .contracts import Contracts
from .journal_json import JournalReader
from .ports import LiveStatus

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
#: Invocations in one trace. A larger trace is cut: its first ones are shown.
MAX_TRACE = 200
#: How many ACTIVE records are looked at for a list of ready, running or backing-off ones.
MAX_ACTIVE = 10_000

LIVE = ("ready", "running", "backing-off")
STATUSES = (*(status.value for status in Status), *LIVE)


class Reading:
    """Reads for the admin API."""

    def __init__(self, store: Store, contracts: Contracts, live_status: LiveStatus) -> None:
        self._store = store
        self._contracts = contracts
        self._live_status = live_status

    async def invocation(self, text: str) -> Invocation:
        """The record of an inv_… id.

        Raises:
            IdError: it is not one.
            TerminalError: NOT_FOUND.
        """
        record = await self._store.invocation(parse_invocation_id(text))
        if record is None:
            raise TerminalError(
                f"there is no invocation {text}: it was never accepted here, or its retention is over",
                code=StatusCode.NOT_FOUND,
            )
        return record

    async def invocations(self, service: str, status: str, limit: int) -> list[pb.Invocation]:
        """Invocations, newest first.

        Raises:
            TerminalError: INVALID_ARGUMENT: no such status, or a limit out of range.
        """
        if status and status not in STATUSES:
            _refuse(f"there is no status {status!r}; give one of {', '.join(STATUSES)}")
        if limit > MAX_LIMIT:
            _refuse(f"limit is {limit}; give at most {MAX_LIMIT}")
        limit = limit or DEFAULT_LIMIT
        live = status in LIVE
        stored = Status.ACTIVE if live else Status(status) if status else None
        found = await self._store.list_invocations(
            InvocationFilter(service or None, stored, MAX_ACTIVE if live else limit)
        )
        shown = [messages.invocation(record, self.status(record)) for record in found]
        return [one for one in shown if not live or one.status == status][:limit]

    def status(self, record: Invocation) -> str:
        """The status as shown: ready, running or backing-off for what is ACTIVE."""
        if record.status is not Status.ACTIVE:
            return str(record.status.value)
        live: str | None = self._live_status(record.id)
        if live is not None:
            return live
        return "backing-off" if record.next_retry_ms is not None else "ready"

    async def journal(self, record: Invocation) -> list[pb.JournalEntry]:
        """The journal with each entry as JSON."""
        rows = await self._store.journal(record.id)
        entries = [j.decode(row.entry) for row in rows]
        reader = JournalReader(await self._contracts.view(record), record.handler, entries)
        shown: list[pb.JournalEntry] = []
        commands = 0
        for row, entry in zip(rows, entries, strict=True):
            number: int | None
            if isinstance(entry, j.NOTIFICATIONS):
                number = entry.command if isinstance(entry, j.Completion) else None
                name = str(entry.target) if isinstance(entry, j.Signal) else ""
            else:
                number, name = commands, command_name(entry, reader.field_name)
                commands += 1
            shown.append(messages.journal_entry(row, entry, number, name, reader.json(entry)))
        return shown

    async def trace(self, record: Invocation) -> list[Span]:
        """The spans of an invocation and of all that it called, each parent before its children."""
        spans: list[Span] = []
        seen = {record.id}
        waiting = deque([record])
        while waiting:
            one = waiting.popleft()
            rows = await self._store.journal(one.id)
            entries = [j.decode(row.entry) for row in rows]
            reader = JournalReader(await self._contracts.view(one), one.handler, entries)
            spans += derive_spans(one, rows, await self._store.attempts(one.id), reader.field_name)
            for called in await self._called(one, entries):
                if called.id not in seen and len(seen) < MAX_TRACE:
                    seen.add(called.id)
                    waiting.append(called)
        return spans

    async def _called(self, parent: Invocation, entries: list[j.Entry]) -> list[Invocation]:
        """Invocations that this one called and that nobody else did."""
        calls = [entry.invocation_id for entry in entries if isinstance(entry, j.Call)]
        records = [await self._store.invocation(one) for one in calls[:MAX_TRACE]]
        return [one for one in records if one is not None and one.reply and one.parent_id == parent.id]


def _refuse(message: str) -> None:
    raise TerminalError(message, code=StatusCode.INVALID_ARGUMENT)
