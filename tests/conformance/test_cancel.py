"""§8: cancellation and kill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from restate_client.errors import IngressError, InvocationNotFound
from restate_sdk import RetryPolicy, StatusCode, TerminalError, gather

from .generated import (
    CANCEL_TEST_RUNNER,
    AwakeableHolderClient,
    BlockingOperation,
    CancelRequest,
    CancelTestBlockingClient,
    CancelTestRunnerClient,
    HolderRequest,
    LabClient,
    LabObjectClient,
    LabRequest,
    ProxyClient,
    ProxyRequest,
    ToolRequest,
    ToolsClient,
    UnlockRequest,
)
from .services.awakeables import AwakeableHolder
from .services.cancels import BlockForever, CancelTestBlocking, CancelTestRunner
from .services.lab import Lab, LabObject
from .services.proxy import Proxy
from .services.tools import Tools
from .world import World

OPERATIONS = (BlockingOperation.CALL, BlockingOperation.SLEEP, BlockingOperation.AWAKEABLE)


async def unlock(world: World, key: str) -> None:
    """Lets the blocking service go on, once it waits."""
    holder = AwakeableHolderClient(world.caller)

    async def there() -> bool:
        return bool((await holder.has_awakeable(HolderRequest(key=key))).has_awakeable)

    await world.until(there, "an awakeable")
    await holder.unlock(UnlockRequest(key=key, value="go"))
    await world.env.settle()


async def cancelled(world: World, operation: Any, start: Callable[[CancelRequest], Awaitable[str]]) -> None:
    """Starts the runner, cancels it when its callee is blocked, and looks what both made of it."""
    key = world.key()
    request = CancelRequest(key=key, operation=operation)
    invocation_id = await start(request)
    await unlock(world, key)
    await ToolsClient(world.caller).cancel_invocation(ToolRequest(invocation_id=invocation_id))
    runner = CancelTestRunnerClient(world.caller)

    async def verified() -> bool:
        return bool((await runner.verify_test(CancelRequest(key=key))).canceled)

    await world.until(verified, "the runner to see the cancellation")
    await CancelTestBlockingClient(world.caller).is_unlocked(CancelRequest(key=key))
    assert await world.status(invocation_id) == "completed"


def services() -> list[Any]:
    proxy = Proxy((CANCEL_TEST_RUNNER, CancelTestRunnerClient))
    return [CancelTestRunner(), CancelTestBlocking(), AwakeableHolder(), BlockForever(), Tools(), proxy]


async def cancelled_from_outside(world: World, operation: Any) -> None:
    async def start(request: CancelRequest) -> str:
        return str((await CancelTestRunnerClient(world.caller).start_test.send(request)).invocation_id)

    await world.start(*services(), skip_time=False)
    await cancelled(world, operation, start)


async def cancelled_from_context(world: World, operation: Any) -> None:
    async def start(request: CancelRequest) -> str:
        service, handler = "conformance.v1.CancelTestRunner", "StartTest"
        proxied = ProxyRequest(service=service, handler=handler, message=request.to_binary())
        return str((await ProxyClient(world.caller).one_way_call(proxied)).invocation_id)

    await world.start(*services(), skip_time=False)
    await cancelled(world, operation, start)


async def test_CANCEL_01_a_blocked_call_is_cancelled(world: World) -> None:
    await cancelled_from_outside(world, BlockingOperation.CALL)


async def test_CANCEL_02_a_sleep_is_cancelled(world: World) -> None:
    await cancelled_from_outside(world, BlockingOperation.SLEEP)


async def test_CANCEL_03_a_wait_for_an_awakeable_is_cancelled(world: World) -> None:
    await cancelled_from_outside(world, BlockingOperation.AWAKEABLE)


async def test_CANCEL_04_a_blocked_call_is_cancelled_from_a_handler(world: World) -> None:
    await cancelled_from_context(world, BlockingOperation.CALL)


async def test_CANCEL_05_a_sleep_is_cancelled_from_a_handler(world: World) -> None:
    await cancelled_from_context(world, BlockingOperation.SLEEP)


async def test_CANCEL_06_a_wait_for_an_awakeable_is_cancelled_from_a_handler(world: World) -> None:
    await cancelled_from_context(world, BlockingOperation.AWAKEABLE)


async def nap(ctx: Any, request: LabRequest) -> object:
    await ctx.sleep(timedelta(days=1))
    return "slept"


async def test_CANCEL_08_cancel_and_kill_say_what_they_cannot_do(world: World) -> None:
    async def quick(ctx: Any, request: LabRequest) -> object:
        return "done"

    await world.start(Lab(do=nap, other=quick), skip_time=False)
    running, done = [
        await one.send(LabRequest()) for one in (LabClient(world.caller).do, LabClient(world.caller).other)
    ]
    await done.attach()
    admin, unknown = world.env.admin, done.invocation_id[:-4] + "0000"
    for verb in (admin.cancel, admin.kill):
        with pytest.raises(TerminalError) as caught:
            await verb(done.invocation_id)
        assert caught.value.code is StatusCode.FAILED_PRECONDITION
        with pytest.raises(TerminalError) as caught:
            await verb(unknown)
        assert caught.value.code is StatusCode.NOT_FOUND
    with pytest.raises(IngressError):
        await done.cancel()
    with pytest.raises(InvocationNotFound):
        await world.caller.cancel(unknown)
    await running.cancel()
    with pytest.raises(TerminalError) as caught:
        await running.attach()
    assert caught.value.code is StatusCode.CANCELLED


async def test_CANCEL_10_what_is_queued_is_cancelled_without_a_word_to_its_handler(world: World) -> None:
    lab = LabObject(do=nap, once=nap)
    await world.start(lab, skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    await client.do.send(LabRequest(key=key))
    await world.env.settle()
    queued = await client.once.send(LabRequest(key=key))
    attached = asyncio.ensure_future(queued.attach())
    await world.env.settle()
    before = lab.attempts
    await queued.cancel()
    with pytest.raises(TerminalError) as caught:
        await attached
    assert caught.value.code is StatusCode.CANCELLED
    assert lab.attempts == before


@pytest.mark.parametrize(("kill", "code"), [(True, StatusCode.ABORTED), (False, StatusCode.CANCELLED)])
async def test_CANCEL_11_what_is_scheduled_ends_and_its_timer_does_nothing(
    world: World, kill: bool, code: StatusCode
) -> None:
    lab = Lab(nap)
    await world.start(lab, skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(), delay=timedelta(hours=1))
    await (world.env.admin.kill if kill else world.env.admin.cancel)(sent.invocation_id)
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is code
    await world.pass_time(hours=2)
    assert lab.attempts == 0


async def clean_up(ctx: Any, request: LabRequest) -> object:
    """Waits for a sleep; where that is cancelled, cleans up with another, durable, operation."""
    try:
        await ctx.sleep(timedelta(days=1))
    except TerminalError as error:
        await ctx.sleep(timedelta(seconds=1))
        return f"cleaned up after {error.code.name}"
    return "slept"


@pytest.mark.parametrize("operation", ["call", "sleep", "awakeable", "signal", "gather"])
async def test_CANCEL_13_whatever_is_awaited_fails_and_clean_up_runs(world: World, operation: str) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        match operation:
            case "call":
                future = LabClient(ctx).other(LabRequest())
            case "sleep":
                future = ctx.sleep(timedelta(days=1))
            case "awakeable":
                future = ctx.awakeable(str)
            case "signal":
                future = ctx.signal("mysignal", str)
            case _:
                future = gather(ctx.sleep(timedelta(days=1)), ctx.awakeable(str))
        try:
            await future
        except TerminalError as error:
            await ctx.run("clean up", _nothing)
            return error.code.name
        return "ended"

    await world.start(Lab(do=body, other=nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    assert (await sent.attach()).text == "CANCELLED"
    await world.env.settle()
    left = [one for one in await world.env.admin.invocations() if one.status != "completed"]
    assert left == []


async def _nothing() -> None:
    return None


async def test_CANCEL_14_a_cancellation_before_the_first_attempt_ends_it(world: World) -> None:
    lab = Lab(clean_up)
    await world.start(lab, skip_time=False)
    await world.env.disconnect()
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    await world.env.connect()
    await world.pass_time(seconds=5)
    try:
        assert (await sent.attach()).text == "cleaned up after CANCELLED"
    except TerminalError as error:
        assert (error.code, lab.attempts) == (StatusCode.CANCELLED, 0)  # noqa: PT017 - either is right


async def test_CANCEL_15_a_paused_invocation_is_cancelled_when_it_is_resumed(world: World) -> None:
    await world.start(Lab(clean_up), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await world.env.admin.pause(sent.invocation_id)
    await world.until_status(sent.invocation_id, "paused")
    await sent.cancel()
    await world.pass_time(seconds=5)
    assert await world.status(sent.invocation_id) == "paused"
    await world.env.admin.resume(sent.invocation_id)
    await world.pass_time(seconds=5)
    assert (await sent.attach()).text == "cleaned up after CANCELLED"


async def test_CANCEL_18_a_second_cancellation_is_delivered_again(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        seen = []
        for _ in range(2):
            try:
                await ctx.sleep(timedelta(days=1))
            except TerminalError as error:
                seen.append(error.code.name)
        return seen

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    for _ in range(2):
        await world.env.settle()
        await sent.cancel()
    assert list((await sent.attach()).items) == ["CANCELLED", "CANCELLED"]


async def test_CANCEL_21_a_run_that_is_awaited_is_stopped(world: World) -> None:
    stopped: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("stopped")
            raise

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("forever", forever)
        return "ended"

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())

    async def running() -> bool:
        return await world.status(sent.invocation_id) == "running"

    await world.until(running, "the run")
    await asyncio.sleep(0.01)
    await sent.cancel()
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.CANCELLED
    assert stopped


async def test_CANCEL_25_a_step_that_was_done_is_not_done_again_after_a_cancellation(world: World) -> None:
    steps: list[str] = []

    async def step(name: str) -> str:
        steps.append(name)
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("one", step, "one")
        try:
            await ctx.signal("go", str)
        except TerminalError:
            await ctx.run("undo", step, "undo")
            raise
        return await ctx.run("two", step, "two")

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    with pytest.raises(TerminalError):
        await sent.attach()
    assert steps == ["one", "undo"]


async def test_CANCEL_30_a_cancellation_during_the_back_off_of_a_run_ends_it(world: World) -> None:
    """§0.4 item 14."""

    async def fail() -> None:
        raise ValueError("always")

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("fails", fail, retry=RetryPolicy(initial_interval=timedelta(hours=1)))
        return None

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await sent.cancel()
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.CANCELLED
