"""Handlers that changed: the report of a mismatch decodes messages, and says where in the user's code it came to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from restate_protocol import codec, ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import TerminalError

from .gen.shop.v1.shop_pb import AddRequest, PayRequest
from .gen.shop.v1.shop_restate import CartClient, CheckoutContext
from .handlers import PAY, Checkout
from .runtime import INVOCATION_ID, FakeRuntime

CHILD = ids.child_invocation_id(INVOCATION_ID, 1)
ADD_SHOE = j.Call("shop.v1.Cart", "Add", "7", codec.encode(AddRequest(cart_id=7, item="shoe")), CHILD)
Body = Callable[[CheckoutContext], Any]


async def report(body: Body, *entries: j.Entry) -> str:
    """What the invocation is paused with."""
    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest(), first=False)
        await one.start([one.entries[0], *(j.encode(entry) for entry in entries)])
        await one.until(lambda it: bool(it.failures) or it.output is not None)
    assert one.output is None
    (failed,) = one.failures
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure is not None
    return failed.failure.message


def line_of(function: Any, text: str) -> int:
    """Number of the line of a function that holds a text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


async def adds_a_hat(ctx: CheckoutContext) -> None:
    await CartClient(ctx).add(AddRequest(cart_id=7, item="hat"))


async def test_a_message_is_shown_in_the_fields_that_differ_with_the_lines_that_made_it() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await adds_a_hat(ctx)

    lines = (await report(body, ADD_SHOE)).splitlines()
    assert lines[1:3] == [
        f"  at {__file__}:{line_of(adds_a_hat, 'item=')}, in adds_a_hat",
        f"  called at {__file__}:{line_of(body, 'adds_a_hat')}, in body",
    ]
    assert lines[0] == (
        "journal mismatch at command 1: the journal has call shop.v1.Cart/Add, the handler now does the same but for"
        ' payload.item: "hat" instead of "shoe"'
    )
    shown = [line.split() for line in lines if line.startswith("  * ")]
    assert shown == [["*", "payload.item", '"shoe"', '"hat"']]


async def test_an_await_that_was_added_names_the_line_that_waits() -> None:
    async def body(ctx: CheckoutContext) -> None:
        waits = ctx.awakeable(int)
        await waits
        await ctx.run("after", lambda: None)

    text = await report(body, j.Awakeable(1, j.JSON), j.Run("after"))
    assert f"at {__file__}:{line_of(body, 'await waits')}, in body" in text
    assert text.splitlines()[0] == (
        "journal mismatch at command 2: an await was added: the handler now has a wait for awakeable 1, and the journal"
        " has no result for it at this point, although later commands are recorded (the next is run 'after')"
    )
    assert "with --entries 1 only the input is kept: entry 1, awakeable 1, has no result" in text


async def test_an_await_of_a_run_that_was_added_does_not_execute_its_function() -> None:
    executed: list[int] = []

    async def body(ctx: CheckoutContext) -> None:
        await ctx.run("first", lambda: executed.append(1))
        await ctx.run("after", lambda: None)

    text = await report(body, j.Run("first"), j.Run("after"))
    assert "a wait for command 1" in text
    assert executed == []


@pytest.mark.parametrize("fails", [False, True])
async def test_a_handler_that_ended_names_its_definition(fails: bool) -> None:
    async def body(_: CheckoutContext) -> None:
        if fails:
            raise TerminalError("no")

    text = await report(body, j.Run("step"))
    assert "(the end of the handler, failed: 'no')" in text if fails else "(the end of the handler, succeeded)" in text
    path = inspect.getfile(Checkout)
    assert f"  after the end of Checkout.pay, at {path}:{line_of(Checkout.pay, 'def pay')}" in text.splitlines()


async def test_a_swallowed_mismatch_stays_one() -> None:
    async def body(ctx: CheckoutContext) -> None:
        for _ in range(2):
            try:
                await ctx.run("other", lambda: None)
            except BaseException:
                continue

    assert "run 'other'" in await report(body, j.Run("step"))
