"""Callers that wait: for so long as they said, and for as long as they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, TypeVar

from restate_protocol.status import StatusCode

from .errors import Refused

#: How long a caller waits before the ingress looks whether it hung up.
WATCH_AFTER_SECONDS = 0.05

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

T = TypeVar("T")


class CallerGone(Exception):
    """The caller hung up: nobody to answer."""


async def with_timeout(seconds: float | None, work: Awaitable[T]) -> T:
    """What the work gives, if the caller waits that long.

    Raises:
        Refused: DEADLINE_EXCEEDED.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        message = "the caller's timeout passed; what was accepted goes on"
        raise Refused(StatusCode.DEADLINE_EXCEEDED, message) from None


async def while_connected(work: Awaitable[T], receive: Receive) -> T:
    """What the work gives, unless the caller hangs up first. All of the request's body was read before.

    Raises:
        CallerGone: the caller hung up.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.caller_is_gone():
            raise CallerGone from None
        raise
    finally:
        watch.stop()


class _Watch:
    """Cancels the current task when its caller hangs up.

    Most results are there in milliseconds, so only callers who wait longer are watched: it takes a task.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._end: asyncio.Future[Message] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._start)
        self._saw_end = False

    def caller_is_gone(self) -> bool:
        """Whether the cancellation was ours; takes it back then."""
        if self._saw_end and self._task is not None:
            self._task.uncancel()
        return self._saw_end

    def stop(self) -> None:
        """The work is over, one way or another."""
        self._timer.cancel()
        if self._end is not None:
            self._end.remove_done_callback(self._ended)
            self._end.cancel()

    def _start(self) -> None:
        # All of the body was read, so the next message is the end of the connection.
        self._end = asyncio.ensure_future(self._receive())
        self._end.add_done_callback(self._ended)

    def _ended(self, end: asyncio.Future[Message]) -> None:
        if self._task is not None and not end.cancelled():
            self._saw_end = True
            self._task.cancel()
