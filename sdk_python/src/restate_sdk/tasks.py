"""Tasks of asyncio inside a handler: whose they are, and what they may not use.

A task made by a handler, by whatever of asyncio, belongs to its attempt: it may use the context, `turns` decides when
it goes on, and it ends with the attempt. Runs are outside of this: what their functions make is theirs alone. Timers
of asyncio are refused where they begin, because an attempt that suspends or is replayed forgets them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import misuse

if TYPE_CHECKING:
    from .attempt import Attempt

#: The attempt whose handler is executing; None outside of handlers and inside functions of runs.
owner: ContextVar[Attempt | None] = ContextVar("restate_attempt", default=None)

#: How many frames lie, at most, between a function of asyncio and the making of a task in it.
_DEPTH = 8
_WAITERS = frozenset({"wait_for", "_wait", "as_completed", "__init__"})


class HandlerTask(asyncio.Task[Any]):
    """A task of a handler: its own, or one that it made. `attempt` is set when it is made."""

    attempt: Attempt

    def cancelling(self) -> int:
        """asyncio.timeout asks this when it begins."""
        frame = sys._getframe(1)
        if owner.get() is not None and _begins_timeout(frame):
            self.attempt.misuse(misuse.timer("asyncio.timeout"))
        return super().cancelling()

    def add_done_callback(self, function: Callable[[Any], object], /, *, context: Any = None) -> None:
        """asyncio's functions that wait for tasks with a timeout call this when they begin."""
        frame = sys._getframe(1)
        if _has_timeout(frame):
            self.attempt.misuse(misuse.timer(_name(frame)))
        super().add_done_callback(function, context=context)


class MadeTask(HandlerTask):
    """A task that a handler made.

    Args:
        attempt: whose it is.
        coroutine: what it executes.
        number: counts them, from 1.
    """

    def __init__(self, attempt: Attempt, coroutine: Any, number: int, **options: Any) -> None:
        self.attempt = attempt
        self._hash = hash((int.from_bytes(attempt.machine.invocation_id[:7]), number))
        super().__init__(coroutine, loop=attempt.loop, **options)

    def __hash__(self) -> int:
        """The same in every attempt: sets of tasks, which asyncio.wait returns, have one order."""
        return self._hash


def _begins_timeout(frame: FrameType) -> bool:
    if frame.f_code.co_name != "__aenter__" or frame.f_globals.get("__name__") != "asyncio.timeouts":
        return False
    limit = frame.f_locals["self"]
    return isinstance(limit, asyncio.Timeout) and limit.when() is not None


def _has_timeout(frame: FrameType) -> bool:
    return _is_waiter(frame) and frame.f_locals.get("timeout") is not None


def _is_waiter(frame: FrameType) -> bool:
    return frame.f_code.co_name in _WAITERS and frame.f_globals.get("__name__") == "asyncio.tasks"


def _name(frame: FrameType) -> str:
    name = frame.f_code.co_name
    return {"_wait": "asyncio.wait", "__init__": "asyncio.as_completed"}.get(name, f"asyncio.{name}")


def check_maker(attempt: Attempt, coroutine: Any) -> None:
    """Refuses tasks that functions of asyncio make with a timer, or in an order that is another in each process."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_DEPTH):
        if frame is None:
            return
        if _has_timeout(frame):
            attempt.misuse(misuse.timer(_name(frame)))
        if _is_waiter(frame) and "as_completed" in _name(frame) and coroutine.__name__ != "_wrap_awaitable":
            attempt.misuse(misuse.AS_COMPLETED)
        frame = frame.f_back


class _Factory:
    """The loop's task factory, put before another one: what a handler makes is its attempt's."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        attempt = owner.get()
        if attempt is not None and attempt.loop is loop:
            return attempt.adopt(coroutine, options)
        if self._before is not None:
            task: asyncio.Future[Any] = self._before(loop, coroutine, **options)
            return task
        return asyncio.Task(coroutine, loop=loop, **options)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Tasks that handlers make in this loop are known from now on."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Factory):
        loop.set_task_factory(_Factory(factory))
