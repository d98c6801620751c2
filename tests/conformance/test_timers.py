"""§4: sleeps, delays and what is due when nobody looks."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import gather, select

from .generated import (
    LabClient,
    LabRequest,
)
from .services.lab import Lab
from .settings import only
from .world import World

DAYS_OVER_2_31_MS = 25
DAYS_OVER_2_32_MS = 50


async def nap(ctx: Any, request: LabRequest) -> object:
    """Sleeps as many milliseconds as it is told."""
    await ctx.sleep(timedelta(milliseconds=request.count))
    return "slept"


async def test_TIMER_01_a_sleep_lasts_as_long_as_it_says(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(count=10))
    await world.pass_time(milliseconds=9)
    assert await sent.output() is None
    await world.pass_time(milliseconds=1)
    assert (await sent.attach()).text == "slept"


async def many_sleeps(world: World) -> None:
    """50 invocations, each with 20 sleeps at once."""

    async def body(ctx: Any, request: LabRequest) -> object:
        naps = [timedelta(milliseconds=ctx.random.randint(10, 50)) for _ in range(20)]
        await gather(*(ctx.sleep(nap) for nap in naps))
        return len(naps)

    await world.start(Lab(body))
    answers = await asyncio.gather(*(LabClient(world.caller).do(LabRequest()) for _ in range(50)))
    assert [one.count for one in answers] == [20] * 50


@only("default", "suspend", "sqlite", "sockets", because="many timers: the same for state")
async def test_TIMER_02_a_thousand_sleeps_all_end(world: World) -> None:
    await many_sleeps(world)


@only("timers", "all", because="it is TIMER-02 where few timers are in memory")
async def test_TIMER_03_a_thousand_sleeps_all_end_with_one_timer_in_memory(world: World) -> None:
    await many_sleeps(world)


@pytest.mark.parametrize("days", [1, DAYS_OVER_2_31_MS, DAYS_OVER_2_32_MS, 1024])
async def test_TIMER_01_a_sleep_may_be_longer_than_a_number_of_32_bits(world: World, days: int) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(count=days * 86_400_000))
    await world.pass_time(days=days, seconds=-1)
    assert await sent.output() is None
    await world.pass_time(seconds=1)
    assert (await sent.attach()).text == "slept"


async def test_TIMER_04_to_05_a_sleep_goes_on_while_its_endpoint_is_dead(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(count=4_000))
    await world.pass_time(seconds=1)
    await world.env.disconnect()
    await world.pass_time(seconds=1)
    await world.env.connect()
    await world.pass_time(seconds=1.999)
    assert await sent.output() is None
    await world.pass_time(seconds=0.001)
    assert (await sent.attach()).text == "slept"


async def test_TIMER_06_a_killed_runtime_does_not_start_a_sleep_again(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(count=4_000))
    await world.pass_time(seconds=3)
    await world.env.restart()
    await world.pass_time(seconds=0.999)
    assert await sent.output() is None
    await world.pass_time(seconds=0.001)
    assert (await sent.attach()).text == "slept"


async def test_TIMER_07_a_sleep_is_one_command_in_all_attempts(world: World) -> None:
    attempts: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        attempts.append(1)
        await ctx.sleep(timedelta(seconds=1))
        if len(attempts) < 3:
            raise ValueError("again")
        return None

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.attach()
    assert await world.journal(sent.invocation_id) == ["input", "sleep", "completion", "output"]


async def test_TIMER_09_a_suspended_sleep_resumes_when_it_is_due(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(count=60_000))
    await world.until_waits(sent.invocation_id)
    await world.pass_time(seconds=60)
    assert (await sent.attach()).text == "slept"
    assert await world.journal(sent.invocation_id) == ["input", "sleep", "completion", "output"]


async def test_TIMER_10_a_delayed_send_does_not_run_before_it_is_due(world: World) -> None:
    executed: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        executed.append(1)
        return None

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(), delay=timedelta(minutes=1))
    invocation = await world.invocation(sent.invocation_id)
    assert invocation.status == "scheduled"
    assert invocation.scheduled_for_ms == world.env.clock.now_ms + 60_000
    await world.pass_time(seconds=59.999)
    assert executed == []
    await world.pass_time(milliseconds=1)
    assert executed
    assert await world.status(sent.invocation_id) == "completed"


@pytest.mark.parametrize(("done_at_ms", "budget_ms", "expected"), [(200, 0, "got-it"), (100, 5_000, "got-it")])
async def test_TIMER_14_a_polling_loop_ends_when_the_job_is_done(
    world: World, done_at_ms: int, budget_ms: int, expected: str
) -> None:
    assert await polled(world, done_at_ms, budget_ms) == expected


async def test_TIMER_14_a_polling_loop_ends_when_its_budget_is_spent(world: World) -> None:
    assert await polled(world, 1_000_000, 250) == "gave up"


async def polled(world: World, done_at_ms: int, budget_ms: int) -> str:
    """How a loop ends that looks every 50 ms whether a job is done."""
    began_ms = 0

    async def job() -> bool:
        return world.env.clock.now_ms >= began_ms + done_at_ms

    async def body(ctx: Any, request: LabRequest) -> object:
        stop = ctx.sleep(timedelta(milliseconds=budget_ms or 3_600_000))
        for number in range(1_000):
            if await ctx.run(f"look {number}", job):
                return "got-it"
            first = await select(stop=stop, tick=ctx.sleep(timedelta(milliseconds=50)))
            if first.name == "stop":
                return "gave up"
        return "never"

    await world.start(Lab(body))
    began_ms = world.env.clock.now_ms
    return str((await LabClient(world.caller).do(LabRequest())).text)


async def test_TIMER_15_a_delayed_invocation_is_visibly_scheduled(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(), delay=timedelta(hours=1))
    listed = await world.env.admin.invocations(status="scheduled")
    assert [one.id for one in listed] == [sent.invocation_id]
    await world.pass_time(hours=1)
    assert await world.status(sent.invocation_id) == "completed"


async def test_TIMER_16_an_idempotency_key_is_taken_while_the_invocation_is_scheduled(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    client = LabClient(world.caller)
    first = await client.do.send(LabRequest(), delay=timedelta(hours=1), idempotency_key="k")
    second = await client.do.send(LabRequest(), idempotency_key="k")
    assert second.invocation_id == first.invocation_id
    assert await world.status(first.invocation_id) == "scheduled"


async def test_TIMER_16_a_killed_delayed_invocation_never_runs(world: World) -> None:
    lab = Lab(nap)
    await world.start(lab, skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(), delay=timedelta(hours=1))
    await world.env.admin.kill(sent.invocation_id)
    await world.pass_time(hours=2)
    assert lab.attempts == 0


async def test_TIMER_24_a_long_back_off_survives_a_restart(world: World) -> None:
    tries: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        tries.append(world.env.clock.now_ms)
        if len(tries) < 9:
            raise ValueError("again")
        return "ok"

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).defaults.send(LabRequest())
    for number in range(40):
        await world.pass_time(seconds=5)
        if number == 10:
            await world.env.restart()
    assert (await sent.attach()).text == "ok"
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert max(gaps) >= 60_000
    assert len(tries) == 9
