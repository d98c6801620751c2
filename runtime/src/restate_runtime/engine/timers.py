"""Timers in memory: the next ones that are due, and no more than a limit of them.

Invariant: every timer of the store that is not later than the horizon is in memory; those after it are read when
the ones before have fired. Retries are only in memory: their time is in the invocation's record.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

from ..core.records import Timer, TimerKind
from ..store.base import Store

DEFAULT_IN_MEMORY_MAX = 100_000

# The wall clock may jump; look at it at least this often while something is due later.
_LOOK_EVERY_S = 1.0


class Timers:
    """Fires each timer once it is due by the wall clock, never before.

    Args:
        store: has all timers but retries.
        clock: milliseconds since the epoch.
        fire: takes a timer that is due. It may be told twice of one.
        spawn: runs a read beside the loop, and hears if it fails.
        in_memory_max: how many timers are held in memory, at least 1.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        fire: Callable[[Timer], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        in_memory_max: int = DEFAULT_IN_MEMORY_MAX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._fire = fire
        self._spawn = spawn
        self._limit = max(1, in_memory_max)
        self._heap: list[Timer] = []
        self._retries: list[Timer] = []
        self._void: set[Timer] = set()
        self._horizon: Timer | None = None  # None: everything is in memory
        self._wake: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self._missed: list[Timer] = []  # armed beyond the horizon during a read, which may be too old to have them
        self._closed = False

    async def open(self) -> None:
        """Reads the first timers."""
        await self._read(None)

    def close(self) -> None:
        """Fires nothing any more."""
        self._closed = True
        if self._wake is not None:
            self._wake.cancel()
        if self._reading is not None:
            self._reading.cancel()

    def arm(self, timer: Timer) -> None:
        """A timer was committed (or is a retry)."""
        if timer.kind is TimerKind.RETRY:
            heapq.heappush(self._retries, timer)
        elif self._horizon is None or timer <= self._horizon:
            heapq.heappush(self._heap, timer)
            if len(self._heap) > 2 * self._limit:
                self._shrink()
        elif self._reading is not None:
            self._missed.append(timer)
        self._schedule()

    def disarm(self, timer: Timer) -> None:
        """A timer that is not due yet was deleted."""
        if self._horizon is None or timer <= self._horizon:
            self._void.add(timer)

    def next_due_ms(self) -> int | None:
        """When the next timer in memory is due, in milliseconds since the epoch; None: there is none."""
        return min((heap[0].due_ms for heap in (self._heap, self._retries) if heap), default=None)

    def look(self) -> None:
        """Fires what is due by the clock now; for a clock that was set."""
        if self._wake is not None:
            self._wake.cancel()
        self._look()

    def _shrink(self) -> None:
        self._heap = heapq.nsmallest(self._limit, self._heap)
        self._horizon = horizon = self._heap[-1]
        self._void = {timer for timer in self._void if timer <= horizon}

    async def _read(self, after: Timer | None) -> None:
        """Reads the next ones. Meanwhile timers are armed, and there may be so many that the horizon comes nearer."""
        timers = await self._store.timers(after, self._limit)
        horizons = [timers[-1]] if len(timers) == self._limit else []
        if self._horizon is not None and self._horizon != after:
            horizons.append(self._horizon)
        self._horizon = min(horizons, default=None)
        for timer in {*timers, *self._missed}:
            if self._horizon is None or timer <= self._horizon:
                heapq.heappush(self._heap, timer)
        self._missed.clear()
        self._reading = None
        self._schedule()

    def _schedule(self) -> None:
        if self._closed:
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if not self._heap and self._horizon is not None and self._reading is None:
            self._reading = self._spawn(self._read(self._horizon))
        due_ms = self.next_due_ms()
        if due_ms is None:
            return
        delay_s = min(max(0.0, (due_ms - self._clock()) / 1000), _LOOK_EVERY_S)
        self._wake = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        self._wake = None
        now_ms = self._clock()
        for heap in (self._heap, self._retries):
            while heap and heap[0].due_ms <= now_ms:
                timer = heapq.heappop(heap)
                if self._void and timer in self._void:
                    self._void.remove(timer)
                else:
                    self._fire(timer)
        self._schedule()
