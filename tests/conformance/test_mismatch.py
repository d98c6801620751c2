"""§12: handlers that do not replay as they were recorded. It is one error each time, which pauses the
invocation whatever its retry policy says, and nothing behind it takes effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import StatusCode, TerminalError, select

from .generated import (
    AddRequest,
    ChanceRequest,
    CounterClient,
    CounterRequest,
    LabClient,
    LabRequest,
    NonDeterministicClient,
    ToolRequest,
    ToolsClient,
)
from .services.chance import NonDeterministic
from .services.counter import Counter
from .services.lab import Lab
from .services.tools import Tools
from .world import World

Body = Callable[[Any, LabRequest], Awaitable[Any]]


async def paused(world: World, sent: Any) -> str:
    """The message of the mismatch that an invocation is paused with."""
    await world.until_status(sent.invocation_id, "paused", "completed")
    invocation = await world.invocation(sent.invocation_id)
    assert invocation.status == "paused"
    assert invocation.last_failure.code == "INTERNAL"
    assert "journal" in invocation.last_failure.message
    return str(invocation.last_failure.message)


async def diverged(world: World, handler: str) -> None:
    """A handler that goes another way on replay is paused, and nothing behind the mismatch takes effect."""
    await world.start(NonDeterministic(), Counter(), skip_time=False)
    key = world.key()
    counter = CounterClient(world.caller)
    await counter.add(AddRequest(key=key, value=1))
    sent = await getattr(NonDeterministicClient(world.caller), handler).send(ChanceRequest(key=key))
    await world.pass_time(seconds=2)
    await paused(world, sent)
    await world.pass_time(seconds=2)
    assert (await counter.get(CounterRequest(key=key))).value == 1
    await world.env.admin.kill(sent.invocation_id)
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.ABORTED
    assert (await counter.get(CounterRequest(key=key))).value == 1


async def test_NDET_01_a_sleep_or_a_call(world: World) -> None:
    await diverged(world, "either_sleep_or_call")


async def test_NDET_02_a_call_of_another_method(world: World) -> None:
    await diverged(world, "call_different_method")


async def test_NDET_03_a_send_to_another_method(world: World) -> None:
    await diverged(world, "background_invoke_with_different_targets")


async def test_NDET_04_another_state_entry(world: World) -> None:
    await diverged(world, "set_different_key")


async def test_NDET_05_another_state_value(world: World) -> None:
    await diverged(world, "set_different_value")


async def replayed(world: World, *bodies: Body) -> str:
    """The message of the error that the second body makes of the journal of the first."""
    deployed: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        if not deployed:
            await bodies[0](ctx, request)
            deployed.append(1)
            raise ValueError("new code comes in")
        return await bodies[1](ctx, request)

    await world.start(Lab(body), Tools(), Counter())
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.pass_time(seconds=1)
    return await paused(world, sent)


async def nothing() -> None:
    return None


async def test_NDET_06_another_name_of_a_run(world: World) -> None:
    async def first(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step-a", nothing)

    async def second(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step-b", nothing)

    message = await replayed(world, first, second)
    assert "step-a" in message
    assert "step-b" in message


async def test_NDET_08_the_error_shows_what_was_recorded_and_what_was_attempted(world: World) -> None:
    async def first(ctx: Any, request: LabRequest) -> None:
        await ToolsClient(ctx).echo.send(ToolRequest(text="recorded"))

    async def second(ctx: Any, request: LabRequest) -> None:
        await ToolsClient(ctx).echo.send(ToolRequest(text="attempted"))

    message = await replayed(world, first, second)
    assert "recorded" in message
    assert "attempted" in message


async def test_NDET_12_an_await_added_after_later_progress(world: World) -> None:
    """The new code waits for something that the journal shows was not waited for: an error, not a wait for ever."""

    async def first(ctx: Any, request: LabRequest) -> None:
        ctx.awakeable(str)
        await ctx.run("later", nothing)

    async def second(ctx: Any, request: LabRequest) -> None:
        await ctx.awakeable(str)
        await ctx.run("later", nothing)

    assert await replayed(world, first, second)


async def test_NDET_12_an_await_removed_before_later_progress(world: World) -> None:
    async def first(ctx: Any, request: LabRequest) -> None:
        await ctx.sleep(timedelta(milliseconds=5))
        await ctx.run("later", nothing)

    async def second(ctx: Any, request: LabRequest) -> None:
        ctx.sleep(timedelta(milliseconds=5))
        await ctx.run("later", nothing)

    message = await replayed(world, first, second)
    assert "an await was removed: before run 'later' there was one of command 1, sleep" in message
    assert "test_mismatch.py:" in message


async def test_NDET_14_a_race_ends_the_same_way_on_replay(world: World) -> None:
    winners: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        first = await select(long=ctx.sleep(timedelta(milliseconds=20)), short=ctx.sleep(timedelta(milliseconds=10)))
        winners.append(first.name)
        if len(winners) < 3:
            raise ValueError("again")
        return first.name

    await world.start(Lab(body))
    assert (await LabClient(world.caller).do(LabRequest())).text == "short"
    assert set(winners) == {"short"}


async def test_NDET_18_fewer_commands_than_were_recorded(world: World) -> None:
    async def first(ctx: Any, request: LabRequest) -> None:
        await ctx.run("one", nothing)
        await ctx.run("two", nothing)

    async def second(ctx: Any, request: LabRequest) -> None:
        await ctx.run("one", nothing)

    assert await replayed(world, first, second)
