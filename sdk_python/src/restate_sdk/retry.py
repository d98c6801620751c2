"""How `ctx.run` retries its function: the policy, and counting tries against it. No clock: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a run's function that failed is tried again, in place, within the attempt.

    Once the policy is exhausted the run fails with a TerminalError, which is journaled.

    Args:
        initial_interval: wait before the second try. Default 50 ms.
        factor: by what each wait is longer than the one before. Default 2, at least 1.
        max_interval: the longest wait. Default 10 s.
        max_attempts: tries in all, the first included; 1 means no retry. Default: no limit.
        max_duration: no try begins later than this after the first. Default: no limit.

    Raises:
        ValueError: an interval is negative, the factor below 1 or max_attempts below 1.
    """

    initial_interval: timedelta = timedelta(milliseconds=50)
    factor: float = 2.0
    max_interval: timedelta = timedelta(seconds=10)
    max_attempts: int | None = None
    max_duration: timedelta | None = None

    def __post_init__(self) -> None:
        if min(self.initial_interval, self.max_interval, self.max_duration or timedelta()) < timedelta():
            raise ValueError("a RetryPolicy cannot have a negative interval or duration")
        if self.factor < 1:
            raise ValueError(f"a RetryPolicy's factor is at least 1, not {self.factor}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts counts the first try too: at least 1, not {self.max_attempts}")


@dataclass(slots=True)
class Tries:
    """Tries of one function under a policy.

    Args:
        policy: the policy.
        began: when the first try began, in seconds of any clock that does not go back.
    """

    policy: RetryPolicy
    began: float
    count: int = 0

    def failed(self, now: float) -> float | None:
        """One more try failed: seconds to wait before the next, or None where there is none."""
        self.count += 1
        policy = self.policy
        if policy.max_attempts is not None and self.count >= policy.max_attempts:
            return None
        wait = self._interval()
        if policy.max_duration is not None and now + wait - self.began > policy.max_duration.total_seconds():
            return None
        return wait

    def _interval(self) -> float:
        longest = self.policy.max_interval.total_seconds()
        wait = self.policy.initial_interval.total_seconds()
        for _ in range(1, self.count):
            wait *= self.policy.factor
            if wait >= longest:
                return longest
        return min(wait, longest)
