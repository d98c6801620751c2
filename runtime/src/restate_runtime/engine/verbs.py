"""What may be done to an invocation from outside, one method each: the second half of EngineApi.

Invariant: what a method was asked for is durable when it returns.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable

from restate_protocol import ids
from restate_protocol.errors import TerminalError
from restate_protocol.journal import Failure, Result
from restate_protocol.status import StatusCode

from ..core import restart
from ..core.events import Cancel, Event, Kill, Pause, Purge, Restart, Resume, SignalSent
from ..core.records import Invocation, Status
from ..core.signals import name_problem
from ..store.base import Store
from .api import Accepted


class Verbs(ABC):
    """The engine's methods that steer invocations."""

    _store: Store
    _clock: Callable[[], int]

    @abstractmethod
    async def ask(self, make: Callable[[int], Event]) -> Accepted | None:
        """Posts the event made for a new token; returns when what it led to is durable.

        Raises:
            TerminalError: it was refused, or the runtime stops (UNAVAILABLE).
        """

    async def cancel(self, invocation_id: bytes) -> None:
        await self.ask(lambda token: Cancel(invocation_id, token))

    async def kill(self, invocation_id: bytes) -> None:
        await self.ask(lambda token: Kill(invocation_id, token))

    async def pause(self, invocation_id: bytes) -> None:
        await self.ask(lambda token: Pause(invocation_id, token))

    async def resume(self, invocation_id: bytes, deployment_id: str | None = None) -> None:
        await self.ask(lambda token: Resume(invocation_id, token, deployment_id or None))

    async def purge(self, invocation_id: bytes) -> None:
        await self.ask(lambda token: Purge(invocation_id, token, journal_only=False))

    async def purge_journal(self, invocation_id: bytes) -> None:
        await self.ask(lambda token: Purge(invocation_id, token, journal_only=True))

    async def send_signal(self, invocation_id: bytes, name: str, result: Result) -> None:
        problem = name_problem(name)
        if problem is not None:
            raise TerminalError(problem, code=StatusCode.INVALID_ARGUMENT)
        await self.ask(lambda token: SignalSent(invocation_id, name, result, token))

    async def restart(self, invocation_id: bytes, entries: int = 0, deployment_id: str | None = None) -> bytes:
        # What is completed does not change any more, so it can be read beside the loop.
        record = await self._completed(invocation_id)
        journal = [row.entry for row in await self._store.journal(invocation_id)]
        taken = restart.problem(record, journal) or restart.prefix(journal, entries)
        if isinstance(taken, Failure):
            name = ids.invocation_id_text(invocation_id)
            raise TerminalError(f"{name}: {taken.message}", code=StatusCode.of(taken.code))
        new_id = ids.fresh_invocation_id(self._clock(), os.urandom(10))
        await self.ask(lambda token: Restart(new_id, record, taken, deployment_id or None, token))
        return new_id

    async def _completed(self, invocation_id: bytes) -> Invocation:
        record = await self._store.invocation(invocation_id)
        name = ids.invocation_id_text(invocation_id)
        if record is None:
            message = f"{name} is unknown: it never was, or its retention is over"
            raise TerminalError(message, code=StatusCode.NOT_FOUND)
        if record.status is not Status.COMPLETED:
            shown = "running" if record.status is Status.ACTIVE else record.status.value
            message = f"{name} is {shown}: only what is completed restarts"
            raise TerminalError(message, code=StatusCode.FAILED_PRECONDITION)
        return record
