"""The testing environment: a real runtime in the test process, its clock, its crashes and its settings."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from restate_client import ConnectionFailed, InvalidRequest
from restate_client.errors import CallTimeout
from restate_protocol import journal as j
from restate_runtime.testing import Overrides, environment
from restate_sdk import TerminalError

from .shop import (
    AddRequest,
    Cart,
    CartClient,
    Checkout,
    CheckoutClient,
    Endpoint,
    LookRequest,
    Order,
    OrderClient,
    OrderRequest,
    PayRequest,
)

HOUR = timedelta(hours=1)


def sleeper(naps: int = 1, slept: list[int] | None = None) -> Checkout:
    async def body(ctx: Any) -> str:
        for nap in range(naps):
            await ctx.sleep(HOUR)
            if slept is not None:
                slept.append(nap)
        return "rested"

    return Checkout(body)


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("suspends", [False, True])
async def test_time_is_skipped_while_a_caller_waits_for_a_sleeping_handler(sockets: bool, suspends: bool) -> None:
    overrides = Overrides(inactivity_timeout=timedelta()) if suspends else None
    async with environment(Endpoint(sleeper(3)), sockets=sockets, overrides=overrides) as env:
        began = env.now
        answer = await CheckoutClient(env.connection).pay(PayRequest())
        assert answer.text == "rested"
        assert env.now - began == 3 * HOUR


async def test_time_stands_still_while_nobody_waits() -> None:
    async with environment(Endpoint(sleeper())) as env:
        began = env.now
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        assert await handle.output() is None
        assert env.now == began


async def test_advance_goes_from_timer_to_timer() -> None:
    slept: list[int] = []
    async with environment(Endpoint(sleeper(5, slept)), skip_time=False) as env:
        await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.advance(2 * HOUR + timedelta(minutes=59))
        assert max(slept) == 1
        await env.advance(timedelta(minutes=1))
        assert max(slept) == 2


async def test_an_attempt_suspends_when_it_was_blocked_for_its_inactivity_timeout() -> None:
    async with environment(Endpoint(sleeper()), skip_time=False) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.advance(timedelta(seconds=59))
        assert (await env.admin.invocation(handle.invocation_id)).status == "running"
        await env.advance(timedelta(seconds=1))
        assert (await env.admin.invocation(handle.invocation_id)).status == "suspended"


async def test_a_delayed_send_starts_when_its_time_has_come() -> None:
    async with environment(Endpoint(sleeper())) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest(), delay=HOUR)
        await env.advance(HOUR - timedelta(milliseconds=1))
        assert (await env.admin.invocation(handle.invocation_id)).status == "scheduled"
        await env.advance(timedelta(milliseconds=1))
        assert (await env.admin.invocation(handle.invocation_id)).status == "running"


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
async def test_what_was_accepted_survives_a_crash(sockets: bool, on_disk: bool, tmp_path: Path) -> None:
    steps: list[str] = []

    async def body(ctx: Any) -> str:
        async def step() -> str:
            steps.append("step")
            return "done"

        value = await ctx.run("step", step)
        await ctx.sleep(HOUR)
        return str(value)

    store = tmp_path / "test.db" if on_disk else None
    async with environment(Endpoint(Checkout(body)), store=store, sockets=sockets) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        await env.restart()
        assert (await handle.attach()).text == "done"
        assert steps == ["step"]


async def test_a_call_that_a_crash_cuts_off_is_a_lost_connection_and_its_invocation_goes_on() -> None:
    async with environment(Endpoint(sleeper()), skip_time=False) as env:
        call = asyncio.create_task(CheckoutClient(env.connection).pay(PayRequest()))
        await env.settle()
        await env.restart()
        with pytest.raises(ConnectionFailed) as caught:
            await call
        assert caught.value.invocation_id is not None
        await env.advance(HOUR)
        assert (await env.admin.invocation(caught.value.invocation_id)).status == "completed"


async def test_a_killed_endpoint_is_waited_for() -> None:
    async with environment(Endpoint(sleeper())) as env:
        await env.disconnect()
        call = asyncio.create_task(CheckoutClient(env.connection).pay(PayRequest()))
        await env.settle()
        assert not call.done()
        await env.connect()
        assert (await call).text == "rested"


async def test_a_retry_waits_on_the_tests_clock() -> None:
    failures = iter([ValueError("once"), ValueError("twice")])

    async def body(ctx: Any) -> str:
        for failure in failures:
            raise failure
        return "third time"

    async with environment(Endpoint(Checkout(body))) as env:
        began = env.now
        assert (await CheckoutClient(env.connection).pay(PayRequest())).text == "third time"
        assert timedelta(seconds=1.0) < env.now - began < timedelta(seconds=3)


async def test_real_work_in_a_run_is_waited_for_and_no_time_is_skipped_meanwhile() -> None:
    go_on = asyncio.Event()

    async def work() -> str:
        await go_on.wait()
        return "worked"

    async def body(ctx: Any) -> str:
        return str(await ctx.run("work", work))

    async with environment(Endpoint(sleeper()), Endpoint(Cart(add=_nothing), version_label="cart")) as env:
        await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.deploy(Endpoint(Checkout(body), version_label="2"))
        call = asyncio.create_task(CheckoutClient(env.connection).pay(PayRequest()))
        began = env.now
        await env.advance(timedelta(), patience=timedelta())
        assert env.now == began
        go_on.set()
        assert (await call).text == "worked"
        assert env.now == began


async def _nothing(ctx: Any) -> list[str]:
    return []


async def test_an_operator_kills_and_reads_the_journal() -> None:
    async with environment(Endpoint(sleeper()), skip_time=False) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.settle()
        assert [type(entry) for entry in await env.admin.journal(handle.invocation_id)] == [j.Input, j.Sleep]
        await env.admin.kill(handle.invocation_id)
        with pytest.raises(TerminalError):
            await handle.attach()


async def test_state_is_kept_and_a_bad_request_is_refused_as_the_ingress_does() -> None:
    async def add(ctx: Any) -> list[str]:
        items = [*(await ctx.state.items.get()), "book"]
        ctx.state.items.set(items)
        return items

    async def look(ctx: Any) -> list[str]:
        return list(await ctx.state.items.get())

    async with environment(Endpoint(Cart(add, look))) as env:
        cart = CartClient(env.connection)
        await cart.add(AddRequest(cart_id=7))
        assert list((await cart.look(LookRequest(cart_id=7))).items) == ["book"]
        assert set(await env.admin.state("shop.v1.Cart", "7")) == {1}
        order = OrderClient(env.connection)
        with pytest.raises(Exception, match="serves"):
            await order.run(OrderRequest(order_id="1"))


async def test_an_empty_key_is_refused() -> None:
    async with environment(Endpoint(Order(run=_nothing, approve=_nothing))) as env:
        with pytest.raises(InvalidRequest):
            await OrderClient(env.connection).run(OrderRequest())


async def test_a_callers_timeout_is_counted_by_the_tests_clock() -> None:
    async with environment(Endpoint(sleeper(10))) as env:
        began = env.now
        with pytest.raises(CallTimeout) as caught:
            await CheckoutClient(env.connection).pay(PayRequest(), timeout=timedelta(minutes=90))
        assert env.now - began == timedelta(minutes=90)
        assert caught.value.invocation_id is not None


async def test_what_is_past_its_retention_is_purged() -> None:
    async with environment(Endpoint(sleeper())) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await handle.attach()
        await env.advance(timedelta(days=1))
        assert await env.admin.invocations() == []


async def test_one_timer_in_memory_is_enough() -> None:
    async with environment(Endpoint(sleeper(2)), timers_in_memory=1) as env:
        checkout = CheckoutClient(env.connection)
        answers = await asyncio.gather(*(checkout.pay(PayRequest()) for _ in range(20)))
        assert [one.text for one in answers] == ["rested"] * 20
