"""Asynchronous connections: what goes over the wire, and what comes back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import BoolValue, Int32Value, StringValue
from restate_client import SendStatus, StatusCode, TerminalError
from restate_protocol import ids
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"
INGRESS = "/restate.ingress.v1.Ingress/"
INVOCATION = ids.invocation_id_text(bytes(16))
AWAKEABLE = ids.awakeable_id_text(bytes(16), 1)


async def accept(incoming: Incoming) -> bytes:
    await incoming.accepted(INVOCATION)
    return b""


async def test_a_call_is_a_plain_grpc_call_of_the_handler(ingress: FakeIngress, echo: Any) -> None:
    reply = await echo.say(StringValue(value="hi"))
    assert reply == StringValue(value="hi")
    [call] = ingress.calls
    assert (call.path, call.data) == (SAY, StringValue(value="hi").to_binary())
    assert not {name for name in call.metadata if name.startswith(("restate-", "idempotency-"))}


async def test_options_of_a_call_travel_as_metadata(ingress: FakeIngress, echo: Any) -> None:
    headers = {"X-Tenant": "blue", "x-raw-bin": b"\x00\xff"}
    await echo.say(StringValue(value="hi"), idempotency_key="42", headers=headers)
    metadata = ingress.calls[0].metadata
    assert (metadata["idempotency-key"], metadata["x-tenant"]) == ("42", "blue")
    assert metadata["x-raw-bin"] == b"\x00\xff"


async def test_headers_of_the_connection_go_with_every_call(ingress: FakeIngress, echo_client: Any) -> None:
    async with restate_client.connect(ingress.address, headers={"authorization": "Bearer x"}) as connection:
        await echo_client(connection).say(StringValue(), headers={"x-a": "b"})
        await connection.reject_awakeable(AWAKEABLE, "no")
    assert [call.metadata["authorization"] for call in ingress.calls] == ["Bearer x", "Bearer x"]
    assert ingress.calls[0].metadata["x-a"] == "b"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("accepted", SendStatus.ACCEPTED), ("previously-accepted", SendStatus.PREVIOUSLY_ACCEPTED)],
)
async def test_a_send_gives_a_handle(ingress: FakeIngress, echo: Any, status: str, expected: SendStatus) -> None:
    async def answer(incoming: Incoming) -> bytes:
        await incoming.accepted(INVOCATION, status)
        return b""

    ingress.on(SAY, answer)
    handle = await echo.say.send(StringValue(value="hi"))
    assert (handle.invocation_id, handle.status) == (INVOCATION, expected)
    assert ingress.calls[0].metadata["restate-send"] == "true"
    assert "restate-delay" not in ingress.calls[0].metadata


@pytest.mark.parametrize(
    ("delay", "text"),
    [
        (timedelta(minutes=15), "900s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(microseconds=1), "1ms"),
        (timedelta(days=400), "34560000s"),
    ],
)
async def test_a_delayed_send_says_how_long(ingress: FakeIngress, echo: Any, delay: timedelta, text: str) -> None:
    ingress.on(SAY, accept)
    await echo.say.send(StringValue(), delay=delay)
    assert ingress.calls[0].metadata["restate-delay"] == text


async def test_a_send_to_something_that_is_no_ingress_says_so(echo: Any) -> None:
    with pytest.raises(restate_client.IngressError, match="is this the address of a Restate ingress"):
        await echo.say.send(StringValue())


async def test_attach_waits_for_the_result_and_decodes_it(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        assert pb.AttachRequest.from_binary(incoming.data).invocation_id == INVOCATION
        return pb.AttachResponse(payload=StringValue(value="done").to_binary()).to_binary()

    ingress.on(SAY, accept)
    ingress.on(INGRESS + "Attach", answer)
    handle = await echo.say.send(StringValue())
    assert await handle.attach() == StringValue(value="done")


async def test_attach_raises_what_the_handler_raised(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        details = (Int32Value(value=7),)
        return await incoming.fail(grpc.StatusCode.FAILED_PRECONDITION, "sold out", source="handler", details=details)

    ingress.on("/echo.v1.Echo/Buy", accept)
    ingress.on(INGRESS + "Attach", answer)
    handle = await echo.buy.send(StringValue())
    with pytest.raises(restate_client.TypedError) as caught:
        await handle.attach()
    assert caught.value.detail == Int32Value(value=7)


async def test_output_is_none_until_the_invocation_is_done(ingress: FakeIngress, echo: Any) -> None:
    async def not_yet(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.FAILED_PRECONDITION, "not completed", source="ingress")

    async def done(incoming: Incoming) -> bytes:
        return pb.GetOutputResponse(payload=StringValue(value="done").to_binary()).to_binary()

    ingress.on(SAY, accept)
    ingress.on(INGRESS + "GetOutput", not_yet)
    handle = await echo.say.send(StringValue())
    assert await handle.output() is None
    ingress.on(INGRESS + "GetOutput", done)
    assert await handle.output() == StringValue(value="done")


async def test_output_tells_a_failed_precondition_of_the_handler_from_not_yet(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.FAILED_PRECONDITION, "refused", source="handler")

    ingress.on(SAY, accept)
    ingress.on(INGRESS + "GetOutput", answer)
    handle = await echo.say.send(StringValue())
    with pytest.raises(TerminalError, match="refused"):
        await handle.output()


@pytest.mark.parametrize(
    ("value", "field", "sent"),
    [
        (StringValue(value="paid"), "payload", StringValue(value="paid").to_binary()),
        (b"\x00", "payload", b"\x00"),
        ({"ok": [1, None]}, "json", '{"ok": [1, null]}'),
        (None, "json", "null"),
    ],
)
async def test_awakeables_are_resolved_with_messages_bytes_or_json(
    ingress: FakeIngress, connection: restate_client.Connection, value: object, field: str, sent: object
) -> None:
    await connection.resolve_awakeable(AWAKEABLE, value)
    request = pb.ResolveAwakeableRequest.from_binary(ingress.calls[0].data)
    assert ingress.calls[0].path == INGRESS + "ResolveAwakeable"
    assert request.awakeable_id == AWAKEABLE
    assert request.value is not None
    assert (request.value.field, request.value.value) == (field, sent)


async def test_awakeables_are_rejected_with_a_message_and_a_code(
    ingress: FakeIngress, connection: restate_client.Connection
) -> None:
    await connection.reject_awakeable(AWAKEABLE, "no money", code=StatusCode.ABORTED)
    request = pb.RejectAwakeableRequest.from_binary(ingress.calls[0].data)
    assert (request.awakeable_id, request.message, request.code) == (AWAKEABLE, "no money", 10)


async def test_what_is_no_awakeable_id_is_refused_before_anything_is_sent(
    ingress: FakeIngress, connection: restate_client.Connection
) -> None:
    with pytest.raises(IdError, match="not an awakeable id"):
        await connection.resolve_awakeable(INVOCATION, None)
    with pytest.raises(ValueError, match="cannot be rejected with code OK"):
        await connection.reject_awakeable(AWAKEABLE, "", code=StatusCode.OK)
    assert ingress.calls == []


async def test_a_timeout_names_the_invocation_that_goes_on(ingress: FakeIngress, echo: Any) -> None:
    async def never(incoming: Incoming) -> bytes:
        await incoming.accepted(INVOCATION)
        await asyncio.Event().wait()
        return b""

    ingress.on(SAY, never)
    with pytest.raises(TimeoutError) as caught:
        await echo.say(StringValue(), timeout=timedelta(milliseconds=300))
    assert isinstance(caught.value, restate_client.CallTimeout)
    assert caught.value.invocation_id == INVOCATION
    assert f"{INVOCATION} goes on" in str(caught.value)


async def test_a_runtime_that_is_not_there_is_named_with_what_to_do(echo_client: Any) -> None:
    async with restate_client.connect("127.0.0.1:1", retry=None) as connection:
        with pytest.raises(restate_client.ConnectionFailed, match=r"127\.0\.0\.1:1.*restate-runtime") as caught:
            await echo_client(connection).say(StringValue())
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert caught.value.invocation_id is None


async def test_a_closed_connection_says_so(ingress: FakeIngress, echo_client: Any) -> None:
    async with restate_client.connect(ingress.address) as connection:
        await echo_client(connection).say(StringValue())
    with pytest.raises(restate_client.ConnectionFailed, match="was closed"):
        await echo_client(connection).say(StringValue())


async def test_a_call_whose_connection_is_closed_meanwhile_says_so_and_is_not_cancelled(
    ingress: FakeIngress, echo_client: Any
) -> None:
    arrived = asyncio.Event()

    async def never(incoming: Incoming) -> bytes:
        arrived.set()
        await asyncio.Event().wait()
        return b""

    ingress.on(SAY, never)
    connection = restate_client.connect(ingress.address)
    call = asyncio.ensure_future(echo_client(connection).say(StringValue()))
    await arrived.wait()
    await connection.close()
    with pytest.raises(restate_client.ConnectionFailed, match="was closed"):
        await call


async def test_one_connection_serves_many_calls_at_once(echo: Any) -> None:
    texts = [str(number) for number in range(50)]
    replies = await asyncio.gather(*(echo.say(StringValue(value=text)) for text in texts))
    assert [reply.value for reply in replies] == texts


async def test_the_request_is_taken_when_the_call_is_made(ingress: FakeIngress, echo: Any) -> None:
    request = StringValue(value="before")
    call = echo.say(request)
    request.value = "after"
    assert (await call).value == "before"


async def test_a_request_of_another_rpc_is_refused_at_the_callers_line(ingress: FakeIngress, echo: Any) -> None:
    with pytest.raises(TypeError, match=r"echo.v1.Echo/Say takes a StringValue, not a BoolValue"):
        echo.say(BoolValue(value=True))
    with pytest.raises(TypeError, match="not a str"):
        echo.say.send("hi")
    assert ingress.calls == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"headers": {"Idempotency-Key": "1"}}, "argument idempotency_key="),
        ({"headers": {"restate-send": "true"}}, "belongs to the protocol"),
        ({"headers": {"x-raw": b"1"}}, "end in -bin"),
        ({"headers": {"x-raw-bin": "1"}}, "end in -bin"),
        ({"idempotency_key": ""}, "printable ASCII"),
        ({"idempotency_key": "é"}, "printable ASCII"),
    ],
)
async def test_options_that_grpc_cannot_carry_are_refused(echo: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        echo.say(StringValue(), **options)


async def test_a_negative_delay_is_refused(echo: Any) -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        echo.say.send(StringValue(), delay=timedelta(seconds=-1))


@pytest.mark.parametrize("address", ["http://localhost:8080", "https://localhost:8080/"])
def test_an_address_is_no_url(address: str) -> None:
    with pytest.raises(ValueError, match="write 'localhost:8080'"):
        restate_client.connect(address)


def test_an_address_without_a_port_means_8080() -> None:
    assert repr(restate_client.connect("runtime")) == "Connection('runtime:8080')"
