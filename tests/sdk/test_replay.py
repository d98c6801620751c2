"""restate_sdk.testing.replay: whether today's code fits a recorded journal."""

from __future__ import annotations

import pytest
from restate_protocol import codec
from restate_protocol import journal as j
from restate_sdk import TerminalError
from restate_sdk.testing import Ending, Replayed, replay

from .gen.shop.v1.shop_pb import AddRequest, PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CartContext, CheckoutContext
from .handlers import ADD, PAY, Cart, Checkout

INPUT = j.Input(codec.encode(PayRequest()))
OUTPUT = j.Output(j.Value(codec.encode(PayResponse(text="1"))))
DONE = j.Completion(1, j.Value(b"1", j.JSON))


async def one_step(ctx: CheckoutContext) -> object:
    return await ctx.run("step", lambda: pytest.fail("executed"), returns=int)


async def replayed(*entries: j.Entry, body: object = one_step) -> Replayed:
    return await replay(Checkout(body), PAY, [j.encode(entry) for entry in entries])  # type: ignore[arg-type]


async def test_a_finished_journal_gives_its_output() -> None:
    assert await replayed(INPUT, j.Run("step"), DONE, OUTPUT) == Replayed(Ending.OUTPUT, "", OUTPUT.result)


async def test_a_journal_without_its_output_gives_what_the_handler_returns_now() -> None:
    assert await replayed(INPUT, j.Run("step"), DONE) == Replayed(Ending.OUTPUT, "", OUTPUT.result)


async def test_other_steps_are_a_mismatch() -> None:
    found = await replayed(INPUT, j.Run("other"), DONE)
    assert found.ending is Ending.MISMATCH
    assert found.detail.startswith("journal mismatch at command 1: the journal has run 'other', the handler now does")
    assert f"  at {__file__}:" in found.detail
    assert "in one_step\n" in found.detail


async def test_a_new_step_ends_the_replay_and_is_not_executed() -> None:
    assert await replayed(INPUT) == Replayed(Ending.GOES_ON, "run 'step'")


async def test_a_missing_result_ends_the_replay() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await ctx.awakeable(int)

    found = await replayed(INPUT, j.Awakeable(1, j.JSON), body=body)
    assert found == Replayed(Ending.WAITS, "OnAwakeable(number=1)")


async def test_an_unfinished_run_is_not_executed() -> None:
    found = await replayed(INPUT, j.Run("step"))
    assert found == Replayed(Ending.WAITS, "OnCommand(command=1)")


async def test_errors_are_told() -> None:
    async def raises(_: CheckoutContext) -> object:
        raise ValueError("boom")

    async def refuses(_: CheckoutContext) -> object:
        raise TerminalError("no")

    assert await replayed(INPUT, body=raises) == Replayed(Ending.FAILED, "ValueError: boom")
    assert await replayed(INPUT, body=refuses) == Replayed(Ending.OUTPUT, "", j.Failure(2, "no"))


async def test_key_and_state_are_given() -> None:
    async def body(ctx: CartContext) -> list[str]:
        return [str(ctx.key), str(await ctx.state.total.get())]

    entries = [j.encode(j.Input(codec.encode(AddRequest(cart_id=7))))]
    found = await replay(Cart(add=body), ADD, entries, key="7", state={2: b"\x10\x05"})
    assert found == Replayed(Ending.GOES_ON, "get_state of field 2")


async def test_an_unknown_handler_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"Checkout does not implement shop\.v1\.Checkout/Refund"):
        await replay(Checkout(one_step), "shop.v1.Checkout/Refund", [])
