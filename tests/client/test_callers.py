"""The same generated client class in a handler and on a connection: one suite, both callers.

The runtime is the testing environment's, so a handler is a real one, and its calls are journaled and replayed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from restate_client import StatusCode, TerminalError, TypedError
from restate_protocol import ids
from restate_runtime.testing import Overrides, environment

from tests.runtime.testing.shop import (
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
from tests.sdk.gen.shop.v1.shop_pb import SoldOut
from tests.sdk.gen.shop.v1.shop_restate import SoldOutError

Program: TypeAlias = Callable[[Any], Awaitable[object]]


async def add(ctx: Any) -> list[str]:
    if ctx.key == 13:
        raise SoldOutError(SoldOut(item="bread"), code=StatusCode.ABORTED)
    items = [*(await ctx.state.items.get()), "book"]
    ctx.state.items.set(items)
    return items


async def look(ctx: Any) -> list[str]:
    return list(await ctx.state.items.get())


async def run(ctx: Any) -> str:
    try:
        return f"{ctx.key}: {await ctx.signal('word', str)}"
    except TerminalError as error:
        if error.code is StatusCode.CANCELLED:
            raise
        return f"refused: {error.message}"


async def _connection(program: Program, endpoint: Callable[[Checkout], Endpoint], **options: Any) -> object:
    async def unused(ctx: Any) -> str:
        raise AssertionError("nobody calls this")

    async with environment(endpoint(Checkout(unused)), **options) as env:
        return await program(env.connection)


async def _handler(program: Program, endpoint: Callable[[Checkout], Endpoint], **options: Any) -> object:
    results: list[object] = []

    async def body(ctx: Any) -> str:
        results.append(await program(ctx))
        return "done"

    async with environment(endpoint(Checkout(body)), **options) as env:
        assert (await CheckoutClient(env.connection).pay(PayRequest())).text == "done"
    return results[-1]


_CALLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a connection": (_connection, {}),
    "a connection over a socket": (_connection, {"sockets": True}),
    "a handler": (_handler, {}),
    "a handler that always replays": (_handler, {"overrides": Overrides(inactivity_timeout=timedelta())}),
}


@pytest.fixture(params=list(_CALLERS))
def result_of(request: pytest.FixtureRequest) -> Callable[[Program], Awaitable[object]]:
    """Runs a program with a caller, beside the services of the shop."""
    perform, options = _CALLERS[request.param]

    def endpoint(checkout: Checkout) -> Endpoint:
        return Endpoint(checkout, Cart(add, look), Order(run=run))

    return lambda program: perform(program, endpoint, **options)


async def test_calls_have_results(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        await CartClient(caller).add(AddRequest(cart_id=7))
        return list((await CartClient(caller).look(LookRequest(cart_id=7))).items)

    assert await result_of(program) == ["book"]


async def test_what_the_handler_raises_is_the_generated_class(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        try:
            await CartClient(caller).add(AddRequest(cart_id=13))
        except SoldOutError as error:
            return type(error), error.detail.item, error.code
        return None

    assert await result_of(program) == (SoldOutError, "bread", StatusCode.ABORTED)
    assert issubclass(SoldOutError, TypedError)


async def test_calls_with_one_idempotency_key_are_one(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        cart = CartClient(caller)
        for _ in range(3):
            await cart.add(AddRequest(cart_id=7), idempotency_key="42")
            await cart.add(AddRequest(cart_id=7, request_id="43"))
        return list((await cart.look(LookRequest(cart_id=7))).items)

    assert await result_of(program) == ["book", "book"]


async def test_a_send_gives_a_handle_to_the_result(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        handle = await CartClient(caller).add.send(AddRequest(cart_id=7), delay=timedelta(minutes=5))
        ids.parse_invocation_id(handle.invocation_id)
        return list((await handle.attach()).items)

    assert await result_of(program) == ["book"]


async def test_an_invocation_is_attached_to_by_its_id(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        sent = await CartClient(caller).add.send(AddRequest(cart_id=7))
        handle = CartClient(caller).add.handle(sent.invocation_id)
        return list((await handle.attach()).items)

    assert await result_of(program) == ["book"]


async def test_an_invocation_is_attached_to_by_its_keys_and_raises_its_error(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        await CartClient(caller).add.send(AddRequest(cart_id=13), idempotency_key="1")
        try:
            await CartClient(caller).add.handle(key=13, idempotency_key="1").attach()
        except SoldOutError as error:
            return error.detail.item
        return None

    assert await result_of(program) == "bread"


async def test_a_workflow_is_signalled_and_attached_to_by_its_key(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        await OrderClient(caller).run.send(OrderRequest(order_id="a"))
        handle = OrderClient(caller).run.handle(key="a")
        await handle.signal("word", "yes")
        return (await handle.attach()).text

    assert await result_of(program) == "a: yes"


async def test_a_signal_can_be_a_failure(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        handle = await OrderClient(caller).run.send(OrderRequest(order_id="a"))
        await handle.reject_signal("word", "no")
        return (await handle.attach()).text

    assert await result_of(program) == "refused: no"


async def test_a_workflow_is_cancelled_by_its_key(result_of: Any) -> None:
    async def program(caller: Any) -> object:
        await OrderClient(caller).run.send(OrderRequest(order_id="a"))
        handle = OrderClient(caller).run.handle(key="a")
        await handle.cancel()
        try:
            await handle.attach()
        except TerminalError as error:
            return error.code
        return None

    assert await result_of(program) is StatusCode.CANCELLED


def _handle_with_too_much(method: Any) -> object:
    """Type checkers refuse it too."""
    return method.handle("inv_1", key=7)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda caller: CartClient(caller).add.handle(), "has a key, cart_id: give key="),
        (lambda caller: CartClient(caller).add.handle(key=7), "by its id or by its idempotency key"),
        (lambda caller: CheckoutClient(caller).pay.handle(key="a"), "has no key: leave key= out"),
        (lambda caller: OrderClient(caller).run.handle(key="a", idempotency_key="1"), "leave idempotency_key= out"),
        (lambda caller: CartClient(caller).add.handle(key=7, idempotency_key=""), "is empty"),
        (lambda caller: CartClient(caller).add.handle("awk_1"), "not an invocation id"),
        (lambda caller: _handle_with_too_much(CartClient(caller).add), "by itself: leave key="),
    ],
)
async def test_what_names_no_invocation_is_refused_at_once(
    result_of: Any, make: Callable[[Any], object], problem: str
) -> None:
    async def program(caller: Any) -> object:
        try:
            make(caller)
        except ValueError as error:
            return str(error)
        return None

    assert problem in str(await result_of(program))
