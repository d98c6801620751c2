"""§26, PERSIST-07: seeded random programs while endpoint and runtime die now and then. Counters come out exact."""

from __future__ import annotations

import asyncio
import os
from collections import Counter as Counts
from typing import Any

import pytest
from restate_client.errors import IngressError

from .generated import ProgramKey, ProgramRequest
from .program import Generator, expected
from .services.programs import InterpreterHelper, InterpreterL0, InterpreterL1, InterpreterL2, interpreter
from .settings import everything
from .world import World

PROGRAMS = 12
SEEDS = range(int(os.environ.get("CONFORMANCE_SEEDS", "20" if everything() else "2")))


async def persist(world: World, request: ProgramRequest, number: int) -> None:
    """Calls until there is an answer, under one idempotency key."""
    while True:
        try:
            await interpreter(0, world.caller).interpret(request, idempotency_key=f"program-{number}")
        except IngressError:
            await asyncio.sleep(0.001)  # the runtime is away
        else:
            return


async def counts_of(world: World, wanted: Counts[tuple[int, str]]) -> Counts[tuple[int, str]]:
    found: Counts[tuple[int, str]] = Counts()
    for layer, key in wanted:
        answer = await interpreter(layer, world.caller).counter(ProgramKey(key=key))
        found[layer, key] = answer.counter
    return found


async def _kill_now_and_then(world: World, calls: list[asyncio.Task[Any]], seed: int) -> None:
    """Kills the runtime, or the endpoint, between programs."""
    for number in range(3):
        for _ in range(40 + 7 * seed):
            await asyncio.sleep(0)
        if all(call.done() for call in calls):
            return
        if (number + seed) % 2:
            await world.env.restart()
        else:
            await world.env.disconnect()
            await world.env.connect()


@pytest.mark.parametrize("seed", SEEDS)
async def test_PERSIST_07_counters_are_exact_after_random_programs_and_crashes(world: World, seed: int) -> None:
    await world.start(InterpreterL0(), InterpreterL1(), InterpreterL2(), InterpreterHelper())
    generator = Generator(seed)
    wanted: Counts[tuple[int, str]] = Counts()
    calls: list[asyncio.Task[Any]] = []
    for number in range(PROGRAMS):
        key, program = generator.key(0), generator.program()
        wanted += expected(0, key, program)
        request = ProgramRequest(key=key, commands=program)
        calls.append(asyncio.get_running_loop().create_task(persist(world, request, number)))
    await _kill_now_and_then(world, calls, seed)
    await asyncio.gather(*calls)
    await world.pass_time(minutes=1)
    assert await counts_of(world, wanted) == wanted
