"""The real SDK on the real engine: long retries of runs, state on demand, attempts that stand still."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from restate_protocol import journal as j
from restate_runtime.testing import Environment, Overrides, environment
from restate_sdk import RetryPolicy, TerminalError, gather

from .shop import AddRequest, Cart, CartClient, Checkout, CheckoutClient, Endpoint, PayRequest

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SUSPENDING = Overrides(inactivity_timeout=timedelta())


def failing(times: int, policy: RetryPolicy, executed: list[int]) -> Checkout:
    """A handler with one step that fails that often."""

    async def step() -> str:
        executed.append(len(executed) + 1)
        if len(executed) <= times:
            raise ConnectionError(f"try {len(executed)}")
        return "paid"

    async def body(ctx: Any) -> str:
        paid: str = await ctx.run("charge", step, retry=policy)
        return paid

    return Checkout(body)


async def counts(env: Environment, invocation_id: str) -> list[int]:
    """What the journal says of the failures of its run."""
    return [one.failures for one in await env.admin.journal(invocation_id) if isinstance(one, j.RunFailed)]


@pytest.mark.parametrize("overrides", [None, SUSPENDING], ids=["resident", "suspended"])
@pytest.mark.parametrize("kills", [False, True], ids=["calm", "killed"])
async def test_long_waits_of_a_run_are_counted_exactly(overrides: Overrides | None, kills: bool) -> None:
    executed: list[int] = []
    policy = RetryPolicy(initial_interval=MINUTE, factor=2, max_interval=HOUR, max_attempts=10)
    async with environment(Endpoint(failing(4, policy, executed)), overrides=overrides, skip_time=False) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        for failures, minutes in ((1, 1), (2, 2), (3, 4), (4, 8)):
            await env.settle()
            assert (len(executed), await counts(env, handle.invocation_id)) == (failures, list(range(1, failures + 1)))
            if kills:
                await env.restart()
            await env.advance(minutes * MINUTE - timedelta(milliseconds=1))
            assert len(executed) == failures, "not before its time"
            await env.advance(timedelta(milliseconds=1))
        assert (await handle.attach()).text == "paid"
        assert len(executed) == 5


@pytest.mark.parametrize("overrides", [None, SUSPENDING], ids=["resident", "suspended"])
async def test_a_run_whose_tries_are_used_up_is_a_recorded_failure(overrides: Overrides | None) -> None:
    executed: list[int] = []
    policy = RetryPolicy(initial_interval=MINUTE, max_interval=HOUR, max_attempts=3)
    async with environment(Endpoint(failing(99, policy, executed)), overrides=overrides) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        with pytest.raises(TerminalError, match="try 3"):
            await handle.attach()
        assert executed == [1, 2, 3]


async def test_two_runs_wait_side_by_side_and_each_is_tried_in_its_own_time() -> None:
    tries: list[str] = []

    def step(name: str, times: int) -> str:
        tries.append(name)
        if tries.count(name) <= times:
            raise ConnectionError(name)
        return name

    async def body(ctx: Any) -> str:
        slow = RetryPolicy(initial_interval=3 * MINUTE, factor=1, max_interval=HOUR)
        fast = RetryPolicy(initial_interval=MINUTE, factor=1, max_interval=HOUR)
        both = await gather(ctx.run("slow", step, "slow", 1, retry=slow), ctx.run("fast", step, "fast", 4, retry=fast))
        return " ".join(both)

    async with environment(Endpoint(Checkout(body)), overrides=SUSPENDING) as env:
        began = env.now
        assert (await CheckoutClient(env.connection).pay(PayRequest())).text == "slow fast"
        assert (tries.count("slow"), tries.count("fast")) == (2, 5)
        assert timedelta(minutes=4) <= env.now - began < timedelta(minutes=5)


async def test_lazy_state_reads_what_was_written_before_over_suspension_and_crash() -> None:
    async def add(ctx: Any) -> list[str]:
        before = await ctx.state.total.get()
        ctx.state.total.set(before + 1)
        await ctx.sleep(MINUTE)
        return [str(await ctx.state.total.get() - before)]

    overrides = Overrides(inactivity_timeout=timedelta(), lazy_state=True)
    async with environment(Endpoint(Cart(add)), overrides=overrides) as env:
        for _ in range(3):
            assert (await CartClient(env.connection).add(AddRequest(cart_id=7))).items == ["1"]
            await env.restart()
        assert list(await env.admin.state("shop.v1.Cart", "7")) == [2]


async def test_an_attempt_that_stands_still_is_aborted_and_the_next_one_goes_on() -> None:
    attempts: list[int] = []

    async def body(ctx: Any) -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return "second"

    overrides = Overrides(inactivity_timeout=MINUTE, abort_timeout=MINUTE)
    async with environment(Endpoint(Checkout(body)), overrides=overrides, skip_time=False) as env:
        handle = await CheckoutClient(env.connection).pay.send(PayRequest())
        await env.advance(MINUTE)
        assert attempts == [1]
        await env.advance(MINUTE)
        await env.advance(timedelta(seconds=1))
        assert (await handle.attach()).text == "second"
