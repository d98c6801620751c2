"""GET of the Connect protocol: for handlers whose contract says that they have no side effects, and for no others."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting

LIBRARY = """
syntax = "proto3";
package library.v1;
service Shelf {
  rpc Find(FindRequest) returns (FindRequest) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(FindRequest) returns (FindRequest) { option idempotency_level = IDEMPOTENT; }
}
message FindRequest { string title = 1; }
"""
FIND = "/library.v1.Shelf/Find"
PUT = "/library.v1.Shelf/Put"
TITLE = "Solaris ☕ & more"
MESSAGE = b"\x0a\x12" + TITLE.encode()


@pytest.fixture
async def client(
    routes: Any, engine: Any, compile_protos: Callable[[Mapping[str, str]], bytes]
) -> AsyncIterator[httpx.AsyncClient]:
    routes.register(compile_protos({"library/v1/library.proto": LIBRARY}))
    app = HttpApp(Admission(routes, Limits(max_message_bytes=1024, max_key_bytes=64)), engine, Waiting())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://runtime") as client:
        yield client


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


GOOD = {
    "JSON": urlencode({"connect": "v1", "encoding": "json", "message": f'{{"title":"{TITLE}"}}'}),
    "without a version": urlencode({"encoding": "json", "message": f'{{"title":"{TITLE}"}}'}),
    "binary": "connect=v1&encoding=proto&message=" + quote(MESSAGE),
    "base64": "encoding=proto&base64=1&message=" + unpadded(MESSAGE),
    "padded base64": "encoding=proto&base64=1&message=" + quote(base64.urlsafe_b64encode(MESSAGE)),
    "JSON in base64": "encoding=json&base64=1&message=" + unpadded(f'{{"title":"{TITLE}"}}'.encode()),
    "gzip": "encoding=proto&base64=1&compression=gzip&message=" + unpadded(gzip.compress(MESSAGE)),
    "what others put there": urlencode({"encoding": "json", "message": f'{{"title":"{TITLE}"}}', "utm": "x"}),
}


@pytest.mark.parametrize("case", GOOD)
async def test_the_request_is_in_the_query(client: httpx.AsyncClient, engine: Any, case: str) -> None:
    reply = await client.get(f"{FIND}?{GOOD[case]}", headers={"idempotency-key": "k", "x-tenant": "a"})
    assert reply.status_code == 200
    if "encoding=json" in GOOD[case]:
        assert (reply.headers["content-type"], reply.json()) == ("application/json", {"title": TITLE})
    else:
        assert (reply.headers["content-type"], reply.content) == ("application/proto", MESSAGE)
    [submission] = engine.submissions
    assert (submission.payload, submission.idempotency_key) == (MESSAGE, "k")
    assert dict(submission.headers) == {"x-tenant": b"a"}
    assert reply.headers["restate-status"] == "accepted"
    assert "cache-control" not in reply.headers


async def test_what_may_be_got_may_be_posted(client: httpx.AsyncClient) -> None:
    assert (await client.post(FIND, json={"title": "a"})).json() == {"title": "a"}


async def test_an_empty_message_is_a_message_in_binary(client: httpx.AsyncClient, engine: Any) -> None:
    assert (await client.get(f"{FIND}?encoding=proto&message=")).status_code == 200
    assert engine.submissions[0].payload == b""


async def test_a_timeout_ends_the_wait(client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: None
    reply = await client.get(f"{FIND}?encoding=proto&message=", headers={"connect-timeout-ms": "1"})
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")


Bad = tuple[str, str, str, int, str]
BAD: dict[str, Bad] = {
    "side effects": ("GET", PUT, "encoding=proto&message=", 405, "NO_SIDE_EFFECTS` may be called with GET"),
    "PUT": ("PUT", FIND, "", 405, "takes GET or POST, not PUT"),
    "HEAD": ("HEAD", FIND, "", 405, ""),
    "version": ("GET", FIND, "connect=v2&encoding=json&message={}", 400, "connect is 'v2'"),
    "no encoding": ("GET", FIND, "message={}", 400, "encoding is missing; send json or proto"),
    "encoding": ("GET", FIND, "encoding=xml&message={}", 400, "encoding is 'xml'; send json or proto"),
    "no message": ("GET", FIND, "encoding=json", 400, "message is missing"),
    "twice": ("GET", FIND, "encoding=json&message={}&message={}", 400, "message is there twice"),
    "base64": ("GET", FIND, "encoding=json&message=e30&base64=yes", 400, "base64 is 'yes'"),
    "not base64": ("GET", FIND, "encoding=proto&message=%21&base64=1", 400, "message is not base64"),
    "other base64": ("GET", FIND, "encoding=proto&message=%2B%2F%2F%2F&base64=1", 400, "which has - and _"),
    "compression": ("GET", FIND, "encoding=proto&message=&compression=br", 501, "compression 'br' is not known"),
    "not gzip": ("GET", FIND, "encoding=proto&message=a&compression=gzip", 400, "not gzip, as compression says"),
    "not JSON": ("GET", FIND, "encoding=json&message=", 400, "not JSON"),
    "unknown field": ("GET", FIND, 'encoding=json&message={"nope":1}', 400, "nope: library.v1.FindRequest has no such"),
    "too long": ("GET", FIND, "encoding=json&message=" + " " * 1025, 413, "than 1024 bytes"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_query_is_refused(client: httpx.AsyncClient, engine: Any, case: str) -> None:
    method, path, query, status, message = BAD[case]
    reply = await client.request(method, f"{path}?{query}")
    assert reply.status_code == status
    if method != "HEAD":
        assert message in reply.json()["message"]
    if status == 405:
        assert reply.headers["allow"] == ("POST" if path == PUT else "GET, POST")
    assert engine.submissions == []
