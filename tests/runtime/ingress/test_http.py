"""The HTTP ingress as an ASGI app: Connect unary in JSON and binary, and its errors."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]
from restate_protocol.errors import TerminalError
from restate_protocol.ids import awakeable_id_text, invocation_id_text
from restate_protocol.journal import JSON, Failure, Value
from restate_protocol.status import StatusCode
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting

SAY = "/shop.v1.Echo/Say"
PAY = "/shop.v1.Echo/Pay"
ADD = "/shop.v1.Cart/AddTicket"
RUN = "/shop.v1.Checkout/Run"
ADA = b"\x0a\x03ada"
PROTO = {"content-type": "application/proto"}
JSON_TYPE = {"content-type": "application/json"}
FIRST = invocation_id_text((1).to_bytes(16, "big"))


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def app(routes: Any, engine: Any, waiting: Waiting) -> HttpApp:
    limits = Limits(max_message_bytes=1024, max_key_bytes=64, journal_headers=("tenant", "acme-*"))
    return HttpApp(Admission(routes, limits), engine, waiting)


@pytest.fixture
async def client(app: HttpApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://runtime") as client:
        yield client


async def test_json_in_and_json_out(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: Value(b"\x08\x05")
    reply = await client.post(ADD, json={"userId": "ada", "count": 2})
    assert (reply.status_code, reply.json()) == (200, {"totalCount": 5})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["restate-invocation-id"] == FIRST
    assert reply.headers["restate-status"] == "accepted"
    assert engine.submissions[0].key == "ada"
    assert engine.submissions[0].payload == ADA + b"\x10\x02"


async def test_binary_in_and_binary_out_untouched(client: httpx.AsyncClient, engine: Any) -> None:
    unusual = b"\x0a\x01a\x0a\x03ada\xfa\x07\x01x"
    reply = await client.post(ADD, content=unusual, headers={**PROTO, "connect-protocol-version": "1"})
    assert (reply.status_code, reply.content) == (200, unusual)
    assert reply.headers["content-type"] == "application/proto"
    assert engine.submissions[0].payload == unusual


async def test_a_charset_and_capitals_in_the_content_type_are_fine(client: httpx.AsyncClient) -> None:
    reply = await client.post(SAY, content=b"{}", headers={"content-type": 'Application/JSON; charset="UTF-8"'})
    assert reply.status_code == 200


async def test_a_compressed_request_is_read(client: httpx.AsyncClient, engine: Any) -> None:
    headers = {**JSON_TYPE, "content-encoding": "gzip"}
    reply = await client.post(SAY, content=gzip.compress(b'{"text":"hi"}'), headers=headers)
    assert reply.json() == {"text": "hi"}


async def test_only_listed_headers_are_journaled(client: httpx.AsyncClient, engine: Any) -> None:
    secret = {"authorization": "secret", "cookie": "secret"}
    kept = {"x-tenant": "a", "tenant": "b", "acme-zone": "c", "x-blob-bin": base64.b64encode(b"\x00\xff").decode()}
    await client.post(SAY, json={}, headers={**secret, **kept, "other": "d", "traceparent": "00-a-b-01"})
    submission = engine.submissions[0]
    assert dict(submission.headers) == {
        "x-tenant": b"a",
        "tenant": b"b",
        "acme-zone": b"c",
        "x-blob-bin": b"\x00\xff",
        "traceparent": b"00-a-b-01",
    }
    assert submission.traceparent == "00-a-b-01"


@pytest.mark.parametrize(("headers", "delay"), [({"restate-send": "true"}, None), ({"restate-delay": "PT1M"}, 60_000)])
@pytest.mark.parametrize(("kind", "body", "empty"), [(PROTO, ADA, b""), (JSON_TYPE, b'{"userId":"ada"}', b"{}")])
async def test_a_send_answers_at_once_with_nothing(
    client: httpx.AsyncClient,
    engine: Any,
    headers: dict[str, str],
    delay: int | None,
    kind: dict[str, str],
    body: bytes,
    empty: bytes,
) -> None:
    engine.answer = lambda _: None
    engine.new = False
    reply = await client.post(ADD, content=body, headers={**kind, **headers})
    assert (reply.status_code, reply.content) == (200, empty)
    assert reply.headers["restate-invocation-id"] == FIRST
    assert reply.headers["restate-status"] == "previously-accepted"
    assert engine.waits == [False]
    assert engine.submissions[0].delay_ms == delay


Case = tuple[str, str, bytes, dict[str, str], int, str, str]

BAD: dict[str, Case] = {
    "unknown service": ("POST", "/shop.v1.Card/Add", b"{}", {}, 404, "unimplemented",
                        "did you mean shop.v1.Cart? The path is"),
    "unknown method": ("POST", "/shop.v1.Cart/Nope", b"{}", {}, 404, "unimplemented", "has no method Nope"),
    "no such page": ("GET", "/", b"", {}, 404, "unimplemented", "/package.Service/Method"),
    "GET": ("GET", SAY, b"", {}, 405, "unimplemented", "takes POST, not GET"),
    "POST on health": ("POST", "/healthz", b"", {}, 405, "unimplemented", "takes GET or HEAD, not POST"),
    "GET on control": ("GET", "/restate.ingress.v1.Ingress/Attach", b"", {}, 405, "unimplemented", "takes POST"),
    "form": ("POST", SAY, b"{}", {"content-type": "application/x-www-form-urlencoded"}, 415, "invalid_argument",
             "send application/json, application/proto"),
    "no content type": ("POST", SAY, b"{}", {"content-type": ""}, 415, "invalid_argument", "is missing"),
    "charset": ("POST", SAY, b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "invalid_argument",
                "charset=latin-1"),
    "native gRPC": ("POST", SAY, b"", {"content-type": "application/grpc"}, 415, "invalid_argument",
                    "on the gRPC port"),
    "a stream": ("POST", SAY, b"", {"content-type": "application/connect+json"}, 415, "invalid_argument",
                 "on the gRPC port"),
    "session": ("POST", "/restate.ingress.v1.Ingress/Session", b"", {}, 404, "unimplemented", "on the gRPC port"),
    "unknown method of ours": ("POST", "/restate.ingress.v1.Ingress/Nope", b"", {}, 404, "unimplemented",
                               "has no method Nope"),
    "too long": ("POST", SAY, b'{"text":"' + b"a" * 1024 + b'"}', {}, 413, "resource_exhausted", "than 1024 bytes"),
    "gzip bomb": ("POST", SAY, gzip.compress(b" " * 1025), {"content-encoding": "gzip"}, 413, "resource_exhausted",
                  "than 1024 bytes"),
    "no gzip": ("POST", SAY, b"{}", {"content-encoding": "gzip"}, 400, "invalid_argument", "not gzip"),
    "cut gzip": ("POST", SAY, gzip.compress(b"{}")[:-9], {"content-encoding": "gzip"}, 400, "invalid_argument",
                 "ends too early"),
    "unknown encoding": ("POST", SAY, b"{}", {"content-encoding": "br"}, 501, "unimplemented", "identity or gzip"),
    "version": ("POST", SAY, b"{}", {"connect-protocol-version": "2"}, 400, "invalid_argument", "send 1"),
    "timeout": ("POST", SAY, b"{}", {"connect-timeout-ms": "1s"}, 400, "invalid_argument", "milliseconds"),
    "timeout 0": ("POST", SAY, b"{}", {"connect-timeout-ms": "0"}, 504, "deadline_exceeded", "nothing was started"),
    "a name twice": ("POST", SAY, b'{"text": "a", "text": "b"}', {}, 400, "invalid_argument",
                     'the name "text" is there twice in one object'),
    "a field under both names": ("POST", ADD, b'{"userId": "a", "user_id": "b"}', {}, 400, "invalid_argument",
                                 "user_id: it is there twice, as user_id and as userId"),
    "private": ("POST", "/shop.v1.Cart/Expire", b"{}", {}, 403, "permission_denied", "is private"),
    "no JSON": ("POST", SAY, b"", {}, 400, "invalid_argument", "not JSON"),
    "not UTF-8": ("POST", SAY, b'{"text":"\xff"}', {}, 400, "invalid_argument", "not a valid shop.v1.EchoRequest"),
    "deep JSON": ("POST", SAY, b"[" * 1000, {}, 400, "invalid_argument", "nested deeper"),
    "unknown field": ("POST", ADD, b'{"userId":"a","nope":1}', {}, 400, "invalid_argument", "nope: shop.v1.AddTicket"),
    "wrong type": ("POST", ADD, b'{"tickets":[{"price":"x"}]}', {}, 400, "invalid_argument", "tickets[0].price: "),
    "rule": ("POST", ADD, b'{"userId":"a","count":-1}', {}, 400, "invalid_argument", "count: must be greater than"),
    "no key": ("POST", ADD, b"{}", {}, 400, "invalid_argument", "user_id: the key is missing or empty"),
    "long key": ("POST", ADD, b'{"userId":"' + b"k" * 65 + b'"}', {}, 400, "invalid_argument", "65 bytes"),
    "wide key": ("POST", ADD, b'{"userId":"%s"}' % ("é" * 33).encode(), {}, 400, "invalid_argument",
                 "66 bytes"),
    "empty idempotency key": ("POST", SAY, b"{}", {"idempotency-key": ""}, 400, "invalid_argument", "is empty"),
    "long idempotency key": ("POST", SAY, b"{}", {"idempotency-key": "k" * 65}, 400, "invalid_argument", "65 bytes"),
    "key for a run": ("POST", RUN, b'{"orderId":"a"}', {"idempotency-key": "k"}, 400, "invalid_argument",
                      "runs once for each key"),
    "send": ("POST", SAY, b"{}", {"restate-send": "1"}, 400, "invalid_argument", "true or false"),
    "delay": ("POST", SAY, b"{}", {"restate-delay": "soon"}, 400, "invalid_argument", "write 10s"),
    "bin header": ("POST", SAY, b"{}", {"x-a-bin": "?"}, 400, "invalid_argument", "x-a-bin is not base64"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_and_nothing_is_submitted(client: httpx.AsyncClient, engine: Any, case: str) -> None:
    method, path, body, headers, status, code, message = BAD[case]
    reply = await client.request(method, path, content=body, headers={**JSON_TYPE, **headers})
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert message in reply.json()["message"]
    assert reply.headers["restate-error-source"] == "ingress"
    assert reply.headers["content-type"] == "application/json"
    assert engine.submissions == []


async def test_what_http_asks_for_is_in_the_headers_of_errors(client: httpx.AsyncClient) -> None:
    assert (await client.get(SAY)).headers["allow"] == "POST"
    assert (await client.post("/healthz")).headers["allow"] == "GET, HEAD"
    assert (await client.post(SAY, content=b"")).headers["accept-post"] == (
        "application/json, application/proto, application/grpc-web, application/grpc-web-text"
    )


async def test_two_different_idempotency_keys_are_refused(client: httpx.AsyncClient, engine: Any) -> None:
    headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    reply = await client.post(SAY, content=b"{}", headers=headers)
    assert "given twice" in reply.json()["message"]
    assert engine.submissions == []


async def test_the_paths_of_wrong_fields_are_in_the_details(client: httpx.AsyncClient) -> None:
    reply = await client.post(ADD, json={"userId": "a", "tickets": [{"price": -1}]})
    detail = reply.json()["details"][0]
    assert detail["type"] == "google.rpc.BadRequest"
    assert detail["debug"]["fieldViolations"][0]["field"] == "tickets[0].price"
    bad = BadRequest.FromString(base64.b64decode(detail["value"] + "=="))
    assert bad.field_violations[0].field == "tickets[0].price"


async def test_a_typed_error_of_a_handler_can_be_read(client: httpx.AsyncClient, engine: Any) -> None:
    failure = Failure(9, "sold out", "shop.v1.SoldOut", b"\x0a\x02e1", (("retry", "no"),))
    engine.answer = lambda _: failure
    reply = await client.post(ADD, json={"userId": "a"})
    assert reply.status_code == 400
    assert reply.headers["restate-error-source"] == "handler"
    assert reply.headers["restate-invocation-id"] == FIRST
    body = reply.json()
    assert (body["code"], body["message"]) == ("failed_precondition", "sold out")
    assert body["details"][0] == {"type": "shop.v1.SoldOut", "value": "CgJlMQ", "debug": {"eventId": "e1"}}
    assert body["details"][1]["debug"]["metadata"] == {"retry": "no"}


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [(1, 499, "canceled"), (2, 500, "unknown"), (10, 409, "aborted"), (14, 503, "unavailable"), (99, 500, "unknown")],
)
async def test_codes_are_mapped_as_connect_says(
    client: httpx.AsyncClient, engine: Any, code: int, status: int, name: str
) -> None:
    failure = Failure(code, "no")
    engine.answer = lambda _: failure
    reply = await client.post(SAY, json={})
    assert (reply.status_code, reply.json()["code"]) == (status, name)


async def test_what_the_engine_refuses_is_of_the_ingress(client: httpx.AsyncClient, engine: Any) -> None:
    engine.error = TerminalError("ran already", code=StatusCode.ALREADY_EXISTS)
    reply = await client.post(RUN, json={"orderId": "1"})
    assert (reply.status_code, reply.json()["code"]) == (409, "already_exists")
    assert reply.headers["restate-error-source"] == "ingress"


async def test_a_defect_of_the_runtime_is_internal_and_shows_no_inside(client: httpx.AsyncClient, engine: Any) -> None:
    engine.error = KeyError("inside")
    reply = await client.post(SAY, json={})
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    assert "inside" not in reply.text


async def test_a_result_without_json_form_says_so(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: Value(b"\xff")
    reply = await client.post(SAY, json={})
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    assert "ask for application/proto" in reply.json()["message"]


async def test_a_timeout_ends_the_wait_and_not_the_invocation(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: None
    reply = await client.post(SAY, json={}, headers={"connect-timeout-ms": "1"})
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
    assert reply.headers["restate-invocation-id"] == FIRST
    assert await engine.closed.get() == (1).to_bytes(16, "big")


async def test_who_waits_when_the_runtime_stops_gets_the_id_to_attach_to(
    client: httpx.AsyncClient, engine: Any, waiting: Waiting
) -> None:
    engine.answer = lambda _: None
    call = asyncio.create_task(client.post(SAY, json={}))
    await engine.accepted.get()
    waiting.send_away()
    reply = await call
    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
    assert FIRST in reply.json()["message"]


async def test_health_tells_serving_from_stopping(client: httpx.AsyncClient, app: HttpApp) -> None:
    reply = await client.get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "serving"})
    app.drain()
    reply = await client.get("/healthz")
    assert (reply.status_code, reply.json()) == (503, {"status": "stopping"})


# restate.ingress.v1.Ingress

INGRESS = "/restate.ingress.v1.Ingress/"
KNOWN = (7).to_bytes(16, "big")


async def test_curl_can_attach_and_ask_for_the_output(client: httpx.AsyncClient, engine: Any) -> None:
    engine.outputs[KNOWN] = Value(b"hi")
    for method in ("Attach", "GetOutput"):
        reply = await client.post(INGRESS + method, json={"invocationId": invocation_id_text(KNOWN)})
        assert (reply.status_code, reply.json()) == (
            200,
            {"payload": base64.b64encode(b"hi").decode(), "invocationId": invocation_id_text(KNOWN)},
        )


async def test_curl_can_complete_awakeables(client: httpx.AsyncClient, engine: Any) -> None:
    awakeable = awakeable_id_text(KNOWN, 1)
    done = await client.post(INGRESS + "ResolveAwakeable", json={"awakeableId": awakeable, "json": '{"paid": true}'})
    failed = await client.post(INGRESS + "RejectAwakeable", json={"awakeableId": awakeable, "message": "no"})
    assert (done.json(), failed.json()) == ({}, {})
    assert engine.completed == [(awakeable, Value(b'{"paid": true}', JSON)), (awakeable, Failure(2, "no"))]


async def test_curl_can_cancel_and_signal(client: httpx.AsyncClient, engine: Any) -> None:
    engine.outputs[KNOWN] = None
    known = invocation_id_text(KNOWN)
    cancelled = await client.post(INGRESS + "Cancel", json={"invocationId": known})
    signal = {"invocationId": known, "name": "approve", "json": '{"by": "ada"}'}
    signalled = await client.post(INGRESS + "SendSignal", json=signal)
    assert (cancelled.json(), signalled.json()) == ({}, {})
    assert engine.cancelled == [KNOWN]
    assert engine.signals == [(KNOWN, "approve", Value(b'{"by": "ada"}', JSON))]


@pytest.mark.parametrize(
    "body",
    [b'{"invocationId": "x", "invocationId": "y"}', b"", b"[]", b'{"nope": 1}', b"[" * 1000, b'{"invocationId": "x"}'],
)
async def test_bad_control_requests_are_refused(client: httpx.AsyncClient, body: bytes) -> None:
    reply = await client.post(INGRESS + "Attach", content=body, headers=JSON_TYPE)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_argument")


async def test_an_unknown_control_method_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.post(INGRESS + "Nope", json={})).status_code == 404
