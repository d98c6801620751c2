"""Cancellation, signals, handles, timeouts and tasks with the real runtime, resident and always suspended."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from restate_runtime.testing import Overrides, environment
from restate_sdk import DurableTimeout, Endpoint, StatusCode, TerminalError, race, timeout

from .gen.shop.v1.shop_pb import AddRequest, PayRequest
from .gen.shop.v1.shop_restate import CartClient, CartContext, CheckoutClient, CheckoutContext
from .handlers import Cart, Checkout

SUSPENDS = Overrides(inactivity_timeout=timedelta())
SETTINGS = pytest.mark.parametrize("overrides", [None, SUSPENDS], ids=["resident", "suspends"])


async def blocks(ctx: CartContext) -> list[str]:
    try:
        await ctx.awakeable(int)
    except TerminalError as error:
        return [error.code.name, await ctx.run("undo", lambda: "undone")]
    return []


@SETTINGS
async def test_a_cancellation_reaches_the_calls_that_tasks_await(overrides: Overrides | None) -> None:
    async def body(ctx: CheckoutContext) -> object:
        async def worker(cart_id: int) -> list[str]:
            call = CartClient(ctx).add(AddRequest(cart_id=cart_id))
            try:
                return (await call).items
            except TerminalError:
                return (await call).items

        return await asyncio.gather(*(worker(number) for number in (1, 2, 3)))

    async with environment(Endpoint(Checkout(body), Cart(blocks)), overrides=overrides) as env:
        sent = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        await sent.cancel()
        assert (await sent.attach()).text == str([["CANCELLED", "undone"]] * 3)


@SETTINGS
async def test_handlers_give_each_other_signals_and_cancel_each_other(overrides: Overrides | None) -> None:
    async def waits(ctx: CartContext) -> list[str]:
        found = [await ctx.signal("next", str) for _ in range(3)]
        try:
            await ctx.signal("never", str)
        except TerminalError as error:
            found.append(error.code.name)
        return found

    async def body(ctx: CheckoutContext) -> object:
        handle = await CartClient(ctx).add.send(AddRequest(cart_id=1))
        for text in "abc":
            await handle.signal("next", text)
        await ctx.sleep(timedelta(seconds=1))
        await handle.cancel()
        return (await handle.attach()).items

    async with environment(Endpoint(Checkout(body), Cart(waits)), overrides=overrides) as env:
        sent = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        await env.advance(timedelta(seconds=2))
        assert (await sent.attach()).text == "['a', 'b', 'c', 'CANCELLED']"


@SETTINGS
async def test_a_timeout_below_other_futures_fires(overrides: Overrides | None) -> None:
    async def body(ctx: CheckoutContext) -> object:
        tasks = [asyncio.create_task(late(ctx, minutes)) for minutes in (2, 1)]
        return [await one for one in asyncio.as_completed(tasks)]

    async def late(ctx: CheckoutContext, minutes: int) -> int:
        try:
            await race(timeout(ctx.awakeable(int), timedelta(minutes=minutes)), ctx.signal("never", int))
        except DurableTimeout as error:
            assert error.code is StatusCode.DEADLINE_EXCEEDED  # noqa: PT017 - inside a handler
        return minutes

    async with environment(Endpoint(Checkout(body)), overrides=overrides) as env:
        sent = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        await env.advance(timedelta(minutes=3))
        assert (await sent.attach()).text == "[1, 2]"
