"""The gRPC ingress, called with raw stubs over a real socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # type: ignore[import-untyped]
from restate_protocol.errors import TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.errors import PortInUse
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.waiting import Waiting

from tests.runtime.ingress.raw_grpc import Client, Server

SAY = "/shop.v1.Echo/Say"
PAY = "/shop.v1.Echo/Pay"
ADD = "/shop.v1.Cart/AddTicket"
RUN = "/shop.v1.Checkout/Run"
ADA = b"\x0a\x03ada"


async def test_a_call_gives_the_result_and_tells_the_invocation(client: Client, engine: Any) -> None:
    reply = await client.call(ADD, ADA)
    assert reply.payload == ADA
    assert reply.initial["restate-invocation-id"] == invocation_id_text((1).to_bytes(16, "big"))
    assert reply.initial["restate-status"] == "accepted"
    submission = engine.submissions[0]
    assert (submission.service, submission.handler, submission.key) == ("shop.v1.Cart", "AddTicket", "ada")
    assert engine.waits == [True]


async def test_the_payload_is_journaled_as_it_came(client: Client, engine: Any) -> None:
    unusual = b"\x0a\x01a\x0a\x03ada\xfa\x07\x01x"  # a field given twice, and one that nobody knows
    await client.call(ADD, unusual)
    assert engine.submissions[0].payload == unusual


async def test_only_listed_headers_are_journaled(client: Client, engine: Any) -> None:
    pairs: dict[str, Any] = {
        "authorization": "secret",
        "cookie": "secret",
        "x_tenant": "a",
        "tenant": "b",
        "other": "c",
    }
    trace: dict[str, Any] = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "k=v",
    }
    await client.call(SAY, **pairs, **trace, baggage="q=1")
    submission = engine.submissions[0]
    assert dict(submission.headers) == {
        "x-tenant": b"a",
        "tenant": b"b",
        "baggage": b"q=1",
        **{name: value.encode() for name, value in trace.items()},
    }
    assert (submission.traceparent, submission.tracestate) == (trace["traceparent"], "k=v")


async def test_binary_headers_are_journaled_as_bytes(client: Client, engine: Any) -> None:
    method: Any = client.channel.unary_unary(SAY)
    await method(b"", metadata=(("x-blob-bin", b"\x00\xff"),))
    assert engine.submissions[0].headers == (("x-blob-bin", b"\x00\xff"),)


@pytest.mark.parametrize(("metadata", "delay"), [({"restate_send": "true"}, None), ({"restate_delay": "10s"}, 10_000)])
async def test_a_send_answers_at_once_with_nothing(
    client: Client, engine: Any, metadata: dict[str, Any], delay: int | None
) -> None:
    engine.answer = lambda _: None
    reply = await client.call(ADD, ADA, **metadata)
    assert reply.payload == b""
    assert "restate-invocation-id" in reply.initial
    assert engine.waits == [False]
    assert engine.submissions[0].delay_ms == delay


async def test_a_known_idempotency_key_is_told(client: Client, engine: Any) -> None:
    engine.new = False
    reply = await client.call(SAY, idempotency_key="k")
    assert reply.initial["restate-status"] == "previously-accepted"
    assert engine.submissions[0].idempotency_key == "k"


async def test_the_annotated_field_dedupes_unless_the_header_does(client: Client, engine: Any) -> None:
    await client.call(PAY, b"\x12\x02p1")
    await client.call(PAY, b"\x12\x02p1", idempotency_key="k")
    await client.call(PAY, b"")
    assert [one.idempotency_key for one in engine.submissions] == ["p1", "k", None]


BAD: dict[str, tuple[str, bytes, dict[str, str], grpc.StatusCode, str]] = {
    "unknown service": ("/shop.v1.Card/Add", b"", {}, grpc.StatusCode.UNIMPLEMENTED, "did you mean shop.v1.Cart?"),
    "unknown method": ("/shop.v1.Cart/Nope", b"", {}, grpc.StatusCode.UNIMPLEMENTED, "has no method Nope"),
    "no method": ("/shop.v1.Cart", b"", {}, grpc.StatusCode.UNIMPLEMENTED, "has no method"),
    "nothing": ("/", b"", {}, grpc.StatusCode.UNIMPLEMENTED, "no deployment serves"),
    "our own package": ("/restate.ingress.v1.Ingress/Nope", b"", {}, grpc.StatusCode.UNIMPLEMENTED, "no method Nope"),
    "private": ("/shop.v1.Cart/Expire", ADA, {}, grpc.StatusCode.PERMISSION_DENIED, "is private"),
    "truncated": (ADD, b"\x0a\x05a", {}, grpc.StatusCode.INVALID_ARGUMENT, "not a valid shop.v1.AddTicketRequest"),
    "not UTF-8": (ADD, b"\x0a\x01\xff", {}, grpc.StatusCode.INVALID_ARGUMENT, "utf-8"),
    "rule": (ADD, ADA + b"\x1a\x00\x1a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", {},
             grpc.StatusCode.INVALID_ARGUMENT, "tickets[1].price: must be greater than or equal to 0"),
    "no key": (ADD, b"", {}, grpc.StatusCode.INVALID_ARGUMENT, "user_id: the key is missing or empty"),
    "no integer key": ("/shop.v1.Counter/Add", b"", {}, grpc.StatusCode.INVALID_ARGUMENT, "from: the key is missing"),
    "long key": (ADD, b"\x0a\x41" + b"k" * 65, {}, grpc.StatusCode.INVALID_ARGUMENT, "65 bytes; the limit is 64"),
    "long idempotency key": (SAY, b"", {"idempotency_key": "k" * 65}, grpc.StatusCode.INVALID_ARGUMENT, "65 bytes"),
    "empty idempotency key": (SAY, b"", {"idempotency_key": ""}, grpc.StatusCode.INVALID_ARGUMENT, "is empty"),
    "key for a run": (RUN, ADA, {"idempotency_key": "k"}, grpc.StatusCode.INVALID_ARGUMENT, "runs once for each key"),
    "send": (SAY, b"", {"restate_send": "yes"}, grpc.StatusCode.INVALID_ARGUMENT, "true or false"),
    "delay": (SAY, b"", {"restate_delay": "soon"}, grpc.StatusCode.INVALID_ARGUMENT, "write 10s"),
    "too long": (SAY, b"\x0a\x80\x80\x04" + b"a" * 65536, {}, grpc.StatusCode.RESOURCE_EXHAUSTED,
                 "the request has 65540 bytes; the limit is 65536 (setting max_message_bytes)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_and_nothing_is_submitted(client: Client, engine: Any, case: str) -> None:
    path, payload, metadata, code, message = BAD[case]
    reply = await client.call(path, payload, **metadata)
    assert reply.code is code
    assert message in reply.message
    assert engine.submissions == []
    assert reply.trailing["restate-error-source"] == "ingress"


async def test_the_paths_of_wrong_fields_are_in_the_details(client: Client) -> None:
    reply = await client.call(ADD, ADA + b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
    bad = BadRequest()
    assert reply.details().details[0].Unpack(bad)
    assert [one.field for one in bad.field_violations] == ["count"]


async def test_a_typed_error_of_a_handler_arrives_in_the_details(client: Client, engine: Any) -> None:
    failure = Failure(9, "sold out", "shop.v1.SoldOut", b"\x0a\x02e1", (("retry", "no"),))
    engine.answer = lambda _: failure
    reply = await client.call(ADD, ADA)
    assert (reply.code, reply.message) == (grpc.StatusCode.FAILED_PRECONDITION, "sold out")
    assert reply.trailing["restate-error-source"] == "handler"
    assert "restate-invocation-id" in reply.initial
    typed, metadata = reply.details().details
    assert (typed.type_url, typed.value) == ("type.googleapis.com/shop.v1.SoldOut", b"\x0a\x02e1")
    info = ErrorInfo()
    assert metadata.Unpack(info)
    assert dict(info.metadata) == {"retry": "no"}


async def test_what_the_engine_refuses_is_of_the_ingress(client: Client, engine: Any) -> None:
    engine.error = TerminalError("ran already", code=StatusCode.ALREADY_EXISTS)
    reply = await client.call(RUN, ADA)
    assert (reply.code, reply.message) == (grpc.StatusCode.ALREADY_EXISTS, "ran already")
    assert reply.trailing["restate-error-source"] == "ingress"


async def test_a_defect_of_the_runtime_is_internal_and_shows_no_inside(client: Client, engine: Any) -> None:
    engine.error = KeyError("inside")
    reply = await client.call(SAY)
    assert reply.code is grpc.StatusCode.INTERNAL
    assert "inside" not in reply.message
    assert reply.trailing["restate-error-source"] == "ingress"


async def test_a_deadline_ends_the_wait_and_not_the_invocation(client: Client, engine: Any) -> None:
    engine.answer = lambda _: None
    call = client.start(SAY, timeout=0.3)
    assert dict(await call.initial_metadata())["restate-status"] == "accepted"
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await engine.closed.get() == (1).to_bytes(16, "big")
    assert len(engine.submissions) == 1


async def test_a_caller_that_cancels_is_released(client: Client, engine: Any) -> None:
    engine.answer = lambda _: None
    call = client.start(SAY)
    await engine.accepted.get()
    call.cancel()
    assert await engine.closed.get() == (1).to_bytes(16, "big")


async def test_a_deadline_that_has_passed_submits_nothing(routes: Any, engine: Any) -> None:
    calls = GrpcIngress(Admission(routes, Limits()), engine, Waiting()).calls
    handler: Any = calls.service(Details(SAY))
    context = LateContext()
    with pytest.raises(grpc.aio.AbortError):
        await handler.stream_unary(None, context)
    assert context.aborted is grpc.StatusCode.DEADLINE_EXCEEDED
    assert engine.submissions == []


@dataclass
class Details:
    method: str
    invocation_metadata: tuple[Any, ...] = ()


class LateContext:
    """The context of a call whose deadline has passed."""

    aborted: grpc.StatusCode | None = None

    def time_remaining(self) -> float:
        return 0.0

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        self.aborted = code
        raise grpc.aio.AbortError


async def test_who_waits_when_the_runtime_stops_gets_the_id_to_attach_to(
    server: Server, client: Client, engine: Any
) -> None:
    engine.answer = lambda _: None
    call = asyncio.create_task(client.call(SAY))
    accepted = await engine.accepted.get()
    stopping = asyncio.create_task(server.ingress.stop(20))
    server.waiting.send_away()
    reply = await call
    assert reply.code is grpc.StatusCode.UNAVAILABLE
    assert invocation_id_text(accepted.invocation_id) in reply.message
    await stopping


async def test_a_registration_takes_effect_at_once(client: Client, routes: Any, compile_protos: Any) -> None:
    source = """
        syntax = "proto3"; package late.v1;
        service Late { rpc Go(Nothing) returns (Nothing); }
        message Nothing {}
    """
    assert (await client.call("/late.v1.Late/Go")).code is grpc.StatusCode.UNIMPLEMENTED
    routes.register(compile_protos({"late.proto": source}))
    assert (await client.call("/late.v1.Late/Go")).code is grpc.StatusCode.OK
    other = source.replace("rpc Go(Nothing)", "rpc Go(Other)") + "message Other { string a = 1; }"
    routes.register(compile_protos({"late.proto": other}))
    assert (await client.call("/late.v1.Late/Go", b"\x0a\x05a")).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_taken_port_is_a_clear_error(server: Server, routes: Any, engine: Any) -> None:
    other = GrpcIngress(Admission(routes, Limits()), engine, Waiting())
    with pytest.raises(PortInUse, match=f"127.0.0.1:{server.port}: the port is in use"):
        await other.start("127.0.0.1", server.port)
