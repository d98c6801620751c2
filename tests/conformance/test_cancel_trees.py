"""§8: cancellation and kill of whole trees of calls, and what is left after them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from restate_sdk import StatusCode, TerminalError, gather

from .generated import (
    BlockForeverClient,
    CancelRequest,
    KillTestRunnerClient,
    KillTestSingletonClient,
    LabClient,
    LabObjectClient,
    LabRequest,
)
from .services.awakeables import AwakeableHolder
from .services.cancels import BlockForever, KillTestRunner, KillTestSingleton
from .services.lab import Lab, LabObject
from .test_cancel import nap, unlock
from .world import World


async def test_CANCEL_07_a_kill_ends_the_tree_with_the_call_queued_behind_itself(world: World) -> None:
    await world.start(KillTestRunner(), KillTestSingleton(), AwakeableHolder(), skip_time=False)
    key = world.key()
    sent = await KillTestRunnerClient(world.caller).start_call_tree.send(CancelRequest(key=key))
    await unlock(world, key)
    queued = await world.env.admin.invocations(status="queued")
    assert [one.handler for one in queued] == ["RecursiveCall"]
    await world.env.admin.kill(sent.invocation_id)
    await KillTestSingletonClient(world.caller).is_unlocked(CancelRequest(key=key))
    assert await world.status(queued[0].id) == "completed"
    assert await world.env.admin.invocations(status="suspended") == []


async def test_CANCEL_12_a_kill_reaches_calls_that_are_awaited_and_no_sends(world: World) -> None:
    ids: list[str] = []

    async def note(found: list[str]) -> None:
        ids[:] = found

    async def parent(ctx: Any, request: LabRequest) -> object:
        client = LabClient(ctx)
        done = client.hidden(LabRequest())
        await done
        pending, one_way = client.other(LabRequest()), await client.other.send(LabRequest())
        await ctx.run("note", note, [pending.invocation_id, one_way.invocation_id])
        return (await pending).text

    async def quick(ctx: Any, request: LabRequest) -> object:
        return "done"

    await world.start(Lab(do=parent, other=nap, hidden=quick), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await world.env.admin.kill(sent.invocation_id)
    await world.env.settle()
    pending, one_way = [await world.status(one) for one in ids]
    assert pending == "completed"
    assert one_way in ("running", "suspended")


async def test_CANCEL_16_a_cancellation_reaches_callees_that_were_just_called(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        try:
            return await gather(*(BlockForeverClient(ctx).block(CancelRequest(key=str(n))) for n in range(3)))
        except TerminalError as error:
            return [error.code.name]

    await world.start(Lab(body), BlockForever(), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.cancel()
    try:
        assert list((await sent.attach()).items) == ["CANCELLED"]
    except TerminalError as error:
        assert error.code is StatusCode.CANCELLED  # noqa: PT017 - before its first attempt it ends at once
    await world.env.settle()
    assert {one.status for one in await world.env.admin.invocations()} == {"completed"}


async def test_CANCEL_19_to_20_each_of_five_awaited_calls_is_cancelled(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        calls = [BlockForeverClient(ctx).block(CancelRequest(key=str(number))) for number in range(5)]
        try:
            await gather(*calls)
        except TerminalError:
            ended = await gather(*calls, return_exceptions=True)
            return [one.code.name for one in ended]
        return []

    await world.start(Lab(body), BlockForever(), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    assert list((await sent.attach()).items) == ["CANCELLED"] * 5
    callees = await world.env.admin.invocations(service="conformance.v1.BlockForever")
    assert [one.status for one in callees] == ["completed"] * 5


async def test_CANCEL_27_a_late_end_does_not_overwrite_a_kill(world: World) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        entered.set()
        await leave.wait()
        return "late"

    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("slow", slow)

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await entered.wait()
    await world.env.admin.kill(sent.invocation_id)
    leave.set()
    await world.env.settle()
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.ABORTED


async def test_CANCEL_28_a_cancellation_goes_down_the_tree_and_not_to_sends(world: World) -> None:
    async def root(ctx: Any, request: LabRequest) -> object:
        await LabClient(ctx).do.send(LabRequest(flag=True))
        return await LabClient(ctx).other(LabRequest())

    async def middle(ctx: Any, request: LabRequest) -> object:
        return await LabClient(ctx).do(LabRequest(flag=True))

    async def body(ctx: Any, request: LabRequest) -> object:
        return await (nap if request.flag else root)(ctx, request)

    await world.start(Lab(do=body, other=middle), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    with pytest.raises(TerminalError):
        await sent.attach()
    await world.env.settle()
    statuses = sorted(one.status == "completed" for one in await world.env.admin.invocations())
    assert statuses == [False, True, True, True]


@pytest.mark.parametrize("kill", [True, False])
async def test_CANCEL_31_the_key_is_free_after_an_end_with_an_open_timer(world: World, kill: bool) -> None:
    """§0.4 item 14."""
    await world.start(LabObject(do=nap, once=_say), skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    sent = await client.do.send(LabRequest(key=key))
    await world.env.settle()
    await (world.env.admin.kill if kill else world.env.admin.cancel)(sent.invocation_id)
    assert (await client.once(LabRequest(key=key, text="free"))).text == "free"
    await world.pass_time(days=2)
    assert (await client.once(LabRequest(key=key, text="still"))).text == "still"


async def _say(ctx: Any, request: LabRequest) -> object:
    return request.text
