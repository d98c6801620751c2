"""§13: combinators of runs and sleeps, timeouts, and what asyncio makes of durable futures."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import restate_sdk
from restate_sdk import TerminalError, first_success, gather, race

from .generated import (
    LabClient,
    LabRequest,
)
from .services.lab import Lab
from .world import World


async def test_COMB_17_a_shared_future_that_fails_fails_both_races(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        failing = ctx.run("fails", _fail)
        never = ctx.awakeable(str)
        both = await gather(race(failing, never), race(failing, never), return_exceptions=True)
        return [one.message for one in both]

    await world.start(Lab(body))
    assert list((await LabClient(world.caller).do(LabRequest())).items) == ["p1 completed", "p1 completed"]


async def _fail() -> str:
    raise TerminalError("p1 completed")


async def test_COMB_15_combinators_of_what_is_settled(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        a, b, failing = ctx.run("a", _give, "a"), ctx.run("b", _give, "b"), ctx.run("x", _fail)
        settled = await gather(a, b, failing, return_exceptions=True)
        shown = [one if isinstance(one, str) else f"!{one.message}" for one in settled]
        try:
            await gather(a, failing)
        except TerminalError as error:
            shown.append(error.message)
        return [*shown, *await gather(a, b), await first_success(failing, b), len(await gather())]

    await world.start(Lab(body))
    answer = await LabClient(world.caller).do(LabRequest())
    assert list(answer.items) == ["a", "b", "!p1 completed", "p1 completed", "a", "b", "b", "0"]


async def _give(value: str) -> str:
    return value


async def test_COMB_19_timeouts(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        quick = await restate_sdk.timeout(ctx.run("v", _give, "v"), timedelta(seconds=60))
        try:
            late = await restate_sdk.timeout(ctx.awakeable(str), timedelta(milliseconds=100))
        except restate_sdk.DurableTimeout:
            late = "late"
        nap = ctx.sleep(timedelta(milliseconds=100))
        both = await gather(nap, ctx.run("instant", _give, "instant"))
        return [quick, late, *both]

    await world.start(Lab(body))
    answer = await LabClient(world.caller).do(LabRequest())
    assert list(answer.items) == ["v", "late", "None", "instant"]


@pytest.mark.parametrize("what", ["gather", "wait_for", "wait", "task group", "timeout"])
async def test_COMB_22_asyncio_over_durable_futures_is_right_or_says_what_to_use(world: World, what: str) -> None:
    attempts: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        attempts.append(1)
        value = await _with_asyncio(what, ctx)
        if len(attempts) < 3:
            raise ValueError("again")
        return value

    await world.start(Lab(body))
    sent = await LabClient(world.caller).kill_after_three.send(LabRequest())
    await world.pass_time(seconds=1)
    await world.until_status(sent.invocation_id, "completed", "paused")
    invocation = await world.invocation(sent.invocation_id)
    if invocation.error is None and invocation.status == "completed":
        assert (await sent.attach()).text == "ab"
    else:
        assert "restate_sdk" in (invocation.error or invocation.last_failure).message


async def _with_asyncio(what: str, ctx: Any) -> str:
    a, b = ctx.run("a", _give, "a"), ctx.run("b", _give, "b")
    match what:
        case "gather":
            return "".join(await asyncio.gather(a, b))
        case "wait_for":
            return str(await asyncio.wait_for(a, 60) + await b)
        case "wait":
            done, _ = await asyncio.wait({asyncio.ensure_future(a), asyncio.ensure_future(b)})
            return "".join(sorted(one.result() for one in done))
        case "task group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_awaited(one)) for one in (a, b)]
            return "".join(task.result() for task in tasks)
        case _:
            async with asyncio.timeout(60):
                return str(await a + await b)


async def _awaited(future: Any) -> str:
    return str(await future)
