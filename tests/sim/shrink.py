"""From a scenario that fails to a small one that still does: faults, callers, steps and settings go, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .program import Program, Scenario, reached

#: How many scenarios are tried at most.
TRIES_MAX = 300


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool], tries: int = TRIES_MAX) -> Scenario:
    """The smallest that was found.

    Args:
        scenario: it fails.
        fails: runs one.
        tries: how many are run at most.
    """
    again = True
    while again:
        again = False
        for candidate in (one for one in _smaller(scenario) if one != scenario):
            if tries == 0:
                return scenario
            tries -= 1
            if fails(candidate):
                scenario, again = candidate, True
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Every scenario that is this one without something."""
    for place in range(len(scenario.faults)):
        yield replace(scenario, faults=_without(scenario.faults, place))
    for place in range(len(scenario.roots)):
        if len(scenario.roots) > 1:
            yield _pruned(replace(scenario, roots=_without(scenario.roots, place)))
    for program in scenario.programs.values():
        for place in range(len(program.steps)):
            yield _pruned(_with(scenario, replace(program, steps=_without(program.steps, place))))
    yield from _plainer(scenario)


def _plainer(scenario: Scenario) -> Iterator[Scenario]:
    if not any(fault.endpoint for fault in scenario.faults):
        yield replace(scenario, endpoints=1)
    yield replace(scenario, latency_ms=0)
    yield replace(scenario, disk_ms=0)
    yield replace(scenario, lazy_state=False)
    yield replace(scenario, timers_in_memory=10_000)


def _without(things: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return things[:place] + things[place + 1 :]


def _with(scenario: Scenario, program: Program) -> Scenario:
    return replace(scenario, programs={**scenario.programs, program.name: program})


def _pruned(scenario: Scenario) -> Scenario:
    """Without the programs that nobody calls."""
    kept = reached(scenario)
    return replace(scenario, programs={name: one for name, one in scenario.programs.items() if name in kept})
