"""The store that keeps everything in dictionaries and nothing on disk.

It is the oracle: written to be obviously right, and what every other store is compared with. Tests and the
simulator run on it. What it keeps dies with the process.

Invariant: a commit is checked as a whole (`_Check`) before the first of its writes is applied, so applying cannot
fail. Records are copied on the way in and on the way out.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from itertools import islice

from restate_protocol.ids import INVOCATION_ID_BYTES, invocation_id_text
from restate_protocol.services import HandlerMode

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
from restate_runtime.core.records import Attempt, Deployment, Invocation, JournalRow, Promises, Status, Timer

from .base import InvocationFilter, KeyHolder, Store, StoreError, StoreInvalid, StoreUnavailable, settled
from .columns import CHANGING

Object = tuple[str, str]


class MemoryStore(Store):
    """Keeps everything in memory. `close` and `open` again keep the contents, as a restart would."""

    def __init__(self) -> None:
        self._open = False
        # Insertion order is age: newest last. That is what `list_invocations` goes by.
        self._invocations: dict[bytes, Invocation] = {}
        self._journals: dict[bytes, list[JournalRow]] = {}
        self._attempts: dict[bytes, dict[int, Attempt]] = {}
        self._waiters: dict[bytes, dict[tuple[bytes, int], None]] = {}
        self._state: dict[Object, dict[int, bytes]] = {}
        self._promises: dict[Object, dict[int, bytes]] = {}
        self._promise_waiters: dict[Object, dict[int, dict[tuple[bytes, int], None]]] = {}
        self._timers: set[Timer] = set()
        self._deployments: dict[str, Deployment] = {}
        self._descriptor_sets: dict[str, bytes] = {}

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False

    def commit(self, writes: Sequence[Write]) -> Awaitable[None]:
        try:
            self._commit(writes)
        except StoreError as error:
            return settled(error)
        return settled()

    def _commit(self, writes: Sequence[Write]) -> None:
        self._use()
        check = _Check(self._invocations, self._journals, self._attempts, self._promises)
        for write in writes:
            check.write(write)
        for write in writes:
            self._apply(write)

    def _use(self) -> None:
        if not self._open:
            raise StoreUnavailable("the memory store is not open. Call open() first")

    def _apply(self, write: Write) -> None:
        """Applies one write that was found valid."""
        match write:
            case CreateInvocation(record):
                self._invocations[record.id] = dataclasses.replace(record)
                self._journals[record.id] = []
                self._attempts[record.id] = {}
            case SaveInvocation(record):
                kept = self._invocations[record.id]
                for name in CHANGING:
                    setattr(kept, name, getattr(record, name))
            case AppendEntry(invocation_id, index, at_ms, entry):
                self._journals[invocation_id].append(JournalRow(index, at_ms, entry))
            case RecordAttempt(attempt):
                self._attempts[attempt.invocation_id][attempt.epoch] = attempt
            case PurgeInvocation(invocation_id):
                self._purge(invocation_id)
            case PurgeJournal(invocation_id):
                if invocation_id in self._journals:
                    self._journals[invocation_id] = []
            case AddWaiter(target, invocation_id, command):
                self._waiters.setdefault(target, {})[invocation_id, command] = None
            case RemoveWaiters(target):
                self._waiters.pop(target, None)
            case PutTimer(timer):
                self._timers.add(timer)
            case DeleteTimer(timer):
                self._timers.discard(timer)
            case PutDeployment(deployment):
                self._deployments[deployment.id] = deployment
            case PutDescriptorSet(hash, data):
                self._descriptor_sets[hash] = data
            case _:
                self._apply_to_object(write)

    def _apply_to_object(
        self, write: PutState | ClearState | PutPromise | AddPromiseWaiter | RemovePromiseWaiters
    ) -> None:
        where = (write.service, write.key)
        match write:
            case PutState(number=number, value=None):
                self._state.get(where, {}).pop(number, None)
            case PutState(number=number, value=bytes() as value):
                self._state.setdefault(where, {})[number] = value
            case ClearState():
                self._state.pop(where, None)
            case PutPromise(number=number, result=result):
                self._promises.setdefault(where, {})[number] = result
            case AddPromiseWaiter(number=number, invocation_id=invocation_id, command=command):
                waiters = self._promise_waiters.setdefault(where, {})
                waiters.setdefault(number, {})[invocation_id, command] = None
            case RemovePromiseWaiters(number=number):
                self._promise_waiters.get(where, {}).pop(number, None)

    def _purge(self, invocation_id: bytes) -> None:
        self._waiters.pop(invocation_id, None)
        record = self._invocations.pop(invocation_id, None)
        if record is None:
            return
        del self._journals[invocation_id], self._attempts[invocation_id]
        if record.mode is HandlerMode.RUN and record.key is not None:
            where = (record.service, record.key)
            self._state.pop(where, None)
            self._promises.pop(where, None)
            self._promise_waiters.pop(where, None)

    async def invocation(self, invocation_id: bytes) -> Invocation | None:
        self._use()
        record = self._invocations.get(invocation_id)
        return None if record is None else dataclasses.replace(record)

    async def journal(self, invocation_id: bytes, length: int | None = None) -> list[JournalRow]:
        self._use()
        return self._journals.get(invocation_id, [])[:length]

    async def attempts(self, invocation_id: bytes) -> list[Attempt]:
        self._use()
        found = self._attempts.get(invocation_id, {})
        return [found[epoch] for epoch in sorted(found)]

    async def state(self, service: str, key: str) -> dict[int, bytes]:
        self._use()
        return dict(sorted(self._state.get((service, key), {}).items()))

    async def state_entry(self, service: str, key: str, number: int) -> bytes | None:
        self._use()
        return self._state.get((service, key), {}).get(number)

    async def state_numbers(self, service: str, key: str) -> list[int]:
        self._use()
        return sorted(self._state.get((service, key), {}))

    async def promises(self, service: str, key: str) -> Promises:
        self._use()
        results = self._promises.get((service, key), {})
        waiters = self._promise_waiters.get((service, key), {})
        return Promises(
            dict(sorted(results.items())),
            {number: list(waiting) for number, waiting in sorted(waiters.items())},
        )

    async def waiters(self, target: bytes) -> list[tuple[bytes, int]]:
        self._use()
        return list(self._waiters.get(target, {}))

    async def timers(self, after: Timer | None, limit: int) -> list[Timer]:
        self._use()
        return [timer for timer in sorted(self._timers) if after is None or timer > after][:limit]

    async def active_invocations(self, after: bytes | None, limit: int) -> list[Invocation]:
        self._use()
        active = (record for record in self._invocations.values() if record.status is Status.ACTIVE)
        found = sorted((record for record in active if after is None or record.id > after), key=lambda r: r.id)
        return _copies(found, limit)

    async def key_holders(self) -> list[KeyHolder]:
        self._use()
        holders = [
            KeyHolder(record.service, record.key, record.id, record.status, record.queue_seq)
            for record in self._invocations.values()
            if record.mode is HandlerMode.EXCLUSIVE
            and record.key is not None
            and record.queue_seq is not None
            and record.status not in (Status.SCHEDULED, Status.COMPLETED)
        ]
        return sorted(holders, key=lambda h: (h.status is Status.QUEUED, h.queue_seq, h.invocation_id))

    async def list_invocations(self, which: InvocationFilter) -> list[Invocation]:
        self._use()
        return _copies(self._matching(which), which.limit)

    def _matching(self, which: InvocationFilter) -> Iterator[Invocation]:
        for record in reversed(self._invocations.values()):
            if (
                which.service in (None, record.service)
                and which.status in (None, record.status)
                and which.handler in (None, record.handler)
                and which.key in (None, record.key)
            ):
                yield record

    async def counts(self) -> dict[Status, int]:
        self._use()
        found = Counter(record.status for record in self._invocations.values())
        del found[Status.COMPLETED]
        return dict(found)

    async def expired(self, now_ms: int, limit: int) -> list[bytes]:
        self._use()
        found = [
            (record.expires_ms, record.id)
            for record in self._invocations.values()
            if record.status is Status.COMPLETED and record.expires_ms is not None and record.expires_ms <= now_ms
        ]
        return [invocation_id for _, invocation_id in sorted(found, key=lambda pair: pair[0])[:limit]]

    async def deployments(self) -> list[Deployment]:
        self._use()
        return sorted(self._deployments.values(), key=lambda deployment: (deployment.revision, deployment.id))

    async def descriptor_set(self, hash: str) -> bytes | None:
        self._use()
        return self._descriptor_sets.get(hash)


def _copies(records: Iterable[Invocation], limit: int) -> list[Invocation]:
    return [dataclasses.replace(record) for record in islice(records, limit)]


class _Check:
    """What the store would hold after the writes so far, as far as it decides whether the next one is valid."""

    def __init__(
        self,
        invocations: dict[bytes, Invocation],
        journals: dict[bytes, list[JournalRow]],
        attempts: dict[bytes, dict[int, Attempt]],
        promises: dict[Object, dict[int, bytes]],
    ) -> None:
        self._invocations = invocations
        self._journals = journals
        self._attempts = attempts
        self._promises = promises
        # What this commit changes on top of that.
        self._records: dict[bytes, Invocation | None] = {}
        self._lengths: dict[bytes, int] = {}
        self._epochs: dict[bytes, set[int]] = {}
        self._completed: dict[Object, set[int]] = {}

    def write(self, write: Write) -> None:
        """Takes the next write.

        Raises:
            StoreInvalid: it makes no sense after the ones before.
        """
        match write:
            case CreateInvocation(record):
                self._create(record)
            case SaveInvocation(record):
                self._existing(record.id, "saved")
            case AppendEntry(invocation_id, index):
                self._append(invocation_id, index)
            case RecordAttempt(attempt):
                self._attempt(attempt)
            case PutPromise(service, key, number):
                self._complete(service, key, number)
            case PurgeInvocation(invocation_id):
                self._purge(invocation_id)
            case PurgeJournal(invocation_id):
                self._lengths[invocation_id] = 0
            case _:
                pass  # always valid

    def _record(self, invocation_id: bytes) -> Invocation | None:
        if invocation_id in self._records:
            return self._records[invocation_id]
        return self._invocations.get(invocation_id)

    def _existing(self, invocation_id: bytes, what: str) -> None:
        if self._record(invocation_id) is None:
            raise StoreInvalid(f"{invocation_id_text(invocation_id)} cannot be {what}: the store does not know it")

    def _create(self, record: Invocation) -> None:
        if len(record.id) != INVOCATION_ID_BYTES:
            raise StoreInvalid(f"{record.id.hex()} is no invocation id: it has {len(record.id)} bytes, not 16")
        if self._record(record.id) is not None:
            raise StoreInvalid(f"{invocation_id_text(record.id)} cannot be created: it exists")
        self._records[record.id] = record
        self._lengths[record.id] = 0
        self._epochs[record.id] = set()

    def _append(self, invocation_id: bytes, index: int) -> None:
        self._existing(invocation_id, "appended to")
        length = self._lengths.get(invocation_id)
        if length is None:
            length = len(self._journals[invocation_id])
        if index != length:
            raise StoreInvalid(
                f"entry {index} cannot be appended to {invocation_id_text(invocation_id)}: its journal has {length}"
            )
        self._lengths[invocation_id] = length + 1

    def _attempt(self, attempt: Attempt) -> None:
        self._existing(attempt.invocation_id, "given an attempt")
        epochs = self._epochs.get(attempt.invocation_id)
        if epochs is None:
            epochs = self._epochs[attempt.invocation_id] = set(self._attempts[attempt.invocation_id])
        if attempt.epoch in epochs:
            raise StoreInvalid(
                f"attempt {attempt.epoch} of {invocation_id_text(attempt.invocation_id)} is recorded already"
            )
        epochs.add(attempt.epoch)

    def _complete(self, service: str, key: str, number: int) -> None:
        completed = self._completed.get((service, key))
        if completed is None:
            completed = self._completed[service, key] = set(self._promises.get((service, key), {}))
        if number in completed:
            raise StoreInvalid(f"promise {number} of {service}/{key} is completed already")
        completed.add(number)

    def _purge(self, invocation_id: bytes) -> None:
        record = self._record(invocation_id)
        self._records[invocation_id] = None
        if record is not None and record.mode is HandlerMode.RUN and record.key is not None:
            self._completed[record.service, record.key] = set()
