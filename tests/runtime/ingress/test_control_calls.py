"""restate.ingress.v1.Ingress: Call and Send obey the rules of direct calls."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from protobuf import Oneof
from protobuf.wkt import Duration
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.journal import Failure, Value
from restate_runtime.ingress.durations import MAX_DELAY_MS

from tests.runtime.ingress.raw_grpc import Client, Reply

INGRESS = "/restate.ingress.v1.Ingress/"
HI = b"\n\x02hi"  # shop.v1.EchoRequest{text: "hi"}
ADA = b"\n\x03ada"  # shop.v1.AddTicketRequest{user_id: "ada"}


def payload(data: bytes) -> Any:
    return Oneof("payload", data)


def json(text: str) -> Any:
    return Oneof("json", text)


def echo(request: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "service": "shop.v1.Echo",
        "handler": "Say",
        "request": payload(HI) if request is None else request,
        **fields,
    }


def cart(request: Any, **fields: Any) -> dict[str, Any]:
    return {"service": "shop.v1.Cart", "handler": "AddTicket", "request": request, **fields}


async def call(client: Client, fields: dict[str, Any], **metadata: Any) -> Reply:
    return await client.call(INGRESS + "Call", pb.CallRequest(**fields).to_binary(), **metadata)


async def send(client: Client, fields: dict[str, Any], **metadata: Any) -> Reply:
    return await client.call(INGRESS + "Send", pb.SendRequest(**fields).to_binary(), **metadata)


def called(reply: Reply) -> pb.CallResponse:
    assert reply.payload is not None, reply
    return pb.CallResponse.from_binary(reply.payload)


async def test_the_response_has_the_form_of_the_request(client: Client, engine: Any) -> None:
    binary = called(await call(client, echo(payload(HI))))
    assert binary.response == Oneof("payload", HI)
    text = called(await call(client, echo(json('{"text": "hi"}'))))
    assert text.response == Oneof("json", '{"text":"hi"}')
    assert [one.payload for one in engine.submissions] == [HI, HI]
    assert engine.waits == [True, True]


async def test_the_answer_and_the_initial_metadata_tell_the_invocation(client: Client, engine: Any) -> None:
    for new, status, acceptance in (
        (True, "accepted", pb.Acceptance.ACCEPTED),
        (False, "previously-accepted", pb.Acceptance.PREVIOUSLY_ACCEPTED),
    ):
        engine.new = new
        for reply, response in (
            (await call(client, echo()), pb.CallResponse),
            (await send(client, echo()), pb.SendResponse),
        ):
            answer: Any = response.from_binary(reply.payload or b"")
            assert answer.acceptance == acceptance
            assert answer.invocation_id.startswith("inv_")
            assert reply.initial["restate-invocation-id"] == answer.invocation_id
            assert reply.initial["restate-status"] == status


async def test_a_send_does_not_wait_and_has_a_delay(client: Client, engine: Any) -> None:
    engine.answer = lambda submission: None
    delays = [None, Duration(), Duration(seconds=90), Duration(seconds=1, nanos=2_999_999)]
    for delay in delays:
        assert (await send(client, echo(delay=delay))).payload is not None
    assert [one.delay_ms for one in engine.submissions] == [None, 0, 90_000, 1_002]
    assert engine.waits == [False] * 4


async def test_the_submission_is_that_of_a_direct_call(client: Client, engine: Any) -> None:
    metadata = {"x_tenant": "t", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "authorization": "secret"}
    await client.call("/shop.v1.Cart/AddTicket", ADA, **metadata, idempotency_key="k")
    await call(client, cart(payload(ADA), idempotency_key="k"), **metadata)
    headers = {name.replace("_", "-"): value for name, value in metadata.items()}
    await call(client, cart(json('{"userId": "ada"}'), idempotency_key="k", headers=headers))
    assert engine.submissions[0] == engine.submissions[1] == engine.submissions[2]
    assert engine.submissions[0].idempotency_key == "k"
    assert b"secret" not in str(engine.submissions).encode()


async def test_a_header_wins_over_metadata_and_case_makes_no_difference(client: Client, engine: Any) -> None:
    await call(client, echo(headers={"X-Tenant": "h", "x-raw-bin": "AAE"}), x_tenant="m", x_other="o")
    assert set(engine.submissions[0].headers) == {("x-other", b"o"), ("x-tenant", b"h"), ("x-raw-bin", b"\x00\x01")}


async def test_secrets_never_reach_the_journal(client: Client, engine: Any) -> None:
    await call(client, echo(headers={"Authorization": "Bearer s", "cookie": "s", "Proxy-Authorization": "s"}))
    assert engine.submissions[0].headers == ()


async def test_the_annotated_field_is_the_idempotency_key_unless_the_call_says_otherwise(
    client: Client, engine: Any
) -> None:
    pay = {"service": "shop.v1.Echo", "handler": "Pay", "request": json('{"paymentId": "p"}')}
    engine.answer = lambda submission: Value(HI)
    await call(client, pay)
    await call(client, {**pay, "idempotency_key": "k"})
    await call(client, pay, idempotency_key="m")
    assert [one.idempotency_key for one in engine.submissions] == ["p", "k", "m"]


async def test_a_failure_of_the_handler_is_the_status_with_its_details(client: Client, engine: Any) -> None:
    engine.answer = lambda submission: Failure(9, "sold out", "shop.v1.SoldOut", b"\n\x01e")
    reply = await call(client, cart(payload(ADA)))
    assert (reply.code, reply.message) == (grpc.StatusCode.FAILED_PRECONDITION, "sold out")
    assert reply.trailing["restate-error-source"] == "handler"
    assert reply.initial["restate-invocation-id"].startswith("inv_")
    assert reply.details().details[0].type_url.endswith("/shop.v1.SoldOut")


async def test_a_response_without_json_is_an_error(client: Client, engine: Any) -> None:
    engine.answer = lambda submission: Value(b"\xff")
    reply = await call(client, echo(json("{}")))
    assert reply.code is grpc.StatusCode.INTERNAL
    assert "ask with payload" in reply.message


REFUSED: dict[str, tuple[dict[str, Any], grpc.StatusCode, str]] = {
    "no service": (echo(service=""), grpc.StatusCode.INVALID_ARGUMENT, "service: it is missing"),
    "no handler": (echo(handler=""), grpc.StatusCode.INVALID_ARGUMENT, "handler: it is missing"),
    "unknown service": (echo(service="shop.v1.Ecko"), grpc.StatusCode.UNIMPLEMENTED, "did you mean shop.v1.Echo?"),
    "unknown handler": (echo(handler="Shout"), grpc.StatusCode.UNIMPLEMENTED, "has no method Shout"),
    "private": (cart(payload(ADA), handler="Expire"), grpc.StatusCode.PERMISSION_DENIED, "is private"),
    "no request": (
        {"service": "shop.v1.Echo", "handler": "Say"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "payload: give the request in payload or in json",
    ),
    "not the message": (echo(payload(b"\xff")), grpc.StatusCode.INVALID_ARGUMENT, "not a valid shop.v1.EchoRequest"),
    "not JSON": (echo(json("{")), grpc.StatusCode.INVALID_ARGUMENT, "not JSON"),
    "unknown field": (echo(json('{"txet": ""}')), grpc.StatusCode.INVALID_ARGUMENT, "txet"),
    "a rule": (
        cart(json('{"userId": "ada", "tickets": [{"price": -1}]}')),
        grpc.StatusCode.INVALID_ARGUMENT,
        "tickets[0].price",
    ),
    "no key": (cart(payload(b"")), grpc.StatusCode.INVALID_ARGUMENT, "user_id: the key is missing or empty"),
    "empty idempotency key": (echo(idempotency_key=""), grpc.StatusCode.INVALID_ARGUMENT, "idempotency_key: it is"),
    "long idempotency key": (echo(idempotency_key="k" * 65), grpc.StatusCode.INVALID_ARGUMENT, "65 bytes"),
    "idempotency key of a run": (
        {"service": "shop.v1.Checkout", "handler": "Run", "request": json('{"orderId": "o"}'), "idempotency_key": "k"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "runs once for each key",
    ),
    **{
        f"header {name!r}": (
            echo(headers={name: value}),
            grpc.StatusCode.INVALID_ARGUMENT,
            f'headers["{name}"]: {text}',
        )
        for name, value, text in (
            ("restate-send", "true", "names that begin with restate- or grpc-"),
            ("Restate-Delay", "1s", "names that begin with restate- or grpc-"),
            ("grpc-timeout", "1S", "names that begin with restate- or grpc-"),
            ("idempotency-key", "k", "use the field idempotency_key"),
            ("", "v", "no name of a header"),
            ("x y", "v", "no name of a header"),
            ("x-ü", "v", "no name of a header"),
            ("x-a", "a\r\nx-b: c", "the value has control characters"),
        )
    },
    "a header twice": (echo(headers={"x-a": "1", "X-A": "2"}), grpc.StatusCode.INVALID_ARGUMENT, "x-a is there twice"),
    "a binary header": (echo(headers={"x-bin": "ü"}), grpc.StatusCode.INVALID_ARGUMENT, "x-bin is not base64"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("method", ["Call", "Send"])
async def test_what_is_wrong_is_refused_and_nothing_is_submitted(
    client: Client, engine: Any, method: str, case: str
) -> None:
    fields, code, text = REFUSED[case]
    reply = await (call if method == "Call" else send)(client, fields)
    assert (reply.code, reply.trailing["restate-error-source"]) == (code, "ingress")
    assert text in reply.message
    assert engine.submissions == []


DELAYS: dict[str, tuple[Duration, str]] = {
    "negative": (Duration(seconds=-1), "it is negative"),
    "a little negative": (Duration(nanos=-1), "it is negative"),
    "too long": (Duration(seconds=MAX_DELAY_MS // 1000 + 1), "longer than a delay may be"),
    "two signs": (Duration(seconds=1, nanos=-1), "not a valid google.protobuf.Duration"),
    "too many nanos": (Duration(nanos=1_000_000_000), "not a valid google.protobuf.Duration"),
}


@pytest.mark.parametrize("case", DELAYS)
async def test_a_wrong_delay_is_refused(client: Client, engine: Any, case: str) -> None:
    delay, text = DELAYS[case]
    reply = await send(client, echo(delay=delay))
    assert (reply.code, engine.submissions) == (grpc.StatusCode.INVALID_ARGUMENT, [])
    assert reply.message.startswith("delay: ")
    assert text in reply.message


@pytest.mark.parametrize("metadata", [{"restate_send": "true"}, {"restate_delay": "1s"}])
async def test_metadata_of_direct_calls_is_refused(client: Client, engine: Any, metadata: dict[str, str]) -> None:
    reply = await call(client, echo(), **metadata)
    assert (reply.code, engine.submissions) == (grpc.StatusCode.INVALID_ARGUMENT, [])
    assert "use Send" in reply.message


async def test_two_different_idempotency_keys_are_refused(client: Client, engine: Any) -> None:
    assert (await call(client, echo(idempotency_key="a"), idempotency_key="a")).payload is not None
    reply = await call(client, echo(idempotency_key="a"), idempotency_key="b")
    assert (reply.code, len(engine.submissions)) == (grpc.StatusCode.INVALID_ARGUMENT, 1)
    assert "twice with different values" in reply.message


async def test_a_caller_that_leaves_is_released(client: Client, engine: Any) -> None:
    engine.answer = lambda submission: None
    waiting = client.start(INGRESS + "Call", pb.CallRequest(**echo()).to_binary())
    accepted = await engine.accepted.get()
    waiting.cancel()
    assert await engine.closed.get() == accepted.invocation_id
