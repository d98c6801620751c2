"""What would differ on replay fails the attempt at once, with a message that names the right call."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import MisuseError, gather

from .gen.shop.v1.shop_pb import ApproveRequest, PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext, OrderSharedContext
from .handlers import APPROVE, PAY, Checkout, Order
from .runtime import FakeRuntime

Body = Callable[[CheckoutContext], Awaitable[object]]


async def failure(body: Body, inactivity_ms: int = 60_000) -> str:
    """What the attempt failed with, though the handler would have gone on."""

    async def stubborn(ctx: CheckoutContext) -> object:
        try:
            return await body(ctx)
        except Exception:
            return "swallowed"

    async with FakeRuntime(Checkout(stubborn), inactivity_ms=inactivity_ms) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.output is None
    (failed,) = one.failures
    assert failed.failure is not None
    misuse = failed.failure.message.startswith("MisuseError")
    assert failed.behavior == (pb.Failed.Behavior.PAUSE if misuse else pb.Failed.Behavior.POLICY)
    return failed.failure.message


def _draws_in_a_thread(ctx: CheckoutContext, drawn: random.Random) -> str:
    return str(ctx.uuid())


def _draws_from_a_reference(ctx: CheckoutContext, drawn: random.Random) -> str:
    return str(drawn.randint(1, 6))


async def _draws_in_a_step(ctx: CheckoutContext, drawn: random.Random) -> str:
    return str(ctx.random.random())


async def _shuffles_in_a_step(ctx: CheckoutContext, drawn: random.Random) -> str:
    numbers = [1, 2, 3]
    drawn.shuffle(numbers)
    return str(numbers)


@pytest.mark.parametrize(
    "function", [_draws_in_a_thread, _draws_from_a_reference, _draws_in_a_step, _shuffles_in_a_step]
)
@pytest.mark.parametrize("awaited", [True, False])
async def test_a_number_drawn_in_a_step_pauses_the_invocation(function: Callable[..., Any], awaited: bool) -> None:
    async def body(ctx: CheckoutContext) -> object:
        step = ctx.run("draw", function, ctx, ctx.random)
        return await step if awaited else await gather(step, ctx.sleep(timedelta(days=1)))

    async with FakeRuntime(Checkout(body), inactivity_ms=60_000) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.output is None
    (failed,) = one.failures
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure is not None
    assert failed.failure.message.startswith("MisuseError")


async def _resolves(ctx: CheckoutContext) -> None:
    ctx.resolve_awakeable(ids.awakeable_id_text(b"x" * 16, 3), object())


async def _signals(ctx: CheckoutContext) -> None:
    ctx.invocation(ids.invocation_id_text(b"x" * 16)).signal("go", object())


async def _returns_nothing(ctx: CheckoutContext) -> None:
    return None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (_resolves, "awakeable awk_"),
        (_signals, "signal 'go' was given a object, which cannot be journaled: it takes a message, bytes,"),
        (_returns_nothing, "shop.v1.Checkout/Pay must return a PayResponse, and returned NoneType"),
    ],
)
async def test_a_value_that_nothing_can_write_pauses_the_invocation(body: Body, named: str) -> None:
    class Raw(Checkout):
        async def pay(self, ctx: CheckoutContext, request: PayRequest, /) -> PayResponse:
            result: Any = await body(ctx)
            return cast(PayResponse, result)

    async with FakeRuntime(Raw(body)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert [j.type_name(entry) for entry in one.commands] == ["input"]
    (failed,) = one.failures
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure is not None
    assert failed.failure.message.startswith(f"MisuseError: {named}")


async def test_a_promise_is_resolved_with_a_value_of_its_field() -> None:
    async def body(ctx: OrderSharedContext) -> object:
        wrong: Any = object()
        await ctx.promises.approved.resolve(wrong)
        return "resolved"

    async with FakeRuntime(Order(approve=body)) as runtime:
        (failed,) = (await runtime.run(APPROVE, ApproveRequest(order_id="o"), key="o")).failures
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure is not None
    assert "promise approved was given a object" in failed.failure.message
    assert "the field approved of shop.v1.OrderPromises" in failed.failure.message


async def forever(ctx: CheckoutContext) -> None:
    await ctx.sleep(timedelta(days=1))


async def waits_for(ctx: CheckoutContext) -> None:
    await asyncio.wait_for(ctx.sleep(timedelta(days=1)), 60)


async def waits_for_a_task(ctx: CheckoutContext) -> None:
    await asyncio.wait_for(asyncio.create_task(forever(ctx)), 60)


async def waits_with_a_timeout(ctx: CheckoutContext) -> None:
    await asyncio.wait([asyncio.create_task(forever(ctx))], timeout=60)


async def completes_with_a_timeout(ctx: CheckoutContext) -> None:
    for one in asyncio.as_completed([asyncio.create_task(forever(ctx))], timeout=60):
        await one


async def has_a_timeout(ctx: CheckoutContext) -> None:
    async with asyncio.timeout(60):
        await ctx.sleep(timedelta(days=1))


async def has_a_timeout_in_a_task(ctx: CheckoutContext) -> None:
    await asyncio.create_task(has_a_timeout(ctx))


@pytest.mark.parametrize("inactivity_ms", [0, 60_000])
@pytest.mark.parametrize(
    "body",
    [
        waits_for,
        waits_for_a_task,
        waits_with_a_timeout,
        completes_with_a_timeout,
        has_a_timeout,
        has_a_timeout_in_a_task,
    ],
)
async def test_time_limits_of_asyncio_are_refused_when_they_begin(body: Body, inactivity_ms: int) -> None:
    message = await failure(body, inactivity_ms)
    assert message.startswith("MisuseError: asyncio.")
    assert "`restate_sdk.timeout(future, timedelta(...))`" in message


async def sleeps_beside(ctx: CheckoutContext) -> None:
    await asyncio.gather(asyncio.sleep(60), forever(ctx))


async def sleeps_itself(ctx: CheckoutContext) -> None:
    task = asyncio.create_task(forever(ctx))
    await asyncio.sleep(60)
    await task


async def blocks_a_thread(ctx: CheckoutContext) -> None:
    end = threading.Event()
    try:
        await asyncio.gather(asyncio.to_thread(end.wait), forever(ctx))
    finally:
        end.set()


@pytest.mark.parametrize("inactivity_ms", [0, 60_000])
@pytest.mark.parametrize("body", [sleeps_beside, sleeps_itself, blocks_a_thread])
async def test_timers_and_threads_beside_waits_are_refused(body: Body, inactivity_ms: int) -> None:
    message = await failure(body, inactivity_ms)
    assert "while others wait for durable futures" in message
    assert "ctx.sleep" in message


async def test_a_task_that_something_else_wakes_is_refused() -> None:
    outside: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def woken(ctx: CheckoutContext) -> None:
        await outside
        await ctx.run("step", lambda: 1)

    async def body(ctx: CheckoutContext) -> None:
        await asyncio.gather(woken(ctx), forever(ctx))

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(1)
        for _ in range(30):
            await asyncio.sleep(0)
        outside.set_result(None)
        await one.ended()
    (failed,) = one.failures
    assert failed.failure is not None
    assert "no durable result was the reason" in failed.failure.message
    assert [type(entry) for entry in one.commands] == [j.Input, j.Sleep]


async def test_futures_of_asyncio_s_functions_are_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await asyncio.wait([ctx.sleep(timedelta(days=1))])  # type: ignore[type-var]

    message = await failure(body)
    assert "as asyncio.wait does" in message
    assert "`restate_sdk.select`" in message


async def test_coroutines_in_a_set_are_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        waits = forever(ctx)
        try:
            for one in asyncio.as_completed([waits]):
                await one
        finally:
            waits.close()

    assert "`restate_sdk.as_completed`" in await failure(body)


async def test_tasks_of_others_are_refused() -> None:
    contexts: asyncio.Queue[CheckoutContext] = asyncio.Queue()

    async def other() -> None:
        ctx = await contexts.get()
        with pytest.raises(MisuseError):
            ctx.sleep(timedelta(1))

    task = asyncio.create_task(other())

    async def body(ctx: CheckoutContext) -> None:
        contexts.put_nowait(ctx)
        await ctx.sleep(timedelta(days=1))

    assert "a task that this handler did not make" in await failure(body)
    await task


async def test_callbacks_are_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        asyncio.get_running_loop().call_soon(ctx.sleep, timedelta(1))
        await ctx.sleep(timedelta(days=1))

    caught: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: caught.append(told["exception"]))
    assert "in a callback" in await failure(body)
    assert isinstance(caught[0], MisuseError)


async def test_coroutines_that_a_run_s_thread_hands_to_the_loop_are_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        loop = asyncio.get_running_loop()

        def step() -> None:
            asyncio.run_coroutine_threadsafe(forever(ctx), loop).result()

        await ctx.run("step", step)

    assert "a task that this handler did not make" in await failure(body)


async def test_a_task_of_a_run_may_not_use_the_context() -> None:
    async def body(ctx: CheckoutContext) -> None:
        async def step() -> None:
            await asyncio.gather(forever(ctx))

        await ctx.run("step", step)

    assert "a task that this handler did not make" in await failure(body)


async def test_a_timeout_around_a_run_is_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        async with asyncio.timeout(0):
            await ctx.run("step", asyncio.Event().wait)

    assert "asyncio.timeout" in await failure(body)


async def test_a_timeout_inside_a_run_is_fine() -> None:
    async def step() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    async def body(ctx: CheckoutContext) -> object:
        return [await ctx.run("here", step), *await gather(ctx.run("beside", step), ctx.run("too", step))]

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.failures == []
    assert isinstance(one.output, j.Value)


async def test_a_run_that_cancels_itself_fails_the_attempt() -> None:
    async def step() -> None:
        raise asyncio.CancelledError

    async def body(ctx: CheckoutContext) -> None:
        await ctx.run("step", step)

    assert "CancelledError" in await failure(body)


async def test_the_context_is_refused_inside_a_run() -> None:
    async def here(ctx: CheckoutContext) -> None:
        async def step() -> None:
            await ctx.sleep(timedelta(1))

        await ctx.run("step", step)

    async def in_a_thread(ctx: CheckoutContext) -> None:
        await ctx.run("step", lambda: ctx.sleep(timedelta(1)))

    assert "inside a ctx.run function" in await failure(here)
    assert "in a thread" in await failure(in_a_thread)


async def test_a_plain_wait_in_the_handler_is_fine() -> None:
    async def body(ctx: CheckoutContext) -> object:
        await asyncio.sleep(0)
        first = await ctx.run("step", lambda: 1)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        return first

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.failures == []
