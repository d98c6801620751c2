"""How a test's time passes: step by step from one due timer to the next, and only while nothing else can happen.

Invariants: the clock is moved only when the runtime is quiet, nothing is on its way, and every attempt waits for the
runtime; it never jumps over a timer. Functions that do real work outside of that (`ctx.run`) are waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from .clock import VirtualClock

#: Turns of the loop in which nothing may change before all counts as still. More than any message needs.
STILL_TURNS = 12
#: Seconds between looks while handlers work.
LOOK_EVERY_S = 0.001
#: Seconds of real time that `advance` waits for the handlers' own work, unless told otherwise.
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of the moment: how many are under way, and how many callers the ingress knows to wait for a result."""

    under_way: int
    waiting: int


class Paced(Protocol):
    """What is looked at."""

    @property
    def calls(self) -> Calls:
        """The calls of the moment. While fewer wait than are under way, some are still to be accepted or answered."""

    @property
    def still(self) -> bool:
        """Whether only time, callers and outside work can change anything."""

    @property
    def delivered(self) -> bool:
        """The same, whatever handlers do by themselves."""

    def next_due_ms(self) -> int | None:
        """When something is due next, in milliseconds since the epoch."""

    def clock_moved(self) -> None:
        """The clock was set."""

    async def sweep(self) -> None:
        """Does what the runtime does every few seconds."""


class Pace:
    """See the module.

    Args:
        clock: what is moved.
        paced: what must be still.
    """

    def __init__(self, clock: VirtualClock, paced: Paced) -> None:
        self._clock = clock
        self._paced = paced
        self._asked = asyncio.Event()
        self._skipper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Skips time from now on whenever somebody waits and nothing else can happen."""
        self._skipper = asyncio.get_running_loop().create_task(self._skip_forever())

    async def stop(self) -> None:
        """Skips nothing any more."""
        if self._skipper is not None:
            self._skipper.cancel()
            await asyncio.gather(self._skipper, return_exceptions=True)

    def asked(self) -> None:
        """Somebody began to wait, maybe."""
        self._asked.set()

    async def settle(self, patience_s: float | None = None) -> None:
        """Waits until all is still.

        Args:
            patience_s: after that many seconds of real time, what handlers do by themselves is not waited for. None:
                as long as it takes.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not await self._holds(lambda: self._paced.still):
            late = patience_s is not None and loop.time() - began > patience_s
            if late and await self._holds(lambda: self._paced.delivered):
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def advance(self, by: timedelta, patience_s: float) -> None:
        """Lets time pass."""
        until_ms = self._clock.now_ms + round(by.total_seconds() * 1000)
        await self.settle(patience_s)
        while (due_ms := self._due_ms()) is not None and due_ms <= until_ms:
            self._move(due_ms)
            await self.settle(patience_s)
        self._move(until_ms)
        await self._paced.sweep()
        await self.settle(patience_s)

    def _due_ms(self) -> int | None:
        dues = (self._paced.next_due_ms(), self._clock.next_alarm_ms())
        return min((due for due in dues if due is not None), default=None)

    def _move(self, at_ms: int) -> None:
        self._clock.set_ms(at_ms)
        self._paced.clock_moved()

    async def _holds(self, condition: Callable[[], bool]) -> bool:
        for _ in range(STILL_TURNS):
            if not condition():
                return False
            await asyncio.sleep(0)
        return condition()

    async def _skip_forever(self) -> None:
        while True:
            await self._asked.wait()
            if not self._paced.calls.under_way:
                self._asked.clear()
            elif await self._holds(self._only_time_helps) and (due_ms := self._due_ms()) is not None:
                self._move(due_ms)
            else:
                await asyncio.sleep(LOOK_EVERY_S)

    def _only_time_helps(self) -> bool:
        calls = self._paced.calls
        return 0 < calls.under_way <= calls.waiting and self._paced.still
