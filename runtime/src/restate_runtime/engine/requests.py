"""Who outside waits for what: tokens given to the core, futures resolved by its effects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from restate_protocol.errors import TerminalError
from restate_protocol.journal import Failure, Result
from restate_protocol.status import StatusCode

from .api import Accepted


@dataclass(slots=True)
class _Pending:
    accepted: asyncio.Future[Any]
    result: asyncio.Future[Result] | None


class Requests:
    """The requests under way, by token. A token is used once and forgotten with its last answer."""

    def __init__(self) -> None:
        self._pending: dict[int, _Pending] = {}
        self._next = 1

    def open(self, *, wait: bool) -> tuple[int, asyncio.Future[Any]]:
        """A new token, and the future of its first answer."""
        loop = asyncio.get_running_loop()
        token = self._next
        self._next += 1
        pending = _Pending(loop.create_future(), loop.create_future() if wait else None)
        self._pending[token] = pending
        return token, pending.accepted

    def accept(self, token: int, invocation_id: bytes, new: bool, release: Callable[[], None]) -> None:
        """The invocation is durable."""
        pending = self._pending.get(token)
        if pending is None:
            return
        if pending.result is None:
            del self._pending[token]
        if not pending.accepted.done():
            pending.accepted.set_result(Accepted(invocation_id, new, pending.result, release))

    def done(self, token: int) -> None:
        """What was asked for is durable."""
        pending = self._pending.pop(token, None)
        if pending is not None and not pending.accepted.done():
            pending.accepted.set_result(None)

    def resolve(self, token: int, result: Result) -> None:
        """The result is there and durable."""
        pending = self._pending.pop(token, None)
        if pending is not None and pending.result is not None and not pending.result.done():
            pending.result.set_result(result)

    def refuse(self, token: int, failure: Failure) -> None:
        """What was asked for cannot be."""
        pending = self._pending.pop(token, None)
        if pending is not None and not pending.accepted.done():
            pending.accepted.set_exception(TerminalError(failure.message, code=StatusCode.of(failure.code)))

    def drop(self, token: int) -> None:
        """Nobody waits any more."""
        pending = self._pending.pop(token, None)
        if pending is not None and pending.result is not None:
            pending.result.cancel()

    def fail_all(self, message: str) -> None:
        """The engine stops: whoever waits hears that nothing was promised."""
        for pending in self._pending.values():
            for future in (pending.accepted, pending.result):
                if future is not None and not future.done():
                    future.set_exception(TerminalError(message, code=StatusCode.UNAVAILABLE))
                    future.exception()  # nobody may be left to look at it
        self._pending.clear()

    def __len__(self) -> int:
        return len(self._pending)
