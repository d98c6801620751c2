"""A gRPC server that takes many calls at once.

grpc.aio's server asks its core for one call, waits for it, starts it, and asks for the next: a few turns of the loop
for each. While 128 callers wait, some 20 of their calls are under way, and are committed by fours. The server here asks
for many ahead, and starts all that came in one turn.

It puts itself in the place of a class from the library's inside (`grpc._cython.cygrpc.AioServer`), of which it
overrides how the next call is asked for. The library may change that some day: where the names it needs are not there,
the library's own server is given, and the log says so. `tests/runtime/ingress/test_accepting.py` fails if that is so
with the version in the lock file.

Invariant: of what was asked for and not handed on there are at most `ASKED_AHEAD`; what comes faster waits in the core.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import grpc
import structlog

try:
    from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs
except ImportError:  # pragma: no cover - another version of the library
    cygrpc = None

#: Calls asked for ahead. More brings no more calls per second; each takes some hundred bytes.
ASKED_AHEAD = 64

#: With no call for so long, those that were on their way before a server stops are all there.
QUIET_SECONDS = 0.05

_NEEDED = ("_make_request_call_future", "_request_call", "shutdown")

_log = structlog.get_logger(__name__)


def takes_many() -> bool:
    """Whether this version of the library can be made to."""
    return all(hasattr(getattr(cygrpc, "AioServer", None), name) for name in _NEEDED)


def accepting_server(options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """A server of the library, which takes many calls at once if it can."""
    if not takes_many():
        _log.warning("gRPC calls are taken one by one: not made for this version of grpcio", version=grpc.__version__)
        return grpc.aio.server(options=options)
    own = cygrpc.AioServer
    cygrpc.AioServer = _server_class()
    try:
        return grpc.aio.server(options=options)
    finally:
        cygrpc.AioServer = own


class _Next(asyncio.Future[Any]):
    """The next call.

    The library waits for it with asyncio.wait, which takes two turns of the loop even if it is there already. Calling
    back at once makes that none.
    """

    def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
        if self.done():
            fn(self)
        else:
            super().add_done_callback(fn, context=context)


class _Ahead:
    """Calls that were asked for, and those that came and nobody has taken yet.

    Args:
        ask: asks for one; the library's coroutine.
    """

    def __init__(self, ask: Any) -> None:
        self._ask = ask
        self._asked: set[asyncio.Task[Any]] = set()
        self._came: deque[asyncio.Task[Any]] = deque()
        self._next: _Next | None = None
        self._over = False
        self._taken = 0

    def __len__(self) -> int:
        """How many wait to be taken."""
        return len(self._came)

    def next(self) -> asyncio.Future[Any]:
        """The next call, or why there is none."""
        loop = asyncio.get_running_loop()
        self._next = _Next(loop=loop)
        self._hand_on()
        while len(self._asked) + len(self._came) < ASKED_AHEAD:
            task = loop.create_task(self._ask())
            self._asked.add(task)
            task.add_done_callback(self._arrived)
        return self._next

    async def end(self, grace_seconds: float) -> None:
        """Returns once no calls come any more, or after so long, and lets go of those that nobody will take.

        A call that is there and not taken when its server stops ends with CANCELLED, which clients do not try again.
        And a server does not stop before its calls are gone.
        """
        loop = asyncio.get_running_loop()
        last, until = -1, loop.time() + grace_seconds
        while (self._came or last != self._taken) and loop.time() < until:
            last = self._taken
            await asyncio.sleep(QUIET_SECONDS)
        self._over = True
        self._came.clear()

    def _arrived(self, task: asyncio.Task[Any]) -> None:
        self._asked.discard(task)
        if task.cancelled():
            return
        task.exception()  # is told to who takes it, if somebody does
        self._came.append(task)
        self._hand_on()
        if self._over:
            self._came.clear()

    def _hand_on(self) -> None:
        if self._next is None or self._next.done() or not self._came:
            return
        task = self._came.popleft()
        self._taken += 1
        error = task.exception()
        if error is None:
            self._next.set_result(task.result())
        else:
            self._next.set_exception(error)


def _server_class() -> Any:
    """The library's class, with the next call taken from those asked for ahead."""

    class AcceptingServer(cygrpc.AioServer):  # type: ignore[misc]
        def _make_request_call_future(self, method: bytes | None) -> Any:
            if method is not None:
                return super()._make_request_call_future(method)
            if not hasattr(self, "_ahead"):
                self._ahead = _Ahead(self._request_call)
            return self._ahead.next()

        async def shutdown(self, grace: float | None) -> None:
            ahead: _Ahead | None = getattr(self, "_ahead", None)
            if ahead is not None:
                await ahead.end(grace or 0)
            await super().shutdown(grace)

    return AcceptingServer
