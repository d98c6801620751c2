"""Callers that wait for results.

A caller that goes away is told to the engine; the invocation goes on. When the runtime stops, those who still wait
get UNAVAILABLE with the id to attach to, and not a broken connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import Failure, Result, Value
from restate_protocol.status import StatusCode

from ..engine.api import Accepted
from .errors import Failed, Refused


class Waiting:
    """Who waits. One for each runtime; both ingresses share it."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[Result], bytes] = {}
        self._sent_away = False
        self._callbacks: list[Callable[[], None]] = []

    def __len__(self) -> int:
        """How many wait for a result that is not there."""
        return sum(not future.done() for future in self._waiting)

    async def payload(self, accepted: Accepted) -> bytes:
        """The response of an invocation; empty where the caller does not wait.

        Raises:
            Failed: the handler failed.
            Refused: UNAVAILABLE, the runtime stops.
        """
        future = accepted.result
        if future is None:
            return b""
        return payload_of(await self._result(accepted, future))

    async def _result(self, accepted: Accepted, future: asyncio.Future[Result]) -> Result:
        self._waiting[future] = accepted.invocation_id
        if self._sent_away:
            self._send_away(future, accepted.invocation_id)
        try:
            return await future
        except BaseException:
            accepted.close()
            raise
        finally:
            del self._waiting[future]

    def on_send_away(self, callback: Callable[[], None]) -> None:
        """Calls back when everybody is to be sent away, for those who wait elsewhere."""
        self._callbacks.append(callback)

    def send_away(self) -> None:
        """Answers everybody who waits, now or later, with UNAVAILABLE; for the end of a shutdown."""
        self._sent_away = True
        for callback in self._callbacks:
            callback()
        for future, invocation_id in self._waiting.items():
            self._send_away(future, invocation_id)

    def _send_away(self, future: asyncio.Future[Result], invocation_id: bytes) -> None:
        if not future.done():
            text = invocation_id_text(invocation_id)
            message = f"the runtime stops; {text} goes on after its restart: attach to it to get the result"
            future.set_exception(Refused(StatusCode.UNAVAILABLE, message))


def payload_of(result: Result) -> bytes:
    """The bytes of a result.

    Raises:
        Failed: it is a failure.
    """
    if isinstance(result, Failure):
        raise Failed(result)
    return result.data if isinstance(result, Value) else b""
