"""The ways into the ingress, each as one function: a request in, what the caller saw out, in one form for all of them.

A new way is one more entry of WAYS: every row of the suites runs over it then.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import grpc.aio
import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from protobuf import Oneof
from restate_protocol.gen.restate.ingress.v1 import ingress_pb
from restate_protocol.status import StatusCode

CALL = "/restate.ingress.v1.Ingress/Call"
SESSION = "/restate.ingress.v1.Ingress/Session"
#: Ways that call handlers only, and have fields for what headers say elsewhere.
BY_MESSAGE = ("Session", "Ingress.Call", "Ingress.Call json")


@dataclass(frozen=True)
class Ask:
    """A request.

    Args:
        path: /package.Service/Method.
        binary, json: the message in both forms; None: it cannot be said in this one.
        headers: what comes with it.
    """

    path: str
    binary: bytes | None
    json: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a caller saw of an error.

    Args:
        code: name of the gRPC code.
        http: the HTTP status; 0 over gRPC and gRPC-Web, which have none of their own.
        reason: of ErrorInfo.
        fields: of BadRequest.
        retry: whether it says when to try again: in its details and in its protocol's own way.
    """

    code: str
    message: str
    source: str
    http: int = 0
    reason: str = ""
    fields: tuple[str, ...] = ()
    retry: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Doors:
    """Clients of a runtime."""

    channel: grpc.aio.Channel
    http: httpx.AsyncClient


Way = Callable[[Doors, Ask], Awaitable[Seen]]


async def over_grpc(doors: Doors, ask: Ask) -> Seen:
    """Native gRPC."""
    method: Any = doors.channel.unary_unary(ask.path)
    call = method(ask.binary, metadata=tuple(ask.headers.items()), timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    trailing = dict(error.trailing_metadata())
    status = Status.FromString(trailing["grpc-status-details-bin"])
    details = [(one.type_url.rpartition("/")[2], one.value) for one in status.details]
    assert (status.code, status.message) == (error.code().value[0], error.details())
    pushed = "grpc-retry-pushback-ms" in trailing
    return _seen(error.code().name, error.details() or "", trailing["restate-error-source"], 0, details, pushed)


async def over_json(doors: Doors, ask: Ask) -> Seen:
    """Connect with JSON."""
    assert ask.json is not None
    return await _connect(doors, ask, "application/json", ask.json)


async def over_proto(doors: Doors, ask: Ask) -> Seen:
    """Connect with binary."""
    assert ask.binary is not None
    return await _connect(doors, ask, "application/proto", ask.binary)


async def over_grpc_web(doors: Doors, ask: Ask) -> Seen:
    """gRPC-Web, in binary."""
    assert ask.binary is not None
    return await _grpc_web(doors, ask, "application/grpc-web+proto", ask.binary)


async def over_grpc_web_json(doors: Doors, ask: Ask) -> Seen:
    """gRPC-Web with JSON."""
    assert ask.json is not None
    return await _grpc_web(doors, ask, "application/grpc-web+json", ask.json)


async def _grpc_web(doors: Doors, ask: Ask, content_type: str, message: bytes) -> Seen:
    headers = {**ask.headers, "content-type": content_type}
    answer = await doors.http.post(ask.path, content=b"\x00" + len(message).to_bytes(4) + message, headers=headers)
    body = answer.content
    assert (answer.status_code, body[0]) == (200, 0x80), f"{ask} was taken"
    lines = body[5:].decode().splitlines()
    trailers = dict(line.split(": ", 1) for line in lines)
    data = trailers["grpc-status-details-bin"]
    status = Status.FromString(base64.b64decode(data + "=" * (-len(data) % 4)))
    code = StatusCode(int(trailers["grpc-status"])).name
    assert status.message == unquote(trailers["grpc-message"])
    details = [(one.type_url.rpartition("/")[2], one.value) for one in status.details]
    pushed = "grpc-retry-pushback-ms" in trailers
    return _seen(code, status.message, trailers["restate-error-source"], 0, details, pushed)


async def by_call(doors: Doors, ask: Ask) -> Seen:
    """Ingress.Call over gRPC, with a message in binary."""
    service, _, handler = ask.path[1:].partition("/")
    assert ask.binary is not None
    given: Any = Oneof("payload", ask.binary)
    request = ingress_pb.CallRequest(service=service, handler=handler, request=given)
    return await over_grpc(doors, Ask(CALL, request.to_binary(), None, ask.headers))


async def by_call_json(doors: Doors, ask: Ask) -> Seen:
    """Ingress.Call over Connect, with a message in JSON."""
    assert ask.json is not None
    service, _, handler = ask.path[1:].partition("/")
    body = {"service": service, "handler": handler, "json": ask.json.decode()}
    return await over_json(doors, Ask(CALL, None, json.dumps(body).encode(), ask.headers))


async def by_session(doors: Doors, ask: Ask) -> Seen:
    """A call on a stream of Ingress.Session, which has no way of its own to say when to try again."""
    service, _, handler = ask.path[1:].partition("/")
    given: Any = Oneof("payload", ask.binary)
    wanted: Any = Oneof("call", ingress_pb.CallRequest(service=service, handler=handler, request=given))
    method: Any = doors.channel.stream_stream(SESSION)
    stream = method()
    asks = [ingress_pb.SessionAsk(id=1, request=wanted)]
    await stream.write(ingress_pb.SessionRequest(asks=asks).to_binary())
    answers: list[Any] = []
    while not answers:
        answers = ingress_pb.SessionResponse.from_binary(await stream.read()).answers
    stream.cancel()
    [answer] = answers
    assert answer.answer.field == "error", f"{ask} was taken"
    error = answer.answer.value
    details = [(one.type_url.rpartition("/")[2], one.value) for one in error.details]
    source = "handler" if error.from_handler else "ingress"
    seen = _seen(StatusCode(error.code).name, error.message, source, 0, details, False)
    return replace(seen, retry=(seen.retry[0], seen.retry[0]))


async def _connect(doors: Doors, ask: Ask, content_type: str, body: bytes) -> Seen:
    headers = {**ask.headers, "content-type": content_type}
    answer = await doors.http.post(ask.path, content=body, headers=headers)
    assert answer.status_code != 200, f"{ask} was taken"
    said = answer.json()
    details = [(one["type"], base64.b64decode(one["value"] + "==")) for one in said.get("details", [])]
    code = said["code"].upper().replace("CANCELED", "CANCELLED")
    source = answer.headers["restate-error-source"]
    return _seen(code, said["message"], source, answer.status_code, details, "retry-after" in answer.headers)


def _seen(code: str, message: str, source: str, http: int, details: list[tuple[str, bytes]], pushed: bool) -> Seen:
    reason, fields, retry = "", (), False
    for type_name, data in details:
        if type_name == "google.rpc.ErrorInfo":
            reason = ErrorInfo.FromString(data).reason
        elif type_name == "google.rpc.BadRequest":
            fields = tuple(one.field for one in BadRequest.FromString(data).field_violations)
        elif type_name == "google.rpc.RetryInfo":
            retry = RetryInfo.FromString(data).retry_delay.ToMilliseconds() > 0
    return Seen(code, message, source, http, reason, fields, (retry, pushed))


#: Name, what it is, which form of the message it carries, and the label of its protocol in metrics.
WAYS: dict[str, tuple[Way, str, str]] = {
    "grpc": (over_grpc, "binary", "grpc"),
    "connect json": (over_json, "json", "http"),
    "connect proto": (over_proto, "binary", "http"),
    "gRPC-Web": (over_grpc_web, "binary", "http"),
    "gRPC-Web json": (over_grpc_web_json, "json", "http"),
    "Session": (by_session, "binary", "grpc"),
    "Ingress.Call": (by_call, "binary", "grpc"),
    "Ingress.Call json": (by_call_json, "json", "http"),
}
