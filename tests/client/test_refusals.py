"""What a real runtime refuses, as the client tells it: the same over a session, call by call, and blocking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
import restate_client
from restate_client import IngressError, StatusCode, sync
from restate_client.stub import Method
from restate_protocol import ids
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_runtime.testing import Environment, environment

from tests.runtime.testing.shop import (
    AddRequest,
    AddResponse,
    Cart,
    CartClient,
    Endpoint,
    Order,
    OrderClient,
    OrderRequest,
)

Do: TypeAlias = Callable[[Callable[[Any], Any]], Awaitable[Any]]

# What they give depends on the caller, which is of any kind here.
Carts: Any = CartClient
Orders: Any = OrderClient

NOBODY = ids.invocation_id_text(bytes(16))
AWAKEABLE = ids.awakeable_id_text(bytes(16), 1)
SECOND = timedelta(milliseconds=200)


def unknown(service: str, name: str) -> Callable[[Any], Any]:
    """Calls an rpc that nobody serves."""
    handler = HandlerDescriptor(service, name, "rpc", HandlerMode.SERVICE, AddRequest, AddResponse)
    return lambda on: Method(on, handler)(AddRequest(cart_id=1))


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is refused."""

    ask: Callable[[Any], Any]
    cls: type[IngressError]
    code: StatusCode
    reason: str
    message: str


CASES = {
    "a service that is not there": Case(
        unknown("shop.v1.Kart", "Add"),
        restate_client.UnknownHandler, StatusCode.UNIMPLEMENTED, "unknown_service", "did you mean shop.v1.Cart",
    ),
    "a method that is not there": Case(
        unknown("shop.v1.Cart", "Ad"),
        restate_client.UnknownHandler, StatusCode.UNIMPLEMENTED, "unknown_handler", "has no method Ad",
    ),
    "a missing key": Case(
        lambda on: Orders(on).run(OrderRequest()),
        restate_client.InvalidRequest, StatusCode.INVALID_ARGUMENT, "missing_key", "order_id",
    ),
    "a key that is too long": Case(
        lambda on: Orders(on).run(OrderRequest(order_id="x" * 5000)),
        restate_client.InvalidRequest, StatusCode.INVALID_ARGUMENT, "key_too_long", "4096",
    ),
    "a run that was started": Case(
        lambda on: Orders(on).run(OrderRequest(order_id="started")),
        restate_client.WorkflowAlreadyStarted, StatusCode.ALREADY_EXISTS, "already_started", "started",
    ),
    "an invocation that is not there": Case(
        lambda on: Carts(on).add.handle(NOBODY).attach(),
        restate_client.InvocationNotFound, StatusCode.NOT_FOUND, "not_found", NOBODY,
    ),
    "a target that is not there": Case(
        lambda on: Carts(on).add.handle(key=1, idempotency_key="nobody").output(),
        restate_client.InvocationNotFound, StatusCode.NOT_FOUND, "not_found", "inv_",
    ),
    "cancelling what is not there": Case(
        lambda on: on.cancel(NOBODY),
        restate_client.InvocationNotFound, StatusCode.NOT_FOUND, "not_found", NOBODY,
    ),
    "signalling what is over": Case(
        lambda on: Carts(on).add.handle(key=1, idempotency_key="over").signal("go"),
        restate_client.AlreadyCompleted, StatusCode.FAILED_PRECONDITION, "already_completed", "inv_",
    ),
    "an awakeable that is not there": Case(
        lambda on: on.resolve_awakeable(AWAKEABLE, 1),
        restate_client.InvocationNotFound, StatusCode.NOT_FOUND, "not_found", AWAKEABLE,
    ),
    "a result that does not come": Case(
        lambda on: Orders(on).run.handle(key="started").attach(timeout=SECOND),
        restate_client.CallTimeout, StatusCode.DEADLINE_EXCEEDED, "", "within the timeout",
    ),
    "a request over the connection's limit": Case(
        lambda on: Orders(on).run(OrderRequest(order_id="x" * 70_000)),
        restate_client.MessageTooLong, StatusCode.RESOURCE_EXHAUSTED, "", "limit is 66000: .*max_request_bytes",
    ),
}  # fmt: skip


async def add(ctx: Any) -> list[str]:
    return [f"cart {ctx.key}"]


async def run(ctx: Any) -> str:
    return str(await ctx.signal("never", str))


@pytest.fixture
async def env() -> AsyncIterator[Environment]:
    """A runtime with sockets: one workflow goes on, one invocation is over."""
    async with environment(Endpoint(Cart(add), Order(run=run)), sockets=True, skip_time=False) as made:
        await Orders(made.connection).run.send(OrderRequest(order_id="started"))
        await Carts(made.connection).add(AddRequest(cart_id=1), idempotency_key="over")
        yield made


@pytest.fixture(params=["session", "unary", "threads"])
async def do(request: pytest.FixtureRequest, env: Environment) -> AsyncIterator[Do]:
    """Does something with a connection of each kind."""
    if request.param == "threads":
        with sync.connect(env.address, max_request_bytes=66_000) as blocking:
            yield lambda work: asyncio.to_thread(work, blocking)
        return
    session = request.param == "session"
    async with restate_client.connect(env.address, session=session, max_request_bytes=66_000) as connection:

        async def awaited(work: Callable[[Any], Any]) -> Any:
            return await work(connection)

        yield awaited


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_each_refusal_has_its_class_code_reason_and_words(do: Do, case: Case) -> None:
    with pytest.raises(IngressError, match=case.message) as caught:
        await do(case.ask)
    error = caught.value
    assert (type(error), error.code, error.reason) == (case.cls, case.code, case.reason)
    assert error.tries == 1


async def test_the_key_of_another_request_names_the_invocation_that_has_it(do: Do) -> None:
    known = await do(lambda on: Carts(on).add.handle(key=1, idempotency_key="over").lookup())
    with pytest.raises(restate_client.IdempotencyKeyReused) as caught:
        await do(lambda on: Carts(on).add(AddRequest(cart_id=1, item="other"), idempotency_key="over"))
    assert (caught.value.invocation_id, caught.value.code) == (known.invocation_id, StatusCode.ALREADY_EXISTS)


async def test_a_run_that_was_started_names_its_invocation(do: Do) -> None:
    known = await do(lambda on: Orders(on).run.handle(key="started").lookup())
    with pytest.raises(restate_client.WorkflowAlreadyStarted) as caught:
        await do(lambda on: Orders(on).run(OrderRequest(order_id="started")))
    assert caught.value.invocation_id == known.invocation_id


async def test_what_goes_well_goes_well_every_way(do: Do, env: Environment) -> None:
    assert list((await do(lambda on: Carts(on).add(AddRequest(cart_id=2)))).items) == ["cart 2"]
    found = await do(lambda on: Carts(on).add.handle(key=1, idempotency_key="over").lookup())
    assert (found.handler, found.key, found.completed) == ("Add", "1", True)
    assert await do(lambda on: on.lookup(found.invocation_id)) == found
    sent = await do(lambda on: Carts(on).add.send(AddRequest(cart_id=3), delay=timedelta(hours=1)))
    assert await do(lambda on: Carts(on).add.handle(sent.invocation_id).output()) is None
    await env.advance(timedelta(hours=1))
    assert list((await do(lambda on: Carts(on).add.handle(sent.invocation_id).attach())).items) == ["cart 3"]
