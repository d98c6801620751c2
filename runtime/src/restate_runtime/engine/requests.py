"""Who outside waits for what: tokens given to the core, askers told by its effects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from restate_protocol.errors import TerminalError
from restate_protocol.journal import Failure, Result
from restate_protocol.status import StatusCode

from .api import Accepted, Asker


class Futures:
    """An asker that a coroutine can wait for.

    Attributes:
        answer: Accepted where an invocation was asked for, else None; or the TerminalError.
        release: tells the engine that nobody waits any more.
    """

    __slots__ = ("_result", "answer", "release")

    def __init__(self, *, wait: bool) -> None:
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Accepted | None] = loop.create_future()
        self._result: asyncio.Future[Result] | None = loop.create_future() if wait else None
        self.release: Callable[[], None] = _nothing

    async def accepted_one(self) -> Accepted:
        """The invocation, once it is durable.

        Raises:
            TerminalError: there is none.
        """
        try:
            accepted = await self.answer
        except asyncio.CancelledError:
            self.release()
            raise
        assert accepted is not None, "an invocation was asked for"
        return accepted

    def accepted(self, invocation_id: bytes, new: bool) -> None:
        if not self.answer.done():
            self.answer.set_result(Accepted(invocation_id, new, self._result, self.release))

    def done(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)

    def resolved(self, result: Result) -> None:
        if self._result is not None and not self._result.done():
            self._result.set_result(result)

    def refused(self, error: TerminalError) -> None:
        for future in (self.answer, self._result):
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be left to look at it

    def dropped(self) -> None:
        if self._result is not None:
            self._result.cancel()


class Requests:
    """The requests under way, by token. A token is used once and forgotten with its last answer."""

    def __init__(self) -> None:
        self._pending: dict[int, tuple[Asker, bool]] = {}
        self._next = 1

    def open(self, asker: Asker, *, wait: bool) -> int:
        """A new token. `wait`: a result follows the first answer."""
        token = self._next
        self._next += 1
        self._pending[token] = (asker, wait)
        return token

    def accept(self, token: int, invocation_id: bytes, new: bool) -> None:
        """The invocation is durable."""
        pending = self._pending.get(token)
        if pending is None:
            return
        asker, wait = pending
        if not wait:
            del self._pending[token]
        asker.accepted(invocation_id, new)

    def done(self, token: int) -> None:
        """What was asked for is durable."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            pending[0].done()

    def resolve(self, token: int, result: Result) -> None:
        """The result is there and durable."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            pending[0].resolved(result)

    def refuse(self, token: int, failure: Failure) -> None:
        """What was asked for cannot be."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            metadata = dict(failure.metadata)
            pending[0].refused(TerminalError(failure.message, code=StatusCode.of(failure.code), metadata=metadata))

    def drop(self, token: int) -> None:
        """Nobody waits any more."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            pending[0].dropped()

    def fail_all(self, message: str) -> None:
        """The engine stops: whoever waits hears that nothing was promised."""
        pending, self._pending = self._pending, {}
        for asker, _ in pending.values():
            asker.refused(TerminalError(message, code=StatusCode.UNAVAILABLE))

    def __len__(self) -> int:
        return len(self._pending)


def _nothing() -> None:
    """Releases what was never asked for."""
