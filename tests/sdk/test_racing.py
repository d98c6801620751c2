"""race, first_success, as_completed, timeout and gather with failures: nested, shared, in every order of arrival."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import journal as j
from restate_sdk import (
    DurableFuture,
    DurableTimeout,
    StatusCode,
    TerminalError,
    as_completed,
    first_success,
    gather,
    race,
    select,
    timeout,
)

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import PAY, Checkout
from .prefixes import replays_from_every_prefix
from .runtime import FakeRuntime

Body = Callable[[CheckoutContext], Awaitable[object]]
MINUTE = timedelta(minutes=1)
FAILED = j.Failure(2, "no")


def value(number: int) -> j.Value:
    return j.Value(b"%d" % number, j.JSON)


def three(ctx: CheckoutContext) -> list[DurableFuture[int]]:
    return [ctx.awakeable(int) for _ in range(3)]


async def decided(body: Body, *order: int | tuple[int, j.Result]) -> str:
    """What a handler returns when awakeables (from 1) succeed or fail, and timers (negative: the command) are due."""
    found: set[str] = set()
    for inactivity_ms in (0, 60_000):
        async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.until(lambda it: any(isinstance(entry, j.Awakeable) for entry in it.commands))
            for _ in range(30):
                await asyncio.sleep(0)
            for event in order:
                number, result = event if isinstance(event, tuple) else (event, value(event))
                await (one.signal(number, result) if number > 0 else one.complete(-number, j.Void()))
            await one.ended()
        assert one.failures == []
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)
        found.add(one.result(PayResponse).text)
    (told,) = found
    return told


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
async def test_as_completed_gives_all_in_the_order_of_the_journal(order: tuple[int, ...]) -> None:
    async def body(ctx: CheckoutContext) -> object:
        return [found async for found in as_completed(*three(ctx))]

    assert await decided(body, *order) == str([(one - 1, one) for one in order])


async def test_as_completed_raises_a_failure_and_goes_on_when_asked() -> None:
    async def body(ctx: CheckoutContext) -> object:
        found: list[object] = []
        left = as_completed(*three(ctx))
        while True:
            try:
                async for one in left:
                    found.append(one)
                return found
            except TerminalError as error:
                found.append(str(error))

    assert await decided(body, 3, (1, FAILED), 2) == "[(2, 3), 'UNKNOWN: no', (1, 2)]"


async def test_as_completed_gives_failures_as_values_where_asked_to() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return [(index, str(one)) async for index, one in as_completed(*three(ctx), return_exceptions=True)]

    assert await decided(body, 3, (1, FAILED), 2) == "[(2, '3'), (0, 'UNKNOWN: no'), (1, '2')]"


async def test_as_completed_of_nothing_ends_at_once() -> None:
    async def body(ctx: CheckoutContext) -> object:
        ctx.awakeable(int)
        assert await anext(as_completed(), None) is None
        return [one async for one in as_completed(gather())]

    assert await decided(body) == "[(0, ())]"


@pytest.mark.parametrize(("order", "told"), [((1, -2), "1"), ((-2, 1), "not settled within 60 s, then 1")])
async def test_a_timeout_is_decided_by_the_journal(order: tuple[int, ...], told: str) -> None:
    async def body(ctx: CheckoutContext) -> object:
        future = ctx.awakeable(int)
        try:
            return await timeout(future, MINUTE)
        except DurableTimeout as error:
            return f"{error.message}, then {await future}"

    assert await decided(body, *order) == told


async def test_a_timeout_that_nobody_catches_fails_the_invocation() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await timeout(ctx.awakeable(int), MINUTE)

    def answers(entry: j.Command) -> j.Result | None:
        return j.Void() if isinstance(entry, j.Sleep) else None

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.run(PAY, PayRequest(), answers=answers)
    assert one.failure.code == StatusCode.DEADLINE_EXCEEDED
    sleep = one.commands[2]
    assert isinstance(sleep, j.Sleep)
    assert sleep.name == "timeout"


def test_a_durable_timeout_is_a_timeout_error_and_terminal() -> None:
    error = DurableTimeout("late")
    assert isinstance(error, TimeoutError)
    assert (error.code, str(error)) == (StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED: late")


async def test_a_timeout_around_a_failure_is_the_failure() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            return await timeout(ctx.awakeable(int), MINUTE)
        except TerminalError as error:
            return type(error).__name__

    assert await decided(body, (1, FAILED)) == "TerminalError"


async def test_a_timeout_inside_gather_fails_it_at_once() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, _ = three(ctx)
        try:
            await gather(timeout(a, MINUTE), b)
        except DurableTimeout:
            return "late"
        return None

    assert await decided(body, -4) == "late"


async def test_a_timeout_inside_first_success_is_passed_over() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, _ = three(ctx)
        return await first_success(timeout(a, MINUTE), b)

    assert await decided(body, -4, 2) == "2"


async def test_timeouts_nest() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, _ = three(ctx)
        try:
            return await timeout(gather(timeout(a, MINUTE), b), timedelta(seconds=30))
        except DurableTimeout as error:
            return error.message

    assert await decided(body, -5) == "not settled within 30 s"
    assert await decided(body, -4) == "not settled within 60 s"
    assert await decided(body, 2, 1) == "(1, 2)"


async def test_a_timeout_of_what_is_there_and_of_nothing() -> None:
    async def body(ctx: CheckoutContext) -> object:
        future = ctx.awakeable(int)
        await future
        return await timeout(future, timedelta()), await timeout(gather(), timedelta())

    assert await decided(body, 1) == "(1, ())"


async def test_races_share_futures_and_nest() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, c = three(ctx)
        return await gather(race(a, b), race(a, c), select(first_success(b, c), gather(a, b)))

    assert await decided(body, 1, 3) == "(1, 1, (0, 3))"
    assert await decided(body, 2, 3) == "(2, 3, (0, 2))"


@pytest.mark.parametrize(("order", "told"), [((1, 2), "race"), ((3,), "outcomes")])
async def test_outcomes_settle_with_the_last_of_them(order: tuple[int, ...], told: str) -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, c = three(ctx)
        found = await select(race=gather(a, b, return_exceptions=True), outcomes=gather(c, return_exceptions=True))
        return found.name

    assert await decided(body, *order) == told


async def test_what_is_no_durable_future_is_refused() -> None:
    async def body(ctx: CheckoutContext) -> object:
        future = ctx.awakeable(int)
        for function in (race, first_success):
            with pytest.raises(TypeError, match="at least one future"):
                function()
            with pytest.raises(TypeError, match="takes durable futures"):
                function(5)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="as_completed takes durable futures"):
            as_completed(future, 5)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="timeout takes durable futures"):
            timeout(5, MINUTE)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a timeout takes a timedelta"):
            timeout(future, 5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="cannot be negative"):
            timeout(future, -MINUTE)
        return "refused"

    assert await decided(body) == "refused"


@pytest.mark.parametrize("combined", [True, False])
async def test_futures_of_two_invocations_are_refused(combined: bool) -> None:
    kept: list[DurableFuture[int]] = []

    async def body(ctx: CheckoutContext) -> object:
        kept.append(ctx.awakeable(int))
        return await (race(*kept) if combined else kept[0])

    async with FakeRuntime(Checkout(body)) as runtime:
        await (await runtime.invoke(PAY, PayRequest())).has_commands(1)
        one = await runtime.run(PAY, PayRequest())
    (failed,) = one.failures
    assert failed.failure is not None
    assert failed.failure.message.startswith("MisuseError: ")
