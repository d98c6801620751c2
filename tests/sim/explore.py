"""Seeds one after the other, and what to say about one that fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .generate import scenario
from .invariants import Violation
from .program import Scenario
from .shrink import TRIES_MAX, shrink
from .world import run


@dataclass(frozen=True, slots=True)
class Found:
    """A scenario that fails.

    Args:
        seed: where it comes from.
        problem: the violation.
        smallest: the scenario after shrinking, and its violation.
    """

    seed: int
    problem: str
    smallest: Scenario
    smallest_problem: str

    def __str__(self) -> str:
        one = self.smallest
        settings = (
            f"inactivity {one.inactivity_ms} ms, lazy state {one.lazy_state}, {one.timers_in_memory} timers in memory, "
            f"{one.endpoints} endpoints, latency up to {one.latency_ms} ms, disk up to {one.disk_ms} ms"
        )
        lines = [
            f"seed {self.seed}: {self.problem}",
            f"again: make sim SEED={self.seed}",
            f"the smallest that still fails: {self.smallest_problem}",
            f"  with {settings}",
            *(f"  {fault}" for fault in one.faults),
            *(f"  {root}" for root in one.roots),
            *(f"  {program}" for program in one.programs.values()),
        ]
        return "\n".join(lines)


def problem(one: Scenario) -> str | None:
    """What is wrong with a run; None: nothing."""
    try:
        run(one)
    except Violation as violation:
        return str(violation)
    except Exception as error:
        return f"the run broke down: {type(error).__name__}: {error}"
    return None


def explore(seeds: Iterable[int], shrink_tries: int = TRIES_MAX) -> Found | None:
    """Runs the scenario of each seed, up to the first that fails."""
    for seed in seeds:
        one = scenario(seed)
        found = problem(one)
        if found is not None:
            smallest = shrink(one, lambda smaller: problem(smaller) is not None, shrink_tries)
            return Found(seed, found, smallest, problem(smallest) or found)
    return None
