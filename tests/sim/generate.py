"""Scenarios from seeds. Which faults and programs there are is decided here; what they mean is not."""

from __future__ import annotations

import random

from .program import (
    Add,
    Await,
    Call,
    Cancel,
    Combine,
    Dice,
    Fault,
    Forever,
    Knot,
    Listen,
    Note,
    Now,
    Program,
    Promise,
    Root,
    Run,
    Scenario,
    Send,
    Sleep,
    Step,
    Wake,
)

DEPTH_MAX = 2
STEPS_MAX = 6
ROOTS_MAX = 3
FAULTS_MAX = 5
PROGRAMS_MAX = 12
#: When callers come and things go wrong, in milliseconds from the begin.
BUSY_MS = 4_000

_COMMIT_FAULTS = ("crash-before-commit", "crash-after-commit")
_COMBINATIONS = ("gather", "gather", "outcomes", "asyncio", "select", "select", "race", "first", "completed", "timeout")
_SESSION_FAULTS = ("kill", "cut", "half-open", "half-closed")


def scenario(seed: int) -> Scenario:
    """The scenario of a seed, always the same."""
    return _Generator(random.Random(seed)).scenario(seed)


class _Generator:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._programs: dict[str, Program] = {}

    def scenario(self, seed: int) -> Scenario:
        chance = self._chance
        roots = tuple(self._root() for _ in range(chance.randint(1, ROOTS_MAX)))
        endpoints = chance.randint(1, 2)
        faults = tuple(self._fault(endpoints) for _ in range(chance.randint(0, FAULTS_MAX)))
        return Scenario(
            seed,
            self._programs,
            roots,
            faults,
            endpoints,
            inactivity_ms=chance.choice((0, 0, 30, 60_000)),
            lazy_state=chance.random() < 0.3,
            timers_in_memory=chance.choice((1, 10_000)),
            latency_ms=chance.choice((0, 5, 200)),
            disk_ms=chance.choice((0, 3, 100)),
        )

    def _root(self) -> Root:
        chance = self._chance
        program = self._program(0)
        workflow = self._programs[program].kind == "workflow"
        delay_ms = chance.randint(0, 2_000) if chance.random() < 0.2 else None
        keyed = workflow or chance.random() < 0.7
        return Root(
            program, chance.randint(0, BUSY_MS), delay_ms, keyed, keyed and not workflow and chance.random() < 0.3
        )

    def _program(self, depth: int, begin: tuple[Step, ...] = ()) -> str:
        chance = self._chance
        name = f"p{len(self._programs)}"
        kind = chance.choice(("service", "object", "object", "workflow"))
        self._programs[name] = Program(name, kind, ())
        steps = begin + tuple(self._step(name, kind, depth) for _ in range(chance.randint(1, STEPS_MAX)))
        # Keys of each depth are their own, so that no invocation waits for a key that its caller holds.
        self._programs[name] = Program(name, kind, steps, 10 * depth + chance.randint(1, 2))
        return name

    def _step(self, name: str, kind: str, depth: int) -> Step:
        chance = self._chance
        makers = [
            self._run,
            self._run,
            self._sleep,
            self._wake,
            self._listen,
            self._await,
            self._combine,
            self._combine,
        ]
        makers.append(lambda: chance.choice((Now(), Dice())))
        if kind == "object":
            makers += [self._note, Knot, lambda: Add(f"{name}/{chance.randrange(10**6)}", chance.choice((0, 0, 50)))]
        if kind == "workflow":
            makers.append(lambda: Promise(chance.randint(0, 3_000), self._later()))
        if depth < DEPTH_MAX and len(self._programs) < PROGRAMS_MAX:
            makers += [lambda: Call(self._program(depth + 1), self._later()), lambda: self._send(depth)] * 2
            makers.append(lambda: Cancel(self._program(depth + 1, (Forever(),)), chance.choice((0, 0, 30, 900))))
        return chance.choice(makers)()

    def _later(self) -> bool:
        return self._chance.random() < 0.5

    def _run(self) -> Step:
        chance = self._chance
        failures = chance.choice((0, 0, 0, 1, 2))
        return Run(
            chance.choice("abc"), failures, chance.random() < 0.15, self._later(), chance.choice((0, 0, 20, 500))
        )

    def _sleep(self) -> Step:
        return Sleep(self._chance.choice((0, 1, 50, 700, 5_000)), self._later())

    def _wake(self) -> Step:
        return Wake(self._chance.choice((0, 10, 1_500)), self._chance.random() < 0.2, self._later())

    def _listen(self) -> Step:
        return Listen(self._chance.choice(("go", "stop")), self._chance.choice((0, 10, 1_500)), self._later())

    def _send(self, depth: int) -> Step:
        chance = self._chance
        return Send(self._program(depth + 1), chance.choice((0, 0, 300, 3_000)), chance.random() < 0.5)

    def _note(self) -> Step:
        return Note(self._chance.choice(("x", "y", None)))

    def _await(self) -> Step:
        return Await(self._chance.randrange(8))

    def _combine(self) -> Step:
        chance = self._chance
        picks = tuple(chance.randrange(8) for _ in range(chance.randint(1, 3)))
        return Combine(chance.choice(_COMBINATIONS), picks, chance.choice((0, 50, 2_000)))

    def _fault(self, endpoints: int) -> Fault:
        chance = self._chance
        kind = chance.choice(
            (
                "crash",
                *2 * ("crash-before-commit", "crash-after-commit"),
                *_SESSION_FAULTS,
                "jump",
                "slow",
                "stale",
                "stale",
            )
        )
        at = chance.randint(1, 40) if "commit" in kind else chance.randint(0, 2 * BUSY_MS)
        size = chance.choice((0, 100, 3_000))
        if kind == "jump":
            size = chance.choice((-60_000, -1_000, 1_000, 600_000))
        return Fault(kind, at, size, chance.randrange(endpoints))
