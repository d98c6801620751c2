"""Writes of one commit -> statements and their parameters.

Runs on the event loop and reads every record before it returns, so the caller may go on changing them. Here several
writes to one thing become one: the last state of an invocation, the last value of a state entry, the last word on a
timer. queries.sql says how the parameters are laid out.

Invariant: the statements, executed in order in one transaction, do what the writes do in order. A purge begins a new
batch, because it is the one write whose effect on the writes before it is known only to the database.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from restate_protocol.ids import invocation_id_text
from restate_protocol.immutable import immutable

from restate_runtime.core.decision import (
    AddPromiseWaiter,
    AddWaiter,
    AppendEntry,
    ClearState,
    CreateInvocation,
    DeleteTimer,
    PurgeInvocation,
    PurgeJournal,
    PutDeployment,
    PutDescriptorSet,
    PutPromise,
    PutState,
    PutTimer,
    RecordAttempt,
    RemovePromiseWaiters,
    RemoveWaiters,
    SaveInvocation,
    Write,
)
from restate_runtime.core.records import Invocation, Timer
from restate_runtime.store.base import StoreInvalid

from .parts import BASE, Parts, number, packed


@immutable
class Statement:
    """One call into SQLite: a query of queries.sql and what it is executed with.

    Parameters go by position: by name, sqlite3 lets go of Python's lock once more for each.

    Args:
        entries: rows of journal entries that follow the first row of a batch.
        size: about how many bytes it carries, as far as that matters.
    """

    query: str
    parameters: tuple[Any, ...]
    entries: int = 0
    size: int = 0

    def sql(self, named: Mapping[str, str]) -> str:
        """The text, with a row for each entry."""
        return named[self.query] + named["and_entry"] * self.entries


def statements(writes: Sequence[Write]) -> list[Statement]:
    """What to execute for `writes`, in one transaction.

    Raises:
        StoreInvalid: the writes make no sense whatever the store holds.
    """
    batch = Batch()
    batches = [batch]
    for write in writes:
        if type(write) in _PURGES:
            if batch.has_writes:
                batch = Batch()
                batches.append(batch)
            batch.purge(write)  # type: ignore[arg-type]
        else:
            batch.has_writes = True
            _TAKE[type(write)](batch, write)
    return [statement for batch in batches for statement in batch.statements()]


@dataclass(slots=True)
class Creation:
    """A new invocation: the record that was created, and the one last saved. Mostly they are the same."""

    fixed: Invocation
    last: Invocation


@dataclass(slots=True)
class StateChange:
    """What becomes of the state of one object: whether all goes, then the last word on each entry."""

    cleared: bool = False
    values: dict[int, bytes | None] = field(default_factory=dict)


@dataclass(slots=True)
class WaitersChange:
    """What becomes of those who wait for one target: whether all go, then who comes, in order."""

    removed: bool = False
    added: dict[tuple[bytes, int], None] = field(default_factory=dict)


class Batch:
    """Purges, then any other writes."""

    __slots__ = (
        "_attempts",
        "_created",
        "_entries",
        "_entry_bytes",
        "_parts",
        "_purged",
        "_purged_journals",
        "_rare",
        "_saved",
        "_state",
        "_timers",
        "_touched",
        "_waiters",
        "has_writes",
    )

    def __init__(self) -> None:
        self.has_writes = False  # besides purges
        self._parts = Parts()
        self._purged: list[bytes] = []
        self._purged_journals: list[bytes] = []
        self._created: dict[bytes, Creation] = {}
        self._saved: dict[bytes, Invocation] = {}
        self._touched: set[bytes] = set()
        self._entries: list[Any] = []  # four parameters for each
        self._entry_bytes = 0
        self._attempts: list[str] = []
        self._timers: dict[Timer, bool] = {}
        self._state: dict[tuple[str, str], StateChange] = {}
        self._waiters: dict[bytes, WaitersChange] = {}
        self._rare: list[Statement] = []

    def purge(self, write: PurgeInvocation | PurgeJournal) -> None:
        purged = self._purged if isinstance(write, PurgeInvocation) else self._purged_journals
        purged.append(write.invocation_id)

    def create(self, write: CreateInvocation) -> None:
        record = write.invocation
        if record.id in self._created or record.id in self._saved or record.id in self._touched:
            # Whether or not the store knows it already, this write or the one before it makes no sense.
            raise StoreInvalid(f"{invocation_id_text(record.id)} is created after another write of it in one commit")
        self._created[record.id] = Creation(record, record)

    def save(self, write: SaveInvocation) -> None:
        record = write.invocation
        creation = self._created.get(record.id)
        if creation is None:
            self._saved[record.id] = record
        else:
            creation.last = record

    def append(self, write: AppendEntry) -> None:
        self._touched.add(write.invocation_id)
        # sqlite3 binds a bytearray as it is; for bytes it first looks for an adapter.
        self._entries += (bytearray(write.invocation_id), write.index, write.at_ms, bytearray(write.entry))
        self._entry_bytes += len(write.entry)

    def attempt(self, write: RecordAttempt) -> None:
        attempt, parts = write.attempt, self._parts
        self._touched.add(attempt.invocation_id)
        self._attempts.append(
            f"{parts.id(attempt.invocation_id)}{BASE + attempt.epoch}"
            f"{BASE + attempt.started_ms}{BASE + attempt.ended_ms}"
            f"{parts.text(attempt.outcome.value)}{parts.text(attempt.deployment_id)}{parts.blob(attempt.failure)}"
        )

    def put_timer(self, write: PutTimer) -> None:
        self._timers[write.timer] = True

    def delete_timer(self, write: DeleteTimer) -> None:
        self._timers[write.timer] = False

    def put_state(self, write: PutState) -> None:
        self._state_of(write.service, write.key).values[write.number] = write.value

    def clear_state(self, write: ClearState) -> None:
        change = self._state_of(write.service, write.key)
        change.cleared = True
        change.values.clear()

    def _state_of(self, service: str, key: str) -> StateChange:
        change = self._state.get((service, key))
        if change is None:
            change = self._state[service, key] = StateChange()
        return change

    def add_waiter(self, write: AddWaiter) -> None:
        change = self._waiters.setdefault(write.target, WaitersChange())
        change.added[write.invocation_id, write.command] = None

    def remove_waiters(self, write: RemoveWaiters) -> None:
        self._waiters[write.target] = WaitersChange(removed=True)

    def put_promise(self, write: PutPromise) -> None:
        row = (write.service, write.key, write.number, write.result)
        self._rare.append(Statement("put_promise", row, size=len(write.result)))

    def add_promise_waiter(self, write: AddPromiseWaiter) -> None:
        row = (write.service, write.key, write.number, write.invocation_id, write.command)
        self._rare.append(Statement("add_promise_waiter", row))

    def remove_promise_waiters(self, write: RemovePromiseWaiters) -> None:
        self._rare.append(Statement("remove_promise_waiters", (write.service, write.key, write.number)))

    def put_deployment(self, write: PutDeployment) -> None:
        deployment = write.deployment
        row = (
            deployment.id,
            deployment.address,
            deployment.version_label,
            deployment.descriptor_hash,
            json.dumps(deployment.services),
            deployment.created_ms,
            deployment.revision,
            deployment.dev_name,
        )
        self._rare.append(Statement("put_deployment", row))

    def put_descriptor_set(self, write: PutDescriptorSet) -> None:
        self._rare.append(Statement("put_descriptor_set", (write.hash, write.data), size=len(write.data)))

    def statements(self) -> Iterator[Statement]:
        """The purges, the frequent writes, the rare ones: one statement for each of the first two."""
        if self._purged:
            yield self._purge_statement()
        for invocation_id in self._purged_journals:
            yield Statement("purge_journal", (invocation_id,))
        rows = self._rows()
        first: tuple[Any, ...] = _NO_ROWS
        if any(rows):
            packs = [packed(found, slots) for found, slots in zip(rows, SLOTS.values(), strict=True)]
            first = (self._parts.joined(), *packs)
        if any(rows) or self._entries:
            size = self._entry_bytes + sum(len(one) for one in first if one)
            yield from _with_entries(first, self._entries, size)
        yield from self._rare

    def _purge_statement(self) -> Statement:
        parts = Parts()
        ids = packed([parts.id(invocation_id) for invocation_id in self._purged], 1)
        return Statement("apply_purge", (parts.joined(), ids))

    def _rows(self) -> tuple[list[str], ...]:
        """The rows of every column of `batch`, in the order of SLOTS."""
        parts = self._parts
        return (
            [self._create_row(creation) for creation in self._created.values()],
            [parts.id(record.id) + self._changing(record) for record in self._saved.values()],
            self._attempts,
            [self._timer_row(timer) for timer, put in self._timers.items() if not put],
            [self._timer_row(timer) for timer, put in self._timers.items() if put],
            *self._state_rows(),
            *self._waiter_rows(),
        )

    def _create_row(self, creation: Creation) -> str:
        record, parts = creation.fixed, self._parts
        return (
            f"{parts.id(record.id)}{parts.text(record.service)}{parts.text(record.handler)}{parts.text(record.key)}"
            f"{parts.text(record.mode.value)}{BASE + record.created_ms}{number(record.scheduled_for_ms)}"
            f"{parts.text(record.idempotency_key)}{parts.blob(record.parent_id)}{number(record.parent_command)}"
            f"{BASE + record.reply}{parts.text(record.traceparent)}{parts.text(record.tracestate)}"
            f"{BASE + record.retention_ms}{parts.blob(record.request_digest)}{self._changing(creation.last)}"
        )

    def _changing(self, record: Invocation) -> str:
        parts = self._parts
        return (
            f"{parts.text(record.status.value)}{parts.text(record.deployment_id)}{number(record.queue_seq)}"
            f"{BASE + record.epoch}{number(record.attempt_started_ms)}{BASE + record.retry_count}"
            f"{number(record.next_retry_ms)}{parts.blob(record.awaiting)}{parts.blob(record.last_failure)}"
            f"{number(record.completed_ms)}{parts.blob(record.result)}{number(record.expires_ms)}"
        )

    def _timer_row(self, timer: Timer) -> str:
        return f"{BASE + timer.due_ms}{self._parts.id(timer.invocation_id)}{BASE + timer.command}{BASE + timer.kind}"

    def _state_rows(self) -> tuple[list[str], list[str], list[str]]:
        cleared: list[str] = []
        deleted: list[str] = []
        put: list[str] = []
        for (service, key), change in self._state.items():
            where = self._parts.text(service) + self._parts.text(key)
            if change.cleared:
                cleared.append(where)
            for entry, value in change.values.items():
                if value is not None:
                    put.append(f"{where}{BASE + entry}{self._parts.blob(value)}")
                elif not change.cleared:
                    deleted.append(f"{where}{BASE + entry}")
        return cleared, deleted, put

    def _waiter_rows(self) -> tuple[list[str], list[str]]:
        removed: list[str] = []
        added: list[str] = []
        for target, change in self._waiters.items():
            place = self._parts.id(target)
            if change.removed:
                removed.append(place)
            added.extend(f"{place}{self._parts.id(waiter)}{BASE + command}" for waiter, command in change.added)
        return removed, added


#: The columns of `batch` after `data`, and how many slots a row has in each; queries.sql counts the same.
SLOTS = {
    "creates": 41,
    "saves": 18,
    "attempts": 10,
    "delete_timers": 4,
    "put_timers": 4,
    "clear_state": 4,
    "delete_state": 5,
    "put_state": 7,
    "remove_waiters": 1,
    "add_waiters": 3,
}

_NO_ROWS = (None,) * (len(SLOTS) + 1)

#: Numbers of entry rows that a statement may have: few, so that SQLite keeps them all prepared.
_ENTRY_ROWS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def _with_entries(first: tuple[Any, ...], entries: list[Any], size: int) -> Iterator[Statement]:
    """The first row of a batch with its entries; more statements where one cannot hold them all."""
    most = _ENTRY_ROWS[-1] * 4
    for begin in range(0, max(len(entries), 1), most):
        some = entries[begin : begin + most]
        rows = _ENTRY_ROWS[bisect_left(_ENTRY_ROWS, len(some) // 4)]
        padding = (None,) * (rows * 4 - len(some))
        columns = _NO_ROWS if begin else first
        yield Statement("apply_batch", (*columns, *some, *padding), rows, 0 if begin else size)


#: Writes that come first in their batch.
_PURGES = (PurgeInvocation, PurgeJournal)

#: By type, because a chain of isinstance checks would cost more than the rest for the last of them.
_TAKE: dict[type[Any], Callable[[Batch, Any], None]] = {
    CreateInvocation: Batch.create,
    SaveInvocation: Batch.save,
    AppendEntry: Batch.append,
    RecordAttempt: Batch.attempt,
    PutTimer: Batch.put_timer,
    DeleteTimer: Batch.delete_timer,
    PutState: Batch.put_state,
    ClearState: Batch.clear_state,
    AddWaiter: Batch.add_waiter,
    RemoveWaiters: Batch.remove_waiters,
    PutPromise: Batch.put_promise,
    AddPromiseWaiter: Batch.add_promise_waiter,
    RemovePromiseWaiters: Batch.remove_promise_waiters,
    PutDeployment: Batch.put_deployment,
    PutDescriptorSet: Batch.put_descriptor_set,
}
