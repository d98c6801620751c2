"""What would differ on replay fails the attempt at once, with a message that names the right call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import journal as j
from restate_sdk import MisuseError, gather

from .gen.shop.v1.shop_pb import PayRequest
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import PAY, Checkout
from .runtime import FakeRuntime

Body = Callable[[CheckoutContext], Awaitable[object]]


async def failure(body: Body) -> str:
    """What the attempt failed with, though the handler would have gone on."""

    async def stubborn(ctx: CheckoutContext) -> object:
        try:
            return await body(ctx)
        except Exception:
            return "swallowed"

    async with FakeRuntime(Checkout(stubborn)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.output is None
    (failed,) = one.failures
    assert failed.failure is not None
    return failed.failure.message


def nap(ctx: CheckoutContext) -> object:
    return ctx.sleep(timedelta(days=1))


async def gathers(ctx: CheckoutContext) -> None:
    await asyncio.gather(ctx.sleep(timedelta(days=1)), ctx.sleep(timedelta(days=1)))


async def waits_for(ctx: CheckoutContext) -> None:
    await asyncio.wait_for(ctx.sleep(timedelta(days=1)), 60)


async def makes_a_task(ctx: CheckoutContext) -> None:
    async def other() -> None:
        await ctx.run("step", lambda: 1)

    await asyncio.create_task(other())


async def makes_a_group(ctx: CheckoutContext) -> None:
    async def other() -> None:
        await ctx.sleep(timedelta(days=1))

    async with asyncio.TaskGroup() as group:
        group.create_task(other())


@pytest.mark.parametrize("body", [gathers, waits_for, makes_a_task, makes_a_group])
async def test_other_tasks_are_refused(body: Body) -> None:
    message = await failure(body)
    assert message.startswith("MisuseError: ")
    assert "another task than the handler's" in message
    assert "`restate_sdk.gather` and `restate_sdk.select`" in message


async def test_a_handler_that_waits_is_ended_by_the_misuse_of_another_task() -> None:
    async def body(ctx: CheckoutContext) -> None:
        async def other() -> None:
            with pytest.raises(MisuseError):
                ctx.sleep(timedelta(1))

        task = asyncio.create_task(other())
        try:
            await ctx.sleep(timedelta(days=1))
        finally:
            await task

    assert "another task" in await failure(body)


async def test_a_timeout_around_a_wait_is_refused() -> None:
    async def body(ctx: CheckoutContext) -> None:
        async with asyncio.timeout(0):
            await ctx.sleep(timedelta(days=1))

    message = await failure(body)
    assert "asyncio.timeout" in message
    assert "ctx.sleep" in message


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
