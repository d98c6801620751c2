"""Runs and mismatches with the real runtime: counts over crashes, durable waits, cancellation, and what is paused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from restate_protocol import journal as j
from restate_runtime.testing import Overrides, environment
from restate_runtime.testing.environment import Environment
from restate_sdk import Endpoint, RetryPolicy, StatusCode, TerminalError, gather

from .gen.shop.v1.shop_pb import AddRequest, PayRequest
from .gen.shop.v1.shop_restate import CartClient, CartContext, CheckoutClient, CheckoutContext
from .handlers import Cart, Checkout

HOUR = timedelta(hours=1)
SUSPENDS = Overrides(inactivity_timeout=timedelta())
HOURLY = RetryPolicy(initial_interval=HOUR, factor=1, max_interval=HOUR, max_attempts=4)
Body = Callable[[CheckoutContext], Any]


class Failing:
    """Counts its calls, and fails until told otherwise."""

    def __init__(self, succeeds_at: int = 1_000_000) -> None:
        self.calls = 0
        self._succeeds_at = succeeds_at

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls < self._succeeds_at:
            raise ValueError(f"failure {self.calls}")
        return self.calls


async def failures(env: Environment, invocation_id: str) -> list[int]:
    journal = await env.admin.journal(invocation_id)
    return [entry.failures for entry in journal if isinstance(entry, j.RunFailed)]


@pytest.mark.parametrize("overrides", [None, SUSPENDS])
async def test_short_waits_are_counted_and_spent_in_place(overrides: Overrides | None) -> None:
    failing = Failing(succeeds_at=4)

    async def body(ctx: CheckoutContext) -> object:
        return await ctx.run("step", failing, retry=RetryPolicy(initial_interval=timedelta(milliseconds=1)))

    async with environment(Endpoint(Checkout(body)), overrides=overrides) as env:
        sent = await CheckoutClient(env.connection).pay.send(PayRequest())
        assert (await sent.attach()).text == "4"
        assert await failures(env, sent.invocation_id) == [1, 2, 3]
    assert failing.calls == 4


@pytest.mark.parametrize("overrides", [None, SUSPENDS])
async def test_long_waits_pass_as_time_does(overrides: Overrides | None) -> None:
    failing = Failing(succeeds_at=4)

    async def body(ctx: CheckoutContext) -> object:
        return await ctx.run("step", failing, retry=HOURLY)

    async with environment(Endpoint(Checkout(body)), overrides=overrides) as env:
        began = env.now
        assert (await CheckoutClient(env.connection).pay(PayRequest())).text == "4"
        assert env.now - began == 3 * HOUR
    assert failing.calls == 4


async def test_counts_are_exact_whatever_crashes_and_end_with_the_last_error() -> None:
    failing = Failing()

    async def body(ctx: CheckoutContext) -> object:
        return await ctx.run("step", failing, retry=HOURLY)

    async with environment(Endpoint(Checkout(body)), skip_time=False) as env:
        sent = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        await env.restart()
        await env.advance(HOUR)
        await env.disconnect()
        await env.connect()
        await env.advance(HOUR)
        await env.restart()
        await env.advance(HOUR)
        with pytest.raises(TerminalError) as caught:
            await sent.attach()
        assert await failures(env, sent.invocation_id) == [1, 2, 3]
    assert failing.calls == 4
    assert caught.value.message == (
        "run 'step' failed 4 times, and its retry policy allows no more: ValueError: failure 4"
    )


async def test_runs_that_wait_and_others_go_on_beside_each_other() -> None:
    left, right = Failing(succeeds_at=3), Failing(succeeds_at=2)

    async def body(ctx: CheckoutContext) -> object:
        return await gather(ctx.run("l", left, retry=HOURLY), ctx.run("r", right, retry=HOURLY), ctx.sleep(HOUR / 2))

    async with environment(Endpoint(Checkout(body)), overrides=SUSPENDS) as env:
        began = env.now
        assert (await CheckoutClient(env.connection).pay(PayRequest())).text == "(3, 2, None)"
        assert env.now - began == 2 * HOUR
    assert (left.calls, right.calls) == (3, 2)


async def test_a_result_that_cannot_be_journaled_is_recorded_and_no_loop() -> None:
    calls: list[int] = []

    def step() -> object:
        calls.append(1)
        return object()

    async def body(ctx: CheckoutContext) -> object:
        return await ctx.run("step", step, retry=HOURLY)

    async with environment(Endpoint(Checkout(body))) as env:
        with pytest.raises(TerminalError, match="the result of run 'step' cannot be journaled") as caught:
            await CheckoutClient(env.connection).pay(PayRequest())
    assert caught.value.code is StatusCode.INTERNAL
    assert calls == [1]


class TestCancel:
    @pytest.mark.parametrize("beside", [False, True])
    async def test_a_coroutine_function_that_executes_is_cancelled(self, beside: bool) -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def step() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async def body(ctx: CheckoutContext) -> object:
            try:
                await (gather(ctx.run("step", step)) if beside else ctx.run("step", step))
            except TerminalError as error:
                return (error.code.name, await ctx.run("clean up", lambda: "cleaned"))
            return None

        async with environment(Endpoint(Checkout(body))) as env:
            sent = await CheckoutClient(env.connection).pay.send(PayRequest())
            await asyncio.wait_for(began.wait(), 20)
            await env.admin.cancel(sent.invocation_id)
            assert (await sent.attach()).text == "('CANCELLED', 'cleaned')"
            assert cancelled.is_set()

    async def test_the_result_of_a_plain_function_is_ignored(self) -> None:
        began, goes_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def step() -> str:
            loop.call_soon_threadsafe(began.set)
            goes_on.wait(20)
            return "too late"

        async def body(ctx: CheckoutContext) -> object:
            future = ctx.run("step", step)
            seen = []
            for _ in range(2):
                try:
                    await future
                except TerminalError as error:
                    seen.append(error.code.name)
            return seen

        async with environment(Endpoint(Checkout(body))) as env:
            sent = await CheckoutClient(env.connection).pay.send(PayRequest())
            await asyncio.wait_for(began.wait(), 20)
            await env.admin.cancel(sent.invocation_id)
            assert (await sent.attach()).text == "['CANCELLED', 'CANCELLED']"
            goes_on.set()

    @pytest.mark.parametrize("overrides", [None, SUSPENDS])
    async def test_a_run_that_waits_for_its_next_try_is_given_up(self, overrides: Overrides | None) -> None:
        failing = Failing()

        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("step", failing, retry=HOURLY)
            except TerminalError as error:
                await ctx.sleep(3 * HOUR)
                return error.code.name
            return None

        async with environment(Endpoint(Checkout(body)), skip_time=False, overrides=overrides) as env:
            sent = await CheckoutClient(env.connection).pay.send(PayRequest())
            await env.settle()
            await env.admin.cancel(sent.invocation_id)
            await env.advance(3 * HOUR)
            assert (await sent.attach()).text == "CANCELLED"
        assert failing.calls == 1


class TestMismatch:
    async def test_it_is_paused_with_its_report_and_goes_on_with_code_that_fits(self) -> None:
        items = ["shoe"]
        calls: list[str] = []

        async def add(ctx: CartContext) -> list[str]:
            calls.append("add")
            return []

        async def body(ctx: CheckoutContext) -> object:
            await CartClient(ctx).add(AddRequest(cart_id=7, item=items[0]))
            await ctx.sleep(HOUR)
            return "done"

        endpoint = Endpoint(Checkout(body), Cart(add))
        async with environment(endpoint, skip_time=False, overrides=SUSPENDS) as env:
            sent = await CheckoutClient(env.connection).pay.send(PayRequest())
            await env.settle()
            items[0] = "hat"
            await env.advance(HOUR)
            invocation = await env.admin.invocation(sent.invocation_id)
            assert invocation.status == "paused"
            assert invocation.last_failure is not None
            assert invocation.last_failure.code == "INTERNAL"
            lines = invocation.last_failure.message.splitlines()
            assert lines[0].startswith("journal mismatch at command 1: the journal has call shop.v1.Cart/Add")
            assert __file__ in lines[1]
            assert any(line.split() == ["*", "payload.item", '"shoe"', '"hat"'] for line in lines)
            assert any(f"restate-cli invocations resume {sent.invocation_id}" in line for line in lines)
            items[0] = "shoe"
            await env.admin.resume(sent.invocation_id)
            assert (await sent.attach()).text == "done"
        assert calls == ["add"]


class Csv:
    """A serde for rows of numbers."""

    tag = "text/csv"

    def dumps(self, value: list[int], /) -> bytes:
        return ",".join(map(str, value)).encode()

    def loads(self, data: bytes, /) -> list[int]:
        return [int(one) for one in data.decode().split(",")]


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("given", "wanted", "value"),
    [({"serde": Csv()}, {"serde": Csv()}, [1, 2]), ({}, {"type": Point}, Point(1, 2)), ({}, {"type": dict}, {"a": 1})],
)
async def test_awakeables_and_signals_carry_typed_values(
    given: dict[str, Any], wanted: dict[str, Any], value: object
) -> None:
    ids: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    kind = [wanted["type"]] if "type" in wanted else []
    serde = {"serde": wanted["serde"]} if "serde" in wanted else {}

    async def wait(ctx: CheckoutContext) -> object:
        context: Any = ctx
        awakeable, signal = context.awakeable(*kind, **serde), context.signal("go", *kind, **serde)
        ids.put_nowait((awakeable.id, ctx.invocation_id))
        return await gather(awakeable, signal) == (value, value)

    async def give(ctx: CartContext) -> list[str]:
        awakeable_id, invocation_id = await ctx.run("ids", ids.get, returns=tuple[str, str])
        ctx.resolve_awakeable(awakeable_id, value, **given)
        await ctx.invocation(invocation_id).signal("go", value, **given)
        return []

    async with environment(Endpoint(Checkout(wait), Cart(give))) as env:
        waits = await CheckoutClient(env.connection).pay.send(PayRequest())
        await CartClient(env.connection).add(AddRequest(cart_id=7))
        assert (await waits.attach()).text == "True"
