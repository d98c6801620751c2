"""Cancellation in handlers: the wait that meets it raises, cleanup works, every attempt sees it at the same place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_sdk import DurableFuture, StatusCode, TerminalError, as_completed, first_success, gather, race, select
from restate_sdk import timeout as durable_timeout

from .gen.shop.v1.shop_pb import AddRequest, OrderRequest, PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CartClient, CheckoutClient, CheckoutContext, OrderContext
from .handlers import PAY, RUN, Checkout, Order
from .prefixes import replays_from_every_prefix
from .runtime import FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]
DAY = timedelta(days=1)
OTHER = ids.invocation_id_text(bytes(16))


def blocked(commands: int, suspensions: int) -> Callable[[Invocation], bool]:
    """Whether the handler has made its commands and, where it always suspends, is suspended."""
    return lambda one: len(one.commands) > commands and len(one.suspensions) >= suspensions


async def cancelled(body: Body, *, commands: int = 1, times: int = 1, resident: bool = True) -> Invocation:
    """An invocation that is cancelled once it has made that many commands."""
    async with FakeRuntime(Checkout(body), inactivity_ms=60_000 if resident else 0) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(blocked(commands, 0 if resident else 1))
        for _ in range(times):
            await one.cancel()
        await one.ended()
    assert one.failures == []
    return one


async def everywhere(body: Body, *, commands: int = 1, times: int = 1) -> Invocation:
    """Resident, suspended, and from every prefix of its journal: the same."""
    stays = await cancelled(body, commands=commands, times=times)
    suspends = await cancelled(body, commands=commands, times=times, resident=False)
    assert stays.output == suspends.output
    for one in (stays, suspends):
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)
    return suspends


async def five() -> int:
    return 5


def text(one: Invocation) -> str:
    found: str = one.result(PayResponse).text
    return found


OPERATIONS: dict[str, Callable[[CheckoutContext], DurableFuture[Any]]] = {
    "call": lambda ctx: CheckoutClient(ctx).pay(PayRequest()),
    "sleep": lambda ctx: ctx.sleep(DAY),
    "awakeable": lambda ctx: ctx.awakeable(int),
    "attach": lambda ctx: ctx.attach(OTHER),
    "timeout": lambda ctx: durable_timeout(ctx.awakeable(int), DAY),
    "gather": lambda ctx: gather(ctx.sleep(DAY), ctx.awakeable(int)),
    "all outcomes": lambda ctx: gather(ctx.sleep(DAY), ctx.awakeable(int), return_exceptions=True),
    "select": lambda ctx: select(ctx.sleep(DAY), ctx.awakeable(int)),
    "race": lambda ctx: race(ctx.sleep(DAY), ctx.awakeable(int)),
    "first success": lambda ctx: first_success(ctx.sleep(DAY), ctx.awakeable(int)),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_any_wait_raises_and_an_uncaught_cancellation_is_the_output(
    operation: Callable[[CheckoutContext], DurableFuture[Any]],
) -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await operation(ctx)

    one = await everywhere(body)
    assert one.failure == j.Failure(StatusCode.CANCELLED, "enough")


async def test_a_signal_is_no_command_and_its_wait_raises_too() -> None:
    async def body(ctx: CheckoutContext) -> object:
        await ctx.run("first", lambda: 1)
        return await ctx.signal("go", str)

    one = await everywhere(body)
    assert one.failure.code == StatusCode.CANCELLED


async def test_a_wait_for_a_promise_raises() -> None:
    async def body(ctx: OrderContext) -> object:
        return await ctx.promises.approved

    async with FakeRuntime(Order(body), inactivity_ms=0) as runtime:
        one = await runtime.invoke(RUN, OrderRequest(), key="a")
        await one.until(blocked(1, 1))
        await one.cancel()
        await one.ended()
    assert one.failure.code == StatusCode.CANCELLED


async def test_iterating_over_what_completes_is_cancelled_and_goes_on() -> None:
    async def body(ctx: CheckoutContext) -> object:
        a, b = ctx.awakeable(int), ctx.run("step", five)
        await b
        found: list[object] = []
        both = as_completed(a, b)
        while len(found) < 2:
            try:
                found.append(await anext(both))
            except TerminalError as error:
                found.append(error.code.name)
        return found

    one = await everywhere(body, commands=2)
    assert text(one) == "[(1, 5), 'CANCELLED']"


async def test_cleanup_code_awaits_as_ever() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await ctx.sleep(DAY)
        except TerminalError as error:
            undone = await ctx.run("undo", lambda: "undone")
            return f"{error.code.name} {undone}"
        return None

    assert text(await everywhere(body)) == "CANCELLED undone"


async def test_a_second_cancellation_interrupts_the_cleanup() -> None:
    async def body(ctx: CheckoutContext) -> object:
        told: list[str] = []
        for _ in range(2):
            try:
                await ctx.sleep(DAY)
            except TerminalError as error:
                told.append(error.code.name)
        return told

    assert text(await everywhere(body, times=2)) == "['CANCELLED', 'CANCELLED']"


async def test_a_handler_that_waits_for_nothing_ends_as_ever() -> None:
    async def body(ctx: CheckoutContext) -> object:
        await ctx.run("a", lambda: 1)
        return "done"

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        one.hold_acks = True
        await one.has_commands(1)
        await one.release_acks()
        await one.ended()
        await one.cancel()
    assert text(one) == "done"


async def test_a_cancellation_that_was_there_before_the_first_attempt_ends_the_first_wait() -> None:
    async def body(ctx: CheckoutContext) -> object:
        await ctx.sleep(DAY)
        return None

    entries = [j.encode(j.Input(b"")), j.encode(j.Cancelled(StatusCode.CANCELLED, "early"))]
    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.start(entries)
        await one.ended()
    assert one.failure.message == "early"


async def test_open_calls_are_cancelled_and_sends_are_not() -> None:
    async def body(ctx: CheckoutContext) -> object:
        first, second = CheckoutClient(ctx).pay(PayRequest()), CartClient(ctx).add(AddRequest(cart_id=1))
        await CheckoutClient(ctx).pay.send(PayRequest())
        try:
            await gather(first, second)
        except TerminalError:
            return [first.invocation_id, second.invocation_id]
        return None

    one = await everywhere(body, commands=3)
    told = [ids.invocation_id_text(entry.invocation_id) for entry in one.commands if isinstance(entry, j.Cancel)]
    assert text(one) == str(told)
    assert len(told) == 2


async def test_the_caller_can_wait_for_how_a_cancelled_call_ends() -> None:
    async def body(ctx: CheckoutContext) -> object:
        call = CheckoutClient(ctx).pay(PayRequest())
        try:
            await call
        except TerminalError:
            return (await gather(call, return_exceptions=True))[0]
        return None

    def answers(entry: j.Command) -> j.Result | None:
        return None

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.invoke(PAY, PayRequest(), answers=answers)
        await one.until(blocked(1, 1))
        await one.cancel()
        await one.until(lambda it: any(isinstance(entry, j.Cancel) for entry in it.commands))
        await one.complete(1, j.Failure(1, "the callee cleaned up"))
        await one.ended()
    assert "the callee cleaned up" in text(one)


class TestRuns:
    @pytest.mark.parametrize("gathered", [False, True])
    async def test_a_coroutine_function_that_is_awaited_is_cancelled(self, gathered: bool) -> None:
        told: list[str] = []
        begun = asyncio.Event()

        async def step() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise

        async def body(ctx: CheckoutContext) -> object:
            run = ctx.run("step", step)
            try:
                await (gather(run, ctx.awakeable(int)) if gathered else run)
            except TerminalError as error:
                with pytest.raises(TerminalError, match="enough"):
                    await run
                return f"{error.code.name} {await ctx.run('undo', lambda: 'undone')}"
            return None

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await begun.wait()
            await one.cancel()
            await one.ended()
        assert one.failures == []
        assert told == ["cancelled"]
        assert text(one) == "CANCELLED undone"
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)

    async def test_what_a_function_that_swallows_its_cancellation_returns_is_no_result(self) -> None:
        begun, end = asyncio.Event(), asyncio.Event()

        async def deaf() -> int:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await end.wait()
            return 5

        async def body(ctx: CheckoutContext) -> object:
            run = ctx.run("deaf", deaf)
            try:
                await run
            except TerminalError as error:
                task = asyncio.current_task()
                assert task is not None
                assert not task.cancelling()
                return error.code.name
            return None

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await begun.wait()
            await one.cancel()
            end.set()
            await one.ended()
        assert text(one) == "CANCELLED"
        ended = j.Completion(1, j.Failure(StatusCode.CANCELLED, "enough"))
        assert one.notifications == [j.Cancelled(StatusCode.CANCELLED, "enough"), ended]

    async def test_a_plain_function_goes_on_in_its_thread_and_nobody_looks(self) -> None:
        begun, end = threading.Event(), threading.Event()

        def slow() -> int:
            begun.set()
            end.wait()
            return 5

        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("slow", slow)
            except TerminalError as error:
                return error.code.name
            return None

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await asyncio.to_thread(begun.wait)
            await one.cancel()
            await one.ended()
            end.set()
        assert text(one) == "CANCELLED"

    async def test_a_run_that_nobody_awaits_goes_on(self) -> None:
        begun, end = asyncio.Event(), asyncio.Event()

        async def step() -> str:
            begun.set()
            await end.wait()
            return "done"

        async def body(ctx: CheckoutContext) -> object:
            run = ctx.run("step", step)
            try:
                await ctx.sleep(DAY)
            except TerminalError:
                end.set()
                return await run
            return None

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await begun.wait()
            await one.cancel()
            await one.ended()
        assert text(one) == "done"
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)

    async def test_a_later_attempt_does_not_execute_what_was_cancelled(self) -> None:
        executed: list[str] = []

        async def step() -> None:
            executed.append("step")

        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("step", step)
            except TerminalError as error:
                return f"{error.code.name} {await ctx.run('undo', lambda: 'undone')}"
            return None

        entries = [j.encode(one) for one in (j.Input(b""), j.Run("step"), j.Cancelled(StatusCode.CANCELLED, "enough"))]
        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.ended()
            one.output = None
            executed.clear()
            await one.start(entries)
            await one.ended()
        assert text(one) == "CANCELLED undone"
        assert executed == []
