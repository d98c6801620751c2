"""The store in one SQLite file: what a runtime uses unless it is told otherwise.

Commits go to the writer's thread; reads go through two aiosqlite connections and never queue behind a commit. In
write-ahead mode a reader sees every transaction that ended before it began, so whoever waited for a commit reads it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from restate_runtime.core.decision import Write
from restate_runtime.core.records import Attempt, Deployment, Invocation, JournalRow, Promises, Status, Timer
from restate_runtime.store.base import InvocationFilter, KeyHolder, Store, StoreUnavailable, settled

from . import rows
from .batch import statements
from .checkpoint import Checkpointer
from .connect import open_reader, open_writer
from .failures import store_error
from .files import FileLock, check_place
from .queries import queries
from .writer import Writer

#: Entries read at a time. They travel in one value, which SQLite limits to a gigabyte.
_JOURNAL_PAGE = 64

#: How long, in seconds, a thread waits for Python's lock before it insists. With the default of 0.005 the writer can
#: wait for seconds: a busy event loop gives the lock up often, but so briefly that a thread that only asks, and does
#: not insist, comes too late every time (docs/internals/store.md).
_SWITCH_INTERVAL_S = 0.0005

_POINT_CACHE_KIB = 16 * 1024
_SCAN_CACHE_KIB = 4 * 1024


class SqliteStore(Store):
    """Keeps everything in one SQLite file, fsynced before `commit` returns.

    Args:
        path: the database file; created if there is none. Beside it lie `-wal`, `-shm` and `.lock`.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).absolute()
        self._lock = FileLock(self._path)
        self._writer: Writer | None = None
        self._checkpointer: Checkpointer | None = None
        # Lists and scans have a connection of their own: what attempts wait for never queues behind them.
        self._point: aiosqlite.Connection | None = None
        self._scan: aiosqlite.Connection | None = None

    async def open(self) -> None:
        check_place(self._path)
        self._lock.acquire()
        try:
            await self._start()
        except BaseException as error:
            await self.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise store_error(self._path, error) from error
            raise
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))

    async def _start(self) -> None:
        """The writer first: it checks and migrates the file."""
        connection = await asyncio.to_thread(open_writer, self._path)
        self._checkpointer = Checkpointer(self._path)
        self._writer = Writer(self._path, connection, self._checkpointer)
        self._writer.start()
        self._checkpointer.start()
        self._point = await open_reader(self._path, _POINT_CACHE_KIB)
        self._scan = await open_reader(self._path, _SCAN_CACHE_KIB)

    async def close(self) -> None:
        """Finishes what is under way. The writer goes last: closing its connection empties the write-ahead log."""
        readers, self._point, self._scan = (self._point, self._scan), None, None
        writer, self._writer = self._writer, None
        checkpointer, self._checkpointer = self._checkpointer, None
        for reader in readers:
            if reader is not None:
                await reader.close()
        if checkpointer is not None:
            await asyncio.to_thread(checkpointer.stop)
        if writer is not None:
            await writer.stop()
        self._lock.release()

    def commit(self, writes: Sequence[Write]) -> Awaitable[None]:
        if self._writer is None:
            return settled(self._not_open())
        found = statements(writes)
        return self._writer.commit(found) if found else settled()

    async def invocation(self, invocation_id: bytes) -> Invocation | None:
        found = await self._read(self._point, "invocation", (invocation_id,))
        return rows.invocation(found[0]) if found else None

    async def journal(self, invocation_id: bytes, length: int | None = None) -> list[JournalRow]:
        entries: list[JournalRow] = []
        while length is None or len(entries) < length:
            begin = len(entries)
            end = begin + _JOURNAL_PAGE if length is None else min(begin + _JOURNAL_PAGE, length)
            (row,) = await self._read(self._point, "journal", (invocation_id, begin, end))
            entries.extend(rows.journal(row))
            if len(entries) < end:
                break
        return entries

    async def attempts(self, invocation_id: bytes) -> list[Attempt]:
        return [rows.attempt(row) for row in await self._read(self._scan, "attempts", {"id": invocation_id})]

    async def state(self, service: str, key: str) -> dict[int, bytes]:
        (row,) = await self._read(self._point, "state", (service, key))
        return rows.state(row)

    async def state_entry(self, service: str, key: str, number: int) -> bytes | None:
        found = await self._read(self._point, "state_entry", (service, key, number))
        return found[0][0] if found else None

    async def state_numbers(self, service: str, key: str) -> list[int]:
        return [number for (number,) in await self._read(self._point, "state_numbers", (service, key))]

    async def promises(self, service: str, key: str) -> Promises:
        return rows.promises(await self._read(self._point, "promises", {"service": service, "key": key}))

    async def waiters(self, target: bytes) -> list[tuple[bytes, int]]:
        return [(waiter, command) for waiter, command in await self._read(self._point, "waiters", (target,))]

    async def timers(self, after: Timer | None, limit: int) -> list[Timer]:
        if after is None:
            found = await self._read(self._scan, "first_timers", (limit,))
        else:
            place = (after.due_ms, after.invocation_id, after.command, after.kind.value)
            found = await self._read(self._scan, "timers_after", (*place, limit))
        return [rows.timer(row) for row in found]

    async def active_invocations(self, after: bytes | None, limit: int) -> list[Invocation]:
        found = await self._read(self._scan, "active_invocations", (after or b"", limit))
        return [rows.invocation(row) for row in found]

    async def key_holders(self) -> list[KeyHolder]:
        return [rows.key_holder(row) for row in await self._read(self._scan, "key_holders", ())]

    async def list_invocations(self, which: InvocationFilter) -> list[Invocation]:
        parameters = {
            "service": which.service,
            "status": None if which.status is None else which.status.value,
            "limit": which.limit,
            "handler": which.handler,
            "key": which.key,
        }
        return [rows.invocation(row) for row in await self._read(self._scan, _list_query(which), parameters)]

    async def counts(self) -> dict[Status, int]:
        found = await self._read(self._scan, "counts", ())
        return {Status(status): count for status, count in found if count}

    async def expired(self, now_ms: int, limit: int) -> list[bytes]:
        return [invocation_id for (invocation_id,) in await self._read(self._scan, "expired", (now_ms, limit))]

    async def deployments(self) -> list[Deployment]:
        return [rows.deployment(row) for row in await self._read(self._scan, "deployments", ())]

    async def descriptor_set(self, hash: str) -> bytes | None:
        found = await self._read(self._scan, "descriptor_set", (hash,))
        return found[0][0] if found else None

    async def _read(
        self, reader: aiosqlite.Connection | None, query: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> Sequence[rows.AnyRow]:
        """All rows, in one hop to the reader's thread and back."""
        if reader is None:
            raise self._not_open()
        try:
            return list(await reader.execute_fetchall(queries()[query], parameters))
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._path}: the store is not open. Call open() first")


def _list_query(which: InvocationFilter) -> str:
    """The query whose index answers this filter without a sort of everything."""
    match which.status:
        case None:
            return "list_all" if which.service is None else "list_by_service"
        case Status.ACTIVE:
            return "list_active"
        case Status.COMPLETED:
            return "list_completed" if which.service is None else "list_completed_by_service"
        case _:
            return "list_parked"
