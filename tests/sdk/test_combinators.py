"""gather and select in handlers, in every order of arrival, resident and suspended."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import awaiting
from restate_protocol import journal as j
from restate_sdk import DurableFuture, TerminalError, gather, select

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import PAY, Checkout
from .runtime import FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]
FAILED = j.Failure(2, "no")


def naps(ctx: CheckoutContext, count: int) -> list[DurableFuture[int]]:
    return [ctx.awakeable(int) for _ in range(count)]


def value(number: int) -> j.Value:
    return j.Value(b"%d" % number, j.JSON)


async def signalled(body: Body, order: list[tuple[int, j.Result]], inactivity_ms: int) -> Invocation:
    """An invocation whose awakeables are signalled in this order, one after the other."""
    async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(lambda it: any(isinstance(entry, j.Awakeable) for entry in it.commands))
        for number, result in order:
            await one.signal(number, result)
        return await one.ended()


async def both(body: Body, *order: tuple[int, j.Result]) -> Invocation:
    """The same in an attempt that stays and in attempts that always suspend."""
    stays, suspends = [await signalled(body, list(order), inactivity_ms) for inactivity_ms in (60_000, 0)]
    assert stays.output == suspends.output
    return suspends


def text(one: Invocation) -> str:
    found: str = one.result(PayResponse).text
    return found


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
async def test_select_gives_the_first_in_the_journal(order: tuple[int, ...]) -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await select(*naps(ctx, 3))

    assert text(await both(body, *[(one, value(one)) for one in order])) == str((order[0] - 1, order[0]))


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
async def test_gather_gives_all_in_the_order_of_the_arguments(order: tuple[int, ...]) -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await gather(*naps(ctx, 3))

    assert text(await both(body, *[(one, value(one)) for one in order])) == "(1, 2, 3)"


async def test_gather_raises_the_first_failure_without_waiting_for_the_rest() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await gather(*naps(ctx, 3))
        except TerminalError as error:
            return error.message
        return None

    one = await both(body, (3, j.Failure(2, "third")))
    assert text(one) == "third"


async def test_a_winner_that_failed_raises_and_the_others_can_still_win() -> None:
    async def body(ctx: CheckoutContext) -> object:
        left, right = naps(ctx, 2)
        try:
            await select(left, right)
        except TerminalError:
            return await right
        return None

    assert text(await both(body, (1, FAILED), (2, value(2)))) == "2"


async def test_named_futures_win_by_name() -> None:
    async def body(ctx: CheckoutContext) -> object:
        left, right = naps(ctx, 2)
        found = await select(paid=left, late=right)
        return found.name, found.value

    assert text(await both(body, (2, value(7)))) == "('late', 7)"


async def test_combinators_nest_and_share_futures() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b, c = naps(ctx, 3)
        return await gather(select(a, b), select(a, c))

    assert text(await both(body, (1, value(1)))) == "((0, 1), (0, 1))"
    assert text(await both(body, (2, value(2)), (3, value(3)))) == "((1, 2), (1, 3))"


async def test_results_that_were_there_before_race_in_the_order_of_the_journal() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b = naps(ctx, 2)
        await gather(a, b)
        return await select(a, b)

    assert text(await both(body, (2, value(2)), (1, value(1)))) == "(1, 2)"


async def test_a_suspension_waits_for_what_is_open_only() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await gather(*naps(ctx, 3))

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(lambda it: len(it.suspensions) == 1)
        await one.signal(2, value(2))
        await one.start()
        await one.until(lambda it: len(it.suspensions) == 2)
    numbers = [[leaf.number for leaf in awaiting.leaves(tree)] for tree in one.suspensions]  # type: ignore[union-attr]
    assert numbers == [[1, 2, 3], [1, 3]]


async def test_nothing_at_all_is_gathered_at_once_and_cannot_be_selected() -> None:
    async def body(ctx: CheckoutContext) -> object:
        with pytest.raises(TypeError, match="at least one future"):
            select()
        mixed = await gather(gather(), ctx.run("a", lambda: 1))
        return mixed, await gather(), await gather(gather()), await select(gather())

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        assert text(await runtime.run(PAY, PayRequest())) == "(((), 1), (), ((),), (0, ()))"


async def test_only_durable_futures_are_taken() -> None:
    async def coroutine() -> None:
        return None

    async def body(ctx: CheckoutContext) -> object:
        plain = coroutine()
        with pytest.raises(TypeError, match=r"gather takes durable futures .* not a coroutine"):
            gather(plain)  # type: ignore[call-overload]
        plain.close()
        with pytest.raises(TypeError, match="not both"):
            select(ctx.awakeable(int), named=ctx.awakeable(int))  # type: ignore[call-overload]
        return "refused"

    async with FakeRuntime(Checkout(body)) as runtime:
        assert text(await runtime.run(PAY, PayRequest())) == "refused"


async def test_a_timeout_is_a_sleep() -> None:
    async def body(ctx: CheckoutContext) -> object:
        found = await select(ctx.awakeable(int), ctx.sleep(timedelta(hours=1)))
        return "late" if found[0] == 1 else found[1]

    def answers(entry: j.Command) -> j.Result | None:
        return j.Void() if isinstance(entry, j.Sleep) else None

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        assert text(await runtime.run(PAY, PayRequest(), answers=answers)) == "late"
