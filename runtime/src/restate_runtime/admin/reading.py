"""What the admin API reads from the store: lists and journals. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import parse_invocation_id
from restate_protocol.status import StatusCode

from restate_runtime.core.records import Invocation, Status
from restate_runtime.core.spans import command_name
from restate_runtime.deployments.contracts import Contracts
from restate_runtime.store.base import InvocationFilter, Store

from . import messages
from .journal_json import JournalReader
from .ports import LiveStatus

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
#: How many ACTIVE records are looked at for a list of ready, running or backing-off ones.
MAX_ACTIVE = 10_000

LIVE = ("ready", "running", "backing-off")
STATUSES = ("scheduled", "queued", *LIVE, "suspended", "paused", "completed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which invocations to show. Empty texts, and a key of None: any."""

    service: str = ""
    handler: str = ""
    key: str | None = None
    status: str = ""
    limit: int = DEFAULT_LIMIT


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

    async def invocations(self, request: pb.ListInvocationsRequest) -> list[pb.Invocation]:
        """Invocations, newest first.

        Raises:
            TerminalError: INVALID_ARGUMENT: no such status, or a limit out of range.
        """
        if request.limit > MAX_LIMIT:
            _refuse(f"limit is {request.limit}; give at most {MAX_LIMIT}")
        key = request.key if request.has_field("key") else None
        limit = request.limit or DEFAULT_LIMIT
        return await self.matching(Wanted(request.service, request.handler, key, request.status, limit))

    async def matching(self, wanted: Wanted) -> list[pb.Invocation]:
        """Invocations, newest first.

        Raises:
            TerminalError: INVALID_ARGUMENT: no such status.
        """
        status = wanted.status
        if status and status not in STATUSES:
            _refuse(f"there is no status {status!r}; give one of {', '.join(STATUSES)}")
        live = status in LIVE
        stored = Status.ACTIVE if live else Status(status) if status else None
        found = await self._store.list_invocations(
            InvocationFilter(
                wanted.service or None,
                stored,
                MAX_ACTIVE if live else wanted.limit,
                wanted.handler or None,
                wanted.key,
            )
        )
        shown = [messages.invocation(record, self.status(record)) for record in found]
        return [one for one in shown if not live or one.status == status][: wanted.limit]

    def status(self, record: Invocation) -> str:
        """The status as shown: ready, running or backing-off for what is ACTIVE."""
        if record.status is not Status.ACTIVE:
            return str(record.status.value)
        live: str | None = self._live_status(record.id)
        if live is not None:
            return live
        return "backing-off" if record.next_retry_ms is not None else "ready"

    async def run_retries(self, record: Invocation) -> list[pb.RunRetry]:
        """Its runs that failed and wait to be tried again, in the order of their commands."""
        if record.status is Status.COMPLETED:
            return []
        entries = [j.decode(row.entry) for row in await self._store.journal(record.id)]
        commands = [entry for entry in entries if not isinstance(entry, j.NOTIFICATIONS)]
        waiting: dict[int, j.RunFailed] = {}
        for entry in entries:
            if isinstance(entry, j.RunFailed):
                waiting[entry.command] = entry
            elif isinstance(entry, j.Completion | j.RunDue):  # it has its result, or is being tried again
                waiting.pop(entry.command, None)
        return [messages.run_retry(commands[number], waiting[number]) for number in sorted(waiting)]

    async def journal(self, record: Invocation) -> list[pb.JournalEntry]:
        """The journal with each entry as JSON."""
        rows = await self._store.journal(record.id)
        entries = [j.decode(row.entry) for row in rows]
        view = await self._contracts.view(record)
        reader = JournalReader(view, record.handler, entries)
        shown: list[pb.JournalEntry] = []
        commands = 0
        for row, entry in zip(rows, entries, strict=True):
            number: int | None
            if isinstance(entry, j.NOTIFICATIONS):
                number = entry.command if isinstance(entry, j.Completion | j.RunFailed | j.RunDue) else None
                name = str(entry.target) if isinstance(entry, j.Signal) else ""
            else:
                number, name = commands, command_name(entry, view.field_name)
                commands += 1
            shown.append(messages.journal_entry(row, entry, number, name, reader.json(entry)))
        return shown


def _refuse(message: str) -> None:
    raise TerminalError(message, code=StatusCode.INVALID_ARGUMENT)
