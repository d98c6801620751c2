"""A clock that stands still until it is set. Invariant: it never goes back."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Where the clock of a test begins.
BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


class VirtualClock:
    """The time of one test. Calling it gives milliseconds since the Unix epoch.

    Args:
        begin: what it shows at first; with a time zone.
    """

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.now_ms = _ms(begin)
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> int:
        return self.now_ms

    @property
    def now(self) -> datetime:
        """What it shows, in UTC."""
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def set_ms(self, at_ms: int) -> None:
        """Sets it, never back, and rings the alarms that are due."""
        self.now_ms = max(self.now_ms, at_ms)
        while self._alarms and self._alarms[0][0] <= self.now_ms:
            heapq.heappop(self._alarms)[2]()

    def alarm(self, after: timedelta, ring: Callable[[], None]) -> None:
        """Calls back once that much time has passed."""
        due_ms = self.now_ms + max(0, round(after.total_seconds() * 1000))
        heapq.heappush(self._alarms, (due_ms, next(self._numbers), ring))

    def next_alarm_ms(self) -> int | None:
        """When the next alarm rings."""
        return self._alarms[0][0] if self._alarms else None
