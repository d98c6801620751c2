"""gRPC-Web, unary: frames, trailers, base64, timeouts, compression and errors."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import Failure, Value
from restate_runtime.engine.overload import Bound, Overloaded
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting

SAY = "/shop.v1.Echo/Say"
ADD = "/shop.v1.Cart/AddTicket"
ADA = b"\x0a\x03ada"
HI = b"\x0a\x02hi"
BINARY = "application/grpc-web+proto"
TEXT = "application/grpc-web-text"
FIRST = invocation_id_text((1).to_bytes(16, "big"))


def frame(data: bytes, flags: int = 0) -> bytes:
    return bytes((flags,)) + len(data).to_bytes(4, "big") + data


def frames(body: bytes) -> tuple[bytes | None, dict[str, str]]:
    """The message, if there is one, and the trailers."""
    message = None
    while body:
        flags, size = body[0], int.from_bytes(body[1:5], "big")
        data, body = body[5 : 5 + size], body[5 + size :]
        assert len(data) == size
        if flags & 0x80:
            assert not body
            lines = data.decode("ascii").split("\r\n")
            assert lines.pop() == ""
            return message, dict(line.split(": ", 1) for line in lines)
        message = data
    raise AssertionError("there are no trailers")


@pytest.fixture
async def client(routes: Any, engine: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = HttpApp(Admission(routes, Limits(max_message_bytes=1024, max_key_bytes=64)), engine, Waiting())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://runtime") as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, body: bytes, kind: str = BINARY, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await client.post(path, content=body, headers={"content-type": kind, **given})
    assert reply.status_code == 200
    return reply


async def test_a_message_in_and_a_message_with_trailers_out(client: httpx.AsyncClient, engine: Any) -> None:
    reply = await post(client, SAY, frame(HI))
    assert reply.headers["content-type"] == "application/grpc-web+proto"
    assert reply.headers["restate-invocation-id"] == FIRST
    assert reply.headers["restate-status"] == "accepted"
    assert frames(reply.content) == (HI, {"grpc-status": "0"})
    assert engine.submissions[0].payload == HI


async def test_the_short_name_is_binary_too(client: httpx.AsyncClient) -> None:
    reply = await post(client, SAY, frame(HI), "application/grpc-web")
    assert frames(reply.content)[0] == HI


async def test_messages_may_be_json(client: httpx.AsyncClient, engine: Any) -> None:
    reply = await post(client, SAY, frame(b'{"text":"hi"}'), "application/grpc-web+json")
    assert reply.headers["content-type"] == "application/grpc-web+json"
    assert frames(reply.content) == (b'{"text":"hi"}', {"grpc-status": "0"})
    assert engine.submissions[0].payload == HI


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 8])
async def test_text_is_base64_of_one_or_several_parts(client: httpx.AsyncClient, engine: Any, cut: int) -> None:
    body = frame(HI)
    text = base64.b64encode(body[:cut]) + base64.b64encode(body[cut:])
    reply = await post(client, SAY, text, TEXT)
    assert reply.headers["content-type"] == "application/grpc-web-text+proto"
    assert frames(base64.b64decode(reply.content, validate=True)) == (HI, {"grpc-status": "0"})
    assert engine.submissions[0].payload == HI


async def test_a_compressed_message_is_read(client: httpx.AsyncClient, engine: Any) -> None:
    await post(client, SAY, frame(gzip.compress(HI), 1), grpc_encoding="gzip")
    assert engine.submissions[0].payload == HI


async def test_an_uncompressed_message_is_read_whatever_the_encoding(client: httpx.AsyncClient, engine: Any) -> None:
    await post(client, SAY, frame(HI), grpc_encoding="gzip")
    assert engine.submissions[0].payload == HI


async def test_a_message_as_long_as_the_limit_is_taken(client: httpx.AsyncClient, engine: Any) -> None:
    longest = b"\x0a\xfd\x07" + b"a" * 1021
    for kind, body in ((BINARY, frame(longest)), (TEXT, base64.b64encode(frame(longest)))):
        await post(client, SAY, body, kind)
        assert engine.submissions.pop().payload == longest


async def test_what_clients_say_about_themselves_is_not_journaled(client: httpx.AsyncClient, engine: Any) -> None:
    await post(client, SAY, frame(HI), x_grpc_web="1", x_user_agent="grpc-web-javascript/0.1", x_tenant="a")
    assert dict(engine.submissions[0].headers) == {"x-tenant": b"a"}


async def test_metadata_means_what_it_means_everywhere(client: httpx.AsyncClient, engine: Any) -> None:
    engine.new = False
    reply = await post(client, SAY, frame(HI), idempotency_key="k", restate_delay="1s")
    assert reply.headers["restate-status"] == "previously-accepted"
    assert frames(reply.content) == (b"", {"grpc-status": "0"})
    assert (engine.submissions[0].idempotency_key, engine.submissions[0].delay_ms) == ("k", 1_000)


async def test_a_typed_error_of_the_handler(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: Failure(9, "sold out: 100 %, ☕", "shop.v1.SoldOut", b"\x0a\x02e1")
    reply = await post(client, ADD, frame(ADA))
    message, trailers = frames(reply.content)
    assert message is None
    assert (trailers["grpc-status"], trailers["restate-error-source"]) == ("9", "handler")
    assert trailers["grpc-message"] == "sold out: 100 %25, %E2%98%95"
    details = trailers["grpc-status-details-bin"]
    status = Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    assert (status.code, status.message) == (9, "sold out: 100 %, ☕")
    assert (status.details[0].TypeName(), status.details[0].value) == ("shop.v1.SoldOut", b"\x0a\x02e1")
    assert reply.headers["restate-invocation-id"] == FIRST


async def test_overload_says_when_to_try_again(client: httpx.AsyncClient, engine: Any) -> None:
    engine.error = Overloaded(Bound.WAITING_CALLERS, "too many callers")
    _, trailers = frames((await post(client, SAY, frame(HI))).content)
    assert (trailers["grpc-status"], trailers["grpc-retry-pushback-ms"]) == ("8", "1000")


async def test_a_timeout_ends_the_wait_and_not_the_invocation(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: None
    reply = await post(client, SAY, frame(HI), grpc_timeout="1m")
    assert frames(reply.content)[1]["grpc-status"] == "4"
    assert reply.headers["restate-invocation-id"] == FIRST


async def test_the_ingress_service_is_served(client: httpx.AsyncClient, engine: Any) -> None:
    engine.outputs[b"k" * 16] = Value(HI)
    text = invocation_id_text(b"k" * 16).encode()
    reply = await post(client, "/restate.ingress.v1.Ingress/GetOutput", frame(b"\x0a" + bytes([len(text)]) + text))
    message, trailers = frames(reply.content)
    assert message is not None
    assert trailers == {"grpc-status": "0"}
    assert HI in message


Bad = tuple[str, bytes, dict[str, str], str, str]
BAD: dict[str, Bad] = {
    "no service": ("/shop.v1.Nope/Say", frame(HI), {}, "12", "no deployment serves"),
    "session": ("/restate.ingress.v1.Ingress/Session", frame(b""), {}, "12", "open it on the gRPC port"),
    "private": ("/shop.v1.Cart/Expire", frame(ADA), {}, "7", "is private"),
    "no key": (ADD, frame(b""), {}, "3", "the key is missing"),
    "no frame": (SAY, b"", {}, "3", "does not begin with a frame"),
    "half a frame": (SAY, b"\0\0", {}, "3", "does not begin with a frame"),
    "trailers": (SAY, frame(b"a: b", 0x80), {}, "3", "does not begin with a frame"),
    "cut": (SAY, frame(HI)[:-1], {}, "3", "4 bytes, and 3 follow"),
    "two messages": (SAY, frame(HI) * 2, {}, "3", "4 bytes, and 13 follow"),
    "too long": (SAY, frame(b"a" * 1025), {}, "8", "than 1024 bytes"),
    "says too long": (SAY, b"\0\xff\xff\xff\xff", {}, "8", "than 1024 bytes"),
    "a bomb": (SAY, frame(gzip.compress(b"a" * 1025), 1), {"grpc-encoding": "gzip"}, "8", "than 1024 bytes"),
    "no gzip": (SAY, frame(HI, 1), {"grpc-encoding": "gzip"}, "3", "not gzip"),
    "unknown compression": (SAY, frame(HI, 1), {"grpc-encoding": "br"}, "12", "send identity or gzip"),
    "compressed somehow": (SAY, frame(HI, 1), {}, "3", "does not say how"),
    "no timeout": (SAY, frame(HI), {"grpc-timeout": "1"}, "3", "grpc-timeout is '1'"),
    "timeout 0": (SAY, frame(HI), {"grpc-timeout": "0m"}, "4", "nothing was started"),
    "no base64": (SAY, b"????", {"content-type": TEXT}, "3", "not base64"),
    "no base64 after a part": (SAY, b"AA==????", {"content-type": TEXT}, "3", "not base64"),
    "cut base64": (SAY, base64.b64encode(frame(HI))[:-1], {"content-type": TEXT}, "3", "not base64"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_in_the_trailers(client: httpx.AsyncClient, engine: Any, case: str) -> None:
    path, body, headers, status, message = BAD[case]
    reply = await client.post(path, content=body, headers={"content-type": BINARY, **headers})
    assert reply.status_code == 200
    content = base64.b64decode(reply.content) if "text" in reply.headers["content-type"] else reply.content
    found, trailers = frames(content)
    assert (found, trailers["grpc-status"], trailers["restate-error-source"]) == (None, status, "ingress")
    assert message in unquote(trailers["grpc-message"])
    assert engine.submissions == []


def test_units_of_timeouts() -> None:
    from restate_runtime.ingress.grpc_web import timeout_seconds

    assert [timeout_seconds(text) for text in (b"1H", b"2M", b"3S", b"4m", b"99999999u", b"6n")] == pytest.approx(
        [3600, 120, 3, 0.004, 99.999999, 6e-9]
    )
