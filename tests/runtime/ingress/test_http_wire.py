"""What is wrong on the wire: heads over the limit, bytes that are no HTTP/1.1, upgrades, pipelines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpIngress
from restate_runtime.ingress.waiting import Waiting

LIMIT = 2_048
HEAD = b"POST /shop.v1.Echo/Say HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture
async def port(routes: Any, engine: Any) -> AsyncIterator[int]:
    limits = Limits(max_message_bytes=1_000_000, max_metadata_bytes=1_000_000)
    ingress = HttpIngress(Admission(routes, limits), engine, Waiting(), max_head_bytes=LIMIT)
    yield await ingress.start("127.0.0.1", 0)
    await ingress.stop(0)


async def exchange(port: int, *parts: bytes) -> tuple[int, dict[str, str], dict[str, Any], bool]:
    """Status, headers and JSON of the first response, and whether the connection was closed after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    status, headers, body = await response(reader)
    closed = headers.get("connection") == "close" and await reader.read() == b""
    writer.close()
    return status, headers, body, closed


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, Any]]:
    """One response."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split(" ")[1]), headers, json.loads(body)


def with_length(body: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n%b" % (len(body), body)


async def test_headers_up_to_the_limit_are_taken(port: int) -> None:
    # The bytes of names and values, four more for each header, and the path.
    taken = len(b"/shop.v1.Echo/Say") + len(b"hostx") + len(b"content-typeapplication/json") + len(b"content-length2")
    pad = LIMIT - taken - 4 * 4 - len(b"x-pad")
    status, _, body, _ = await exchange(port, HEAD + b"x-pad: " + b"a" * pad + b"\r\n" + with_length(b"{}"))
    assert (status, body) == (200, {})
    status, _, body, closed = await exchange(port, HEAD + b"x-pad: " + b"a" * (pad + 1) + b"\r\n" + with_length(b"{}"))
    assert (status, body["code"], closed) == (431, "resource_exhausted", True)


LONG = {
    "many headers": HEAD + b"x-a: b\r\n" * 1_000 + with_length(b"{}"),
    "a long header": HEAD + b"x-a: " + b"b" * LIMIT + b"\r\n" + with_length(b"{}"),
    "a long query": b"GET /shop.v1.Echo/Say?message=" + b"b" * LIMIT + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a header that never ends": HEAD + b"x-a: " + b"b" * 400_000,
}


@pytest.mark.parametrize("case", LONG)
async def test_a_head_over_the_limit_is_refused_by_name(port: int, engine: Any, case: str) -> None:
    status, headers, body, closed = await exchange(port, LONG[case])
    assert (status, body["code"], closed) == (431, "resource_exhausted", True)
    assert "longer than 2048 bytes, the limit (setting max_http_head_bytes)" in body["message"]
    assert body["details"][0]["debug"]["reason"] == "METADATA_TOO_LARGE"
    assert (headers["restate-error-source"], headers["content-type"]) == ("ingress", "application/json")
    assert engine.submissions == []


NO_HTTP = {
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "noise": b"\x00\x01\x02\x03\r\n\r\n",
    "a bad header": HEAD + b"x a: b\r\n\r\n",
    "a tunnel": b"CONNECT a.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a bad path": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "a length and parts": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
}


@pytest.mark.parametrize("case", NO_HTTP)
async def test_what_is_no_http_is_told_what_is_spoken_here(port: int, engine: Any, case: str) -> None:
    status, _, body, closed = await exchange(port, NO_HTTP[case])
    assert (status, body["code"], closed) == (400, "invalid_argument", True)
    assert body["message"].startswith("this is not an HTTP/1.1 request. HTTP/2 and native gRPC are spoken on the gRPC")
    assert engine.submissions == []


async def test_requests_in_a_row_each_have_the_limit_of_their_own(port: int, engine: Any) -> None:
    one = HEAD + b"x-pad: " + b"a" * (LIMIT - 200) + b"\r\n" + with_length(b'{"text":"' + b"b" * 5_000 + b'"}')
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(one * 20)
    for _ in range(20):
        status, _, body = await response(reader)
        assert (status, len(body["text"])) == (200, 5_000)
    writer.close()


@pytest.mark.parametrize("connection", [b"Upgrade, HTTP2-Settings", b"upgrade"])
@pytest.mark.parametrize("parts", [1, 2, 40])
async def test_an_offer_to_upgrade_is_passed_over(port: int, connection: bytes, parts: int) -> None:
    # Java's HTTP client makes one with its first request.
    offer = b"connection: %b\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n" % connection
    text = HEAD + offer + with_length(b'{"text":"hi"}')
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        for at in range(parts):
            writer.write(text[at * len(text) // parts : (at + 1) * len(text) // parts])
            await writer.drain()
        status, _, body = await response(reader)
        assert (status, body) == (200, {"text": "hi"})
    writer.close()


async def test_an_offer_without_a_body_is_passed_over_too(port: int) -> None:
    offer = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    status, _, body, _ = await exchange(port, offer)
    assert (status, body) == (200, {"status": "serving"})
