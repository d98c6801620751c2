"""Cancelling and signalling invocations over both connections: what goes over the wire, and how it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client import sync
from restate_protocol import ids
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"
CANCEL = "/restate.ingress.v1.Ingress/Cancel"
SIGNAL = "/restate.ingress.v1.Ingress/SendSignal"
INVOCATION = ids.invocation_id_text(bytes(16))


async def accept(incoming: Incoming) -> bytes:
    await incoming.accepted(INVOCATION)
    return b""


@pytest.fixture(autouse=True)
def sends_are_accepted(ingress: FakeIngress) -> None:
    ingress.on(SAY, accept)


@pytest.fixture
def blocking(ingress: FakeIngress) -> Iterator[sync.BlockingConnection]:
    with sync.connect(ingress.address) as opened:
        yield opened


async def test_a_handle_cancels_its_invocation(ingress: FakeIngress, echo: Any) -> None:
    handle = await echo.say.send(StringValue())
    await handle.cancel(timeout=timedelta(seconds=20))
    assert ingress.calls[1].path == CANCEL
    assert pb.CancelRequest.from_binary(ingress.calls[1].data).invocation_id == INVOCATION


@pytest.mark.parametrize(
    ("value", "field", "sent"),
    [
        (StringValue(value="go"), "payload", StringValue(value="go").to_binary()),
        (b"\x00", "payload", b"\x00"),
        ({"ok": [1, None]}, "json", '{"ok": [1, null]}'),
        (None, "json", "null"),
    ],
)
async def test_a_handle_signals_with_messages_bytes_or_json(
    ingress: FakeIngress, echo: Any, value: object, field: str, sent: object
) -> None:
    handle = await echo.say.send(StringValue())
    await handle.signal("approve", value)
    request = pb.SendSignalRequest.from_binary(ingress.calls[1].data)
    assert (ingress.calls[1].path, request.invocation_id, request.name) == (SIGNAL, INVOCATION, "approve")
    assert request.value is not None
    assert (request.value.field, request.value.value) == (field, sent)


async def test_a_connection_steers_what_others_sent(
    ingress: FakeIngress, connection: restate_client.Connection
) -> None:
    await connection.cancel(INVOCATION)
    await connection.signal(INVOCATION, "approve", 1)
    assert [call.path for call in ingress.calls] == [CANCEL, SIGNAL]


async def test_a_blocking_handle_cancels_and_signals(
    ingress: FakeIngress, blocking: sync.BlockingConnection, echo_client: Any
) -> None:
    handle = await asyncio.to_thread(echo_client(blocking).say.send, StringValue())
    await asyncio.to_thread(handle.cancel)
    await asyncio.to_thread(handle.signal, "approve", {"by": "ada"})
    assert [call.path for call in ingress.calls] == [SAY, CANCEL, SIGNAL]
    request = pb.SendSignalRequest.from_binary(ingress.calls[2].data)
    assert (request.name, request.value and request.value.value) == ("approve", '{"by": "ada"}')


@pytest.mark.parametrize("name", ["", "restate.cancel"])
async def test_a_name_that_no_signal_may_have_is_refused_before_anything_is_sent(
    ingress: FakeIngress, connection: restate_client.Connection, name: str
) -> None:
    with pytest.raises(ValueError, match=r"does not begin with 'restate\.'"):
        await connection.signal(INVOCATION, name)
    assert ingress.calls == []


async def test_what_is_no_invocation_id_is_refused_before_anything_is_sent(
    ingress: FakeIngress, connection: restate_client.Connection
) -> None:
    with pytest.raises(IdError, match="not an invocation id"):
        await connection.cancel("awk_1")
    with pytest.raises(IdError, match="not an invocation id"):
        await connection.signal("awk_1", "approve")
    assert ingress.calls == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, restate_client.AlreadyCompleted),
        (grpc.StatusCode.NOT_FOUND, restate_client.InvocationNotFound),
    ],
)
@pytest.mark.parametrize("path", [CANCEL, SIGNAL])
async def test_an_invocation_that_is_over_or_unknown_is_an_error_of_its_own(
    ingress: FakeIngress, connection: restate_client.Connection, path: str, code: grpc.StatusCode, expected: type
) -> None:
    async def refuse(incoming: Incoming) -> bytes:
        return await incoming.fail(code, "it is not there", source="ingress")

    ingress.on(path, refuse)
    asked = connection.cancel(INVOCATION) if path == CANCEL else connection.signal(INVOCATION, "approve")
    with pytest.raises(restate_client.IngressError, match="it is not there") as caught:
        await asked
    assert type(caught.value) is expected
    assert caught.value.invocation_id == INVOCATION
