"""§1, §8, §9 and §19: what callers and operators hold in their hands, and cancellation of work that does not listen."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import StatusCode, TerminalError

from .generated import HolderRequest, LabClient, LabRequest, WaiterClient
from .services.awakeables import Waiter
from .services.lab import Lab
from .test_awakeables import held
from .world import World


async def nap(ctx: Any, request: LabRequest) -> object:
    await ctx.sleep(timedelta(days=1))
    return "slept"


async def test_CALL_15_a_call_is_known_by_its_id_before_its_result_and_can_be_cancelled(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        call = LabClient(ctx).other(LabRequest())
        await ctx.cancel(call.invocation_id)
        try:
            await call
        except TerminalError as error:
            return f"{call.invocation_id} {error.code.name}"
        return "ended"

    await world.start(Lab(do=body, other=nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    id_, code = (await sent.attach()).text.split()
    assert code == "CANCELLED"
    assert (await world.invocation(id_)).handler == "Other"
    assert (await world.journal(sent.invocation_id)).count("cancel") == 1


async def test_CANCEL_22_a_run_that_does_not_listen_holds_nobody_up(world: World) -> None:
    entered, leave = threading.Event(), threading.Event()

    def deaf() -> None:
        entered.set()
        leave.wait(30)

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("deaf", deaf)
        return "ended"

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await asyncio.to_thread(entered.wait, 30)
    await sent.cancel()
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.CANCELLED
    leave.set()


async def test_CANCEL_23_a_handler_may_leave_what_it_started(world: World) -> None:
    never = asyncio.Event()

    async def body(ctx: Any, request: LabRequest) -> object:
        ctx.run("stuck", never.wait)
        ctx.awakeable(str)
        await ctx.sleep(timedelta(milliseconds=10))
        return "main-result"

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.advance(timedelta(milliseconds=10), patience=timedelta(milliseconds=20))
    assert (await sent.attach()).text == "main-result"


async def test_CANCEL_29_many_are_cancelled_one_after_the_other(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = [await LabClient(world.caller).do.send(LabRequest()) for _ in range(20)]
    await world.env.settle()
    for one in sent:
        await one.cancel()
    ended = await asyncio.gather(*(one.attach() for one in sent), return_exceptions=True)
    codes = [one.code for one in ended if isinstance(one, TerminalError)]
    assert codes == [StatusCode.CANCELLED] * 20


async def test_IDEM_15_whoever_waits_hears_the_same(world: World) -> None:
    await world.start(Waiter())
    key, client = world.key(), WaiterClient(world.caller)
    sent = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    call = asyncio.ensure_future(client.run(HolderRequest(key=key), idempotency_key="k"))
    attached = asyncio.ensure_future(sent.attach())
    id_ = await held(world, key)
    await world.env.settle()
    assert not call.done()
    assert not attached.done()
    await world.caller.resolve_awakeable(id_, "both")
    assert [(await one).value for one in (call, attached)] == ["both", "both"]


async def test_PAUSE_17_what_is_unknown_can_be_neither_resumed_nor_restarted(world: World) -> None:
    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    unknown = sent.invocation_id[:-4] + "0000"
    verbs: tuple[Any, ...] = (world.env.admin.resume, world.env.admin.restart)
    for verb in verbs:
        with pytest.raises(TerminalError) as caught:
            await verb(unknown)
        assert caught.value.code is StatusCode.NOT_FOUND
