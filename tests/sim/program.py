"""What a simulated application does, as data: programs of steps, who calls them, and what goes wrong meanwhile.

Every program is invoked exactly once, and calls only programs further down, on keys that its callers do not hold: so
every scenario ends, and `model` can say what it ends with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Run:
    """A step whose function fails `failures` times, then gives a value, or fails for good.

    Args:
        tries: how often its own retry policy lets it try; None: it has none, and the attempt fails with it.
        wait_ms: the wait between two tries.
    """

    name: str
    failures: int = 0
    terminal: bool = False
    later: bool = False
    took_ms: int = 0
    tries: int | None = None
    wait_ms: int = 10


@dataclass(frozen=True, slots=True)
class Sleep:
    ms: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    program: str
    later: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """A send; `attach`: and later its result is asked for."""

    program: str
    delay_ms: int = 0
    attach: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """An awakeable that somebody outside resolves, or rejects."""

    after_ms: int
    rejected: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class Listen:
    """A named signal that somebody outside sends."""

    name: str
    after_ms: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class Forever:
    """Waits for what never comes, until it is cancelled."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Sends to a program that begins with Forever, cancels it a while later, and asks for its result."""

    program: str
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """Workflows: a promise that another handler resolves."""

    after_ms: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class Now:
    """The time, as journaled."""


@dataclass(frozen=True, slots=True)
class Dice:
    """A random number, the same in every attempt."""


@dataclass(frozen=True, slots=True)
class Add:
    """Objects: reads the list, waits, and writes it back with one more item; a lost update would show."""

    item: str
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Knot:
    """Objects: calls its own key and waits for it, which would never end: the runtime cuts the knot."""


@dataclass(frozen=True, slots=True)
class Note:
    """Objects: writes an entry, or clears it, and reads it back."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Await:
    """Waits for one of the futures made before."""

    pick: int


@dataclass(frozen=True, slots=True)
class Combine:
    """Waits for several of the futures made before.

    Args:
        how: gather, outcomes (gather with exceptions as values), asyncio (its own gather), select, race, first
            (success), completed (each in turn), or timeout (of the first of them).
        ms: the time of the timeout.
    """

    how: str
    picks: tuple[int, ...]
    ms: int = 0


#: The steps that make one future, awaited at once or later.
Future: TypeAlias = Run | Sleep | Call | Wake | Listen | Promise
Step: TypeAlias = Future | Send | Cancel | Forever | Now | Dice | Add | Note | Knot | Await | Combine


@dataclass(frozen=True, slots=True)
class Program:
    """One invocation's code. `kind`: service, object or workflow; `key`: of an object."""

    name: str
    kind: str
    steps: tuple[Step, ...]
    key: int = 0


@dataclass(frozen=True, slots=True)
class Root:
    """A caller. `keyed`: with an idempotency key, so that it may ask again; `twice`: it does in any case."""

    program: str
    at_ms: int
    delay_ms: int | None = None
    keyed: bool = True
    twice: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Args:
        kind: crash (of the runtime), crash-before-commit, crash-after-commit, kill (of an endpoint), cut, half-open
            (the runtime notices first), half-closed (the endpoint notices first), jump (of the clock), slow (disk),
            pause (by an operator, who resumes), stale (for some seconds, frames of attempts that are over come again).
        at: milliseconds from the begin; for crashes at a commit the number of the commit.
        size: milliseconds that it lasts, or by how much the clock jumps.
        endpoint: whose session or process.
    """

    kind: str
    at: int
    size: int = 0
    endpoint: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a run depends on.

    Args:
        seed: of what is drawn while it runs: delays of messages and of the disk.
        inactivity_ms, lazy_state, timers_in_memory: options of all handlers, and of the runtime.
        latency_ms: the longest way of a message.
        disk_ms: the longest time that the disk takes.
    """

    seed: int
    programs: dict[str, Program]
    roots: tuple[Root, ...]
    faults: tuple[Fault, ...] = ()
    endpoints: int = 1
    inactivity_ms: int = 60_000
    lazy_state: bool = False
    timers_in_memory: int = 10_000
    latency_ms: int = 5
    disk_ms: int = 2


def reached(scenario: Scenario) -> set[str]:
    """The programs that are invoked, from the roots down."""
    return below(scenario, [root.program for root in scenario.roots])


def maybe_never(scenario: Scenario) -> set[str]:
    """The programs that may be cancelled before they begin, and those that would be invoked by them."""
    steps = [step for program in scenario.programs.values() for step in program.steps]
    return below(scenario, [step.program for step in steps if isinstance(step, Cancel)])


def below(scenario: Scenario, names: list[str]) -> set[str]:
    """These programs and all that they invoke."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [step.program for step in scenario.programs[name].steps if isinstance(step, Call | Send | Cancel)]
    return found
