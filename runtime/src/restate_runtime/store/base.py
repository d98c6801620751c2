"""The contract of a store.

A store keeps what the core decides and gives it back after a crash. It decides nothing itself.

Invariants every store keeps, and `tests/store` proves:
- `commit` is atomic and durable: once it returns, all of its writes survive a crash of process and machine;
  if it raises, none of them is visible, now or after a restart.
- Commits take effect in the order in which they were called. Reads see every commit that returned before.
- Within one commit writes take effect in order; an invocation record counts as it stands when `commit` is called.
- Times are arguments or part of records; a store reads no clock.

Errors:

StoreError
├── StoreConflict       nothing was committed; the same call may work later (busy, interrupted)
├── StoreInvalid        the request makes no sense (journal gap, duplicate create); a bug of the caller
└── StoreUnavailable    the store cannot be used: locked, corrupt, read-only, full, of a newer version
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from restate_protocol.errors import RestateError

from ..core.decision import Write
from ..core.records import Attempt, Deployment, Invocation, JournalRow, Promises, Status, Timer


class StoreError(RestateError):
    """Base of what stores raise. The message says what happened and what to do."""


class StoreConflict(StoreError):
    """Nothing was committed; the same call may work later."""


class StoreInvalid(StoreError):
    """The request makes no sense; nothing was committed."""


class StoreUnavailable(StoreError):
    """The store cannot be used. A runtime that meets this on commit stops and acknowledges nothing."""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A live exclusive invocation: it holds its key, or (status QUEUED) waits for it."""

    service: str
    key: str
    invocation_id: bytes
    status: Status
    queue_seq: int


@dataclass(frozen=True, slots=True)
class InvocationFilter:
    """Which invocations to list. None: any."""

    service: str | None = None
    status: Status | None = None
    limit: int = 100
    handler: str | None = None
    key: str | None = None


def settled(error: StoreError | None = None) -> Awaitable[None]:
    """A commit that is durable already, or failed already."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


class Store(ABC):
    """See the module for the invariants. Methods are called from one event loop."""

    @abstractmethod
    async def open(self) -> None:
        """Makes the store usable: locks it, migrates it, checks it.

        Raises:
            StoreUnavailable: it is locked by another runtime, corrupt, read-only, or of a newer version.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finishes the commits under way and lets go of everything. Calling it twice is fine."""

    @abstractmethod
    def commit(self, writes: Sequence[Write]) -> Awaitable[None]:
        """Makes all writes durable in one transaction; they are once the result was awaited.

        Begins at the call, and has read what it needs of the writes when it returns: the caller may go on changing
        records. Commits are durable in the order of the calls. What goes wrong is raised to the one who awaits it.
        """

    @abstractmethod
    async def invocation(self, invocation_id: bytes) -> Invocation | None:
        """The record, a fresh copy, or None."""

    @abstractmethod
    async def journal(self, invocation_id: bytes, length: int | None = None) -> list[JournalRow]:
        """The first `length` entries in order, or all; empty where there is no such invocation."""

    @abstractmethod
    async def attempts(self, invocation_id: bytes) -> list[Attempt]:
        """The attempts that ended without the output, in order of their epochs."""

    @abstractmethod
    async def state(self, service: str, key: str) -> dict[int, bytes]:
        """All state entries of one object or workflow, ascending by number."""

    @abstractmethod
    async def state_entry(self, service: str, key: str, number: int) -> bytes | None:
        """One state entry of an object or workflow, or None."""

    @abstractmethod
    async def state_numbers(self, service: str, key: str) -> list[int]:
        """The numbers of all state entries of one object or workflow, ascending."""

    @abstractmethod
    async def promises(self, service: str, key: str) -> Promises:
        """Results and waiters of one workflow's promises."""

    @abstractmethod
    async def waiters(self, target: bytes) -> list[tuple[bytes, int]]:
        """The commands that wait for the result of `target`, besides the parent's, in the order they were added."""

    @abstractmethod
    async def timers(self, after: Timer | None, limit: int) -> list[Timer]:
        """At most `limit` timers in order, those after `after`, or from the first."""

    @abstractmethod
    async def active_invocations(self, after: bytes | None, limit: int) -> list[Invocation]:
        """At most `limit` records with status ACTIVE in order of their ids, those after `after`."""

    @abstractmethod
    async def key_holders(self) -> list[KeyHolder]:
        """Every live exclusive invocation that has a place (queue_seq) at its key, holders first, then by queue_seq."""

    @abstractmethod
    async def list_invocations(self, which: InvocationFilter) -> list[Invocation]:
        """Records, newest first."""

    @abstractmethod
    async def counts(self) -> dict[Status, int]:
        """How many invocations have each status, without COMPLETED; those that none has are left out."""

    @abstractmethod
    async def expired(self, now_ms: int, limit: int) -> list[bytes]:
        """Ids of at most `limit` completed invocations whose `expires_ms` is not after `now_ms`."""

    @abstractmethod
    async def deployments(self) -> list[Deployment]:
        """Every deployment, in order of revision."""

    @abstractmethod
    async def descriptor_set(self, hash: str) -> bytes | None:
        """The FileDescriptorSet stored under this hash."""
