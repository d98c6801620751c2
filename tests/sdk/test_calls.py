"""Calls, sends and attaching: what is journaled for a generated client, and what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import codec, ids
from restate_protocol import journal as j
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import StatusCode, TerminalError

from .gen.shop.v1.shop_pb import AddRequest, AddResponse, OrderRequest, OrderResponse, PayRequest, PayResponse, SoldOut
from .gen.shop.v1.shop_restate import CartClient, CheckoutClient, CheckoutContext, OrderClient, SoldOutError
from .handlers import PAY, Checkout
from .runtime import INVOCATION_ID, NOW_MS, FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]


async def pay(body: Body, result: j.Result) -> Invocation:
    """An invocation whose calls and attachments all get this result, suspended at each wait."""

    def answers(entry: j.Command) -> j.Result | None:
        return result if isinstance(entry, j.Call | j.Attach) else None

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        return await runtime.run(PAY, PayRequest(), answers=answers)


async def test_a_call_journals_the_target_the_key_and_a_derived_id() -> None:
    async def body(ctx: CheckoutContext) -> object:
        response = await CartClient(ctx).add(
            AddRequest(cart_id=7, item="shoe"), headers={"X-Trace": "a", "x-b-bin": b"\x00"}
        )
        return response.items

    one = await pay(body, j.Value(codec.encode(AddResponse(items=["shoe"]))))
    assert one.result(PayResponse).text == "['shoe']"
    assert one.commands[1] == j.Call(
        "shop.v1.Cart",
        "Add",
        "7",
        codec.encode(AddRequest(cart_id=7, item="shoe")),
        ids.child_invocation_id(INVOCATION_ID, 1),
        "",
        (("x-b-bin", b"\x00"), ("x-trace", b"a")),
    )


async def test_an_idempotency_key_makes_the_id_and_may_come_from_the_request() -> None:
    async def body(ctx: CheckoutContext) -> None:
        await CartClient(ctx).add(AddRequest(cart_id=7), idempotency_key="given")
        await CartClient(ctx).add(AddRequest(cart_id=7, request_id="field"))
        await CartClient(ctx).add(AddRequest(cart_id=7, request_id="field"), idempotency_key="given")

    one = await pay(body, j.Value(b""))
    calls = [entry for entry in one.commands if isinstance(entry, j.Call)]
    assert [call.idempotency_key for call in calls] == ["given", "field", "given"]
    assert calls[0].invocation_id == ids.idempotent_invocation_id("shop.v1.Cart", "Add", "7", "given")


async def test_a_workflow_has_the_id_of_its_key() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await OrderClient(ctx).run.send(OrderRequest(order_id="o1"))

    one = await pay(body, j.Void())
    (send,) = [entry for entry in one.commands if isinstance(entry, j.Send)]
    assert send.invocation_id == ids.workflow_invocation_id("shop.v1.Order", "o1")


async def test_a_send_gives_a_handle_at_once_and_a_delay_counts_from_now() -> None:
    async def body(ctx: CheckoutContext) -> object:
        handle = await CartClient(ctx).add.send(AddRequest(cart_id=7), delay=timedelta(seconds=90))
        return handle.invocation_id

    one = await pay(body, j.Void())
    assert one.suspensions == []
    send = one.commands[1]
    assert isinstance(send, j.Send)
    assert send.execute_at_ms == NOW_MS + 90_000
    assert one.result(PayResponse).text == ids.invocation_id_text(send.invocation_id)


async def test_a_declared_error_is_raised_as_its_class() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await CartClient(ctx).add(AddRequest(cart_id=7))
        except SoldOutError as error:
            return (error.detail.item, error.code.name, error.message, error.metadata)
        return None

    failure = j.Failure(9, "sold out", "shop.v1.SoldOut", codec.encode(SoldOut(item="shoe")), (("a", "b"),))
    one = await pay(body, failure)
    assert one.result(PayResponse).text == "('shoe', 'FAILED_PRECONDITION', 'sold out', {'a': 'b'})"


async def test_an_error_that_the_callee_does_not_declare_is_plain() -> None:
    async def body(ctx: CheckoutContext) -> object:
        try:
            await OrderClient(ctx).run(OrderRequest(order_id="a"))
        except TerminalError as error:
            return type(error).__name__, error.code.name
        return None

    one = await pay(body, j.Failure(9, "no", "shop.v1.SoldOut", b""))
    assert one.result(PayResponse).text == "('TerminalError', 'FAILED_PRECONDITION')"


async def test_an_error_whose_detail_cannot_be_read_is_plain() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await CartClient(ctx).add(AddRequest(cart_id=7))

    one = await pay(body, j.Failure(9, "sold out", "shop.v1.SoldOut", b"\xff"))
    assert one.failure == j.Failure(9, "sold out")


async def test_an_error_that_nobody_catches_fails_the_caller_with_its_detail() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await CartClient(ctx).add(AddRequest(cart_id=7))

    failure = j.Failure(9, "sold out", "shop.v1.SoldOut", codec.encode(SoldOut(item="shoe")), (("a", "b"),))
    assert (await pay(body, failure)).failure == failure


async def test_a_response_of_another_kind_is_a_terminal_error() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await CheckoutClient(ctx).pay(PayRequest())

    assert "response of shop.v1.Checkout/Pay is not" in (await pay(body, j.Value(b"\xff\xff"))).failure.message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda ctx: OrderClient(ctx).run(OrderRequest()), "needs a key: set order_id"),
        (lambda ctx: OrderClient(ctx).run(OrderRequest(order_id="a"), idempotency_key="k"), "takes no idempotency key"),
        (lambda ctx: CheckoutClient(ctx).pay(PayRequest(), idempotency_key=""), "cannot be empty"),
    ],
)
async def test_a_call_that_cannot_be_right_is_refused_before_it_is_journaled(body: Body, says: str) -> None:
    one = await pay(body, j.Void())
    assert one.failure.code == StatusCode.INVALID_ARGUMENT
    assert says in one.failure.message
    assert len(one.commands) == 2


async def test_a_request_over_the_limit_is_refused_before_it_is_journaled() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await CheckoutClient(ctx).pay(PayRequest(text="x" * 100))

    async with FakeRuntime(Checkout(body), max_value_bytes=64) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert "the request of shop.v1.Checkout/Pay has 102 bytes, and a value may have 64" in one.failure.message


async def test_attaching_gives_the_response_typed_by_the_handle_or_by_the_caller() -> None:
    async def body(ctx: CheckoutContext) -> object:
        handle = await CheckoutClient(ctx).pay.send(PayRequest())
        typed = await ctx.attach(handle)
        named = await ctx.attach(handle.invocation_id, returns=PayResponse)
        raw = await ctx.attach(handle.invocation_id)
        return typed.text, named.text, raw

    data = codec.encode(PayResponse(text="x"))
    one = await pay(body, j.Value(data))
    assert one.result(PayResponse).text == str(("x", "x", data))
    sent = one.commands[1]
    assert isinstance(sent, j.Send)
    assert one.commands[2] == j.Attach(sent.invocation_id)


async def test_attaching_to_no_id_is_an_error_that_names_it() -> None:
    async def body(ctx: CheckoutContext) -> object:
        with pytest.raises(IdError, match="nonsense"):
            ctx.attach("nonsense")
        return "refused"

    assert (await pay(body, j.Void())).result(PayResponse).text == "refused"


async def test_maps_and_nan_compare_by_value_on_replay() -> None:
    orders = [{"a": 1.0, "b": float("nan")}, {"b": float("nan"), "a": 1.0}]

    async def body(ctx: CheckoutContext) -> object:
        response = await CheckoutClient(ctx).pay(PayRequest(prices=orders[0]))
        return response.text

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(1)
        orders.reverse()
        await one.start()
        await one.complete(1, j.Value(codec.encode(PayResponse(text="same"))))
        await one.ended()
    assert one.result(PayResponse).text == "same"


async def test_another_payload_on_replay_is_a_mismatch_that_shows_the_field() -> None:
    numbers = [1, 2]

    async def body(ctx: CheckoutContext) -> object:
        return await CheckoutClient(ctx).pay(PayRequest(number=numbers.pop(0), text="same"))

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(1)
        await one.start()
        await one.ended()
    (failed,) = one.failures
    assert failed.failure is not None
    differences = [line.split() for line in failed.failure.message.splitlines() if line.startswith("  * ")]
    assert differences == [["*", "payload.number", '"1"', '"2"']]
    assert "call shop.v1.Checkout/Pay" in failed.failure.message


async def test_the_response_type_is_checked() -> None:
    class Wrong(Checkout):
        async def pay(self, ctx: CheckoutContext, request: PayRequest, /) -> PayResponse:
            return OrderResponse()  # type: ignore[return-value]

    async with FakeRuntime(Wrong(lambda _: pytest.fail("unused"))) as runtime:
        (failed,) = (await runtime.run(PAY, PayRequest())).failures
    assert failed.failure is not None
    assert "must return a PayResponse, and returned OrderResponse" in failed.failure.message
    assert failed.behavior == pb.Failed.Behavior.PAUSE
