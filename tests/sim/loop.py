"""An asyncio loop without a machine under it: time passes only when nothing else is left to do.

Callbacks run in the order asyncio gives them, nothing waits for real, and plain functions for threads run at once. So
a run depends on its seed alone. No sockets, no signals, no threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

#: Turns of the loop that a run may take; more means that it turns in circles.
TURNS_MAX = 400_000


class Stuck(Exception):
    """Nothing is left to do and no time will change that, or the loop turns in circles."""


class SimLoop(asyncio.BaseEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._turns = 0
        self._clock_resolution = 1e-6  # finer than any delay, and coarse enough for a year in seconds
        self._selector = self  # what BaseEventLoop asks for events, and how long it may wait for them

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def begin_again(self) -> None:
        """Counts the turns anew."""
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Instead of waiting, it is later."""
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise Stuck(f"not done after {TURNS_MAX:,} turns of the loop, at {self._now:.3f} s")
        if timeout is None:
            raise Stuck(f"nothing is left to do, at {self._now:.3f} s")
        self._now += max(0.0, timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is nobody to wake: everything runs in this thread."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Runs it at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
