"""Blocking connections do what asynchronous ones do. They run in threads here, beside the fake ingress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import Int32Value, StringValue
from restate_client import SendStatus, TypedError, sync
from restate_protocol import ids
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"
INGRESS = "/restate.ingress.v1.Ingress/"
INVOCATION = ids.invocation_id_text(bytes(16))


@pytest.fixture
def connection(ingress: FakeIngress) -> Iterator[sync.BlockingConnection]:
    with sync.connect(ingress.address, headers={"x-default": "1"}) as opened:
        yield opened


@pytest.fixture
def echo(connection: sync.BlockingConnection, echo_client: Any) -> Any:
    return echo_client(connection)


async def accept(incoming: Incoming) -> bytes:
    await incoming.accepted(INVOCATION)
    return b""


async def test_a_blocking_call_gives_the_response(ingress: FakeIngress, echo: Any) -> None:
    reply = await asyncio.to_thread(echo.say, StringValue(value="hi"), idempotency_key="1", headers={"x-a": "b"})
    assert reply == StringValue(value="hi")
    metadata = ingress.calls[0].metadata
    assert (metadata["idempotency-key"], metadata["x-a"], metadata["x-default"]) == ("1", "b", "1")


async def test_a_blocking_send_gives_a_handle_to_the_result(ingress: FakeIngress, echo: Any) -> None:
    async def attached(incoming: Incoming) -> bytes:
        return pb.AttachResponse(payload=StringValue(value="done").to_binary()).to_binary()

    async def not_yet(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.FAILED_PRECONDITION, "not completed", source="ingress")

    ingress.on(SAY, accept)
    ingress.on(INGRESS + "Attach", attached)
    ingress.on(INGRESS + "GetOutput", not_yet)
    handle = await asyncio.to_thread(echo.say.send, StringValue(), delay=timedelta(seconds=10))
    assert (handle.invocation_id, handle.status) == (INVOCATION, SendStatus.ACCEPTED)
    assert ingress.calls[0].metadata["restate-delay"] == "10s"
    assert await asyncio.to_thread(handle.output) is None
    assert await asyncio.to_thread(handle.attach) == StringValue(value="done")


async def test_blocking_calls_raise_the_same_errors(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        details = (Int32Value(value=7),)
        return await incoming.fail(grpc.StatusCode.FAILED_PRECONDITION, "sold out", source="handler", details=details)

    ingress.on("/echo.v1.Echo/Buy", answer)
    with pytest.raises(TypedError) as caught:
        await asyncio.to_thread(echo.buy, StringValue())
    assert caught.value.detail == Int32Value(value=7)


async def test_a_blocking_timeout_names_the_invocation_that_goes_on(ingress: FakeIngress, echo: Any) -> None:
    async def never(incoming: Incoming) -> bytes:
        await incoming.accepted(INVOCATION)
        await asyncio.Event().wait()
        return b""

    ingress.on(SAY, never)
    with pytest.raises(restate_client.CallTimeout) as caught:
        await asyncio.to_thread(echo.say, StringValue(), timeout=timedelta(milliseconds=300))
    assert caught.value.invocation_id == INVOCATION


async def test_awakeables_are_completed_through_a_blocking_connection(
    ingress: FakeIngress, connection: sync.BlockingConnection
) -> None:
    awakeable = ids.awakeable_id_text(bytes(16), 1)
    await asyncio.to_thread(connection.resolve_awakeable, awakeable, b"paid")
    await asyncio.to_thread(connection.reject_awakeable, awakeable, "no")
    assert [call.path for call in ingress.calls] == [INGRESS + "ResolveAwakeable", INGRESS + "RejectAwakeable"]


def test_a_blocking_connection_to_nobody_names_the_address(echo_client: Any) -> None:
    with (
        sync.connect("127.0.0.1:1", retry=None) as connection,
        pytest.raises(restate_client.ConnectionFailed, match=r"127\.0\.0\.1:1"),
    ):
        echo_client(connection).say(StringValue())


def test_a_closed_blocking_connection_says_so(echo_client: Any) -> None:
    with sync.connect("127.0.0.1:1") as connection:
        pass
    with pytest.raises(restate_client.ConnectionFailed, match="was closed"):
        echo_client(connection).say(StringValue())
