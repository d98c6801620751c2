"""How `ctx.run` retries its function: the policy, and when the next try is due. No clock: time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

#: The longest wait between two tries that keeps its place in the endpoint. What is longer is timed by the runtime,
#: and the invocation may suspend meanwhile. Not a setting.
RUN_RETRY_IN_PLACE_MAX = timedelta(seconds=1)

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a run's function that failed is tried again.

    Each failure is journaled before the next try, so the count is exact whatever crashes. Waits up to
    RUN_RETRY_IN_PLACE_MAX are spent in place; longer ones are durable timers, over which the invocation may suspend.
    Once the policy is exhausted the run fails with a TerminalError that names the last error, and that is journaled.
    A try that ended with its process, before it failed, is not counted.

    Args:
        initial_interval: wait before the second try. Default 50 ms.
        factor: by what each wait is longer than the one before. Default 2, at least 1.
        max_interval: the longest wait, not shorter than initial_interval. Default 10 s.
        max_attempts: tries in all, the first included; 1 means no retry. Default: no limit.
        max_duration: no try begins later than this after the first, waits and crashes included. Default: no limit.

    Raises:
        ValueError: an interval is negative, max_interval shorter than initial_interval (as the contract has it), the
            factor below 1 or max_attempts below 1.
    """

    initial_interval: timedelta = timedelta(milliseconds=50)
    factor: float = 2.0
    max_interval: timedelta = timedelta(seconds=10)
    max_attempts: int | None = None
    max_duration: timedelta | None = None

    def __post_init__(self) -> None:
        if min(self.initial_interval, self.max_interval, self.max_duration or timedelta()) < timedelta():
            raise ValueError("a RetryPolicy cannot have a negative interval or duration")
        if self.max_interval < self.initial_interval:
            raise ValueError(
                f"a RetryPolicy's max_interval ({self.max_interval.total_seconds():g} s, 10 s where it is not given) is"
                f" shorter than its initial_interval ({self.initial_interval.total_seconds():g} s): raise max_interval"
                " or lower initial_interval"
            )
        if self.factor < 1:
            raise ValueError(f"a RetryPolicy's factor is at least 1, not {self.factor}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts counts the first try too: at least 1, not {self.max_attempts}")

    def next_try(
        self, failures: int, first_try_at_ms: int, now_ms: int, retry_after: timedelta | None = None
    ) -> int | None:
        """When to try again after a failure, or None where the policy is exhausted.

        Args:
            failures: how often the function failed so far, at least 1.
            first_try_at_ms: when the first try began, milliseconds since the epoch.
            now_ms: when the last try failed.
            retry_after: the error itself said how long to wait.
        """
        if self.max_attempts is not None and failures >= self.max_attempts:
            return None
        wait = self._interval(failures) if retry_after is None else max(retry_after, timedelta())
        at_ms = now_ms + math.ceil(wait / _MILLISECOND)
        if self.max_duration is not None and at_ms - first_try_at_ms > self.max_duration / _MILLISECOND:
            return None
        return at_ms

    def _interval(self, failures: int) -> timedelta:
        longest = self.max_interval
        try:
            wait = self.initial_interval.total_seconds() * self.factor ** (failures - 1)
        except OverflowError:
            return longest
        return longest if wait >= longest.total_seconds() else timedelta(seconds=wait)
