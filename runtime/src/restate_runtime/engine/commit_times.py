"""How long commits took, in buckets. Cheap to note, read by whoever wants to show it."""

from __future__ import annotations

from bisect import bisect_left

#: Upper ends of the buckets, in seconds; what took longer than the last is in one more.
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CommitTimes:
    """Since the start of the runtime.

    Attributes:
        counts: commits in each bucket.
        sum_s: seconds of all of them together.
    """

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def note(self, seconds: float) -> None:
        """One more commit, from asking for it until it was durable."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds
