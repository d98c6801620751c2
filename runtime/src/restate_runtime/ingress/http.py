"""The HTTP ingress: an ASGI app for Connect unary calls in JSON and binary, and GET /healthz.

One request is one method: the path says which handler, the content type says which form. Errors are Connect's JSON
and say what to do. Invariant: as over gRPC, what was accepted goes on whatever becomes of its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, TypeVar

import protobuf
import structlog
from restate_protocol.errors import TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from ..deployments.json_problems import too_deep
from ..deployments.json_text import parse
from ..deployments.schema import InvalidMessage, Schema
from ..engine.api import Accepted, EngineApi
from . import connect
from .admission import ACCEPTED, INVOCATION_ID, PREVIOUSLY_ACCEPTED, STATUS, Admission, Door, Order
from .answers import Answers
from .connect import JSON_TYPE, PROTO_TYPE, Headers, HttpProblem, Reply
from .control import Control, ControlMethod
from .errors import Failed, Refused, answer_of
from .http_server import HttpServer
from .reasons import Reason
from .waiting import Waiting

HEALTH = "/healthz"

#: How long a caller waits before the ingress looks whether it hung up.
WATCH_AFTER_SECONDS = 0.05

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

T = TypeVar("T")
M = TypeVar("M", bound=protobuf.Message[Any])

_log = structlog.get_logger(__name__)


class HttpIngress:
    """The server.

    Args:
        admission: the rules, shared with the gRPC ingress.
        engine: where submissions go.
        waiting: who waits, shared with the gRPC ingress.
    """

    def __init__(self, admission: Admission, engine: EngineApi, waiting: Waiting) -> None:
        self.app = HttpApp(admission, engine, waiting)
        self.answers = self.app.answers
        self._server = HttpServer(self.app, "the HTTP ingress")

    async def start(self, host: str, port: int) -> int:
        """Listens. Gives the real port where asked for 0.

        Raises:
            PortInUse: another program listens there.
            ListenError: the address cannot be listened on.
        """
        return await self._server.start(host, port)

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more requests, lets those in flight end for so long, and ends the rest."""
        self.app.drain()
        await self._server.stop(grace_seconds)


class _Caller:
    """One request as it is worked on: what was read, and what the answer needs whatever happens."""

    __slots__ = ("encoding", "headers", "json", "metadata", "receive", "schema", "timeout")

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.metadata: list[tuple[str, str | bytes]] = []
        self.headers: Headers = []
        self.schema: Schema | None = None
        self.json = True
        self.encoding = b"identity"
        self.timeout: float | None = None

    async def accepted(self, accepted: Accepted) -> None:
        """The answer has the invocation's id, whatever it is."""
        self.headers = _accepted_headers(accepted)


class HttpApp:
    """The ASGI app, for any server."""

    def __init__(self, admission: Admission, engine: EngineApi, waiting: Waiting) -> None:
        self.answers = Answers()
        self._admission = admission
        self._engine = engine
        self._waiting = waiting
        self._control = Control(engine, waiting, admission).methods()
        self._draining = False

    def drain(self) -> None:
        """Says on GET /healthz that the runtime stops."""
        self._draining = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the HTTP ingress speaks no {scope['type']}")
        caller = _Caller(receive)
        try:
            reply = await self._reply(scope, caller)
        except asyncio.CancelledError:
            raise
        except _Gone:
            return
        except Exception as error:
            reply = _error(error, caller, self.answers)
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Message, caller: _Caller) -> Reply:
        path = scope["path"]
        if path == HEALTH:
            return self._health(scope["method"])
        control = self._control.get(path)
        door = self._door(path) if control is None else None
        if scope["method"] != "POST":
            message = f"{path} takes POST, not {scope['method']}"
            raise HttpProblem(405, StatusCode.UNIMPLEMENTED, message, [(b"allow", b"POST")], Reason.HTTP_METHOD)
        caller.schema = None if door is None else door.schema
        length = self._read_headers(scope["headers"], caller)
        body = await self._body(caller, length)
        if door is not None:
            reply = await self._call(door, body, caller)
        else:
            assert control is not None
            reply = await _with_timeout(caller, _while_connected(_control(control, body, caller), caller.receive))
        self.answers.ok += 1
        return reply

    def _health(self, method: str) -> Reply:
        if method not in ("GET", "HEAD"):
            message = f"{HEALTH} takes GET, not {method}"
            allow = (b"allow", b"GET, HEAD")
            raise HttpProblem(405, StatusCode.UNIMPLEMENTED, message, [allow], Reason.HTTP_METHOD)
        if self._draining:
            return _reply(b'{"status":"stopping"}', JSON_TYPE, [], 503)
        return _reply(b'{"status":"serving"}', JSON_TYPE, [])

    def _door(self, path: str) -> Door:
        try:
            return self._admission.door(path)
        except Refused as error:
            if error.code is not StatusCode.UNIMPLEMENTED:
                raise
            message = f"{error.message}. The path is /package.Service/Method"
            raise HttpProblem(404, StatusCode.UNIMPLEMENTED, message, (), error.reason) from None

    def _read_headers(self, headers: list[tuple[bytes, bytes]], caller: _Caller) -> int:
        """Takes what is HTTP's and Connect's, keeps the rest as metadata; gives the content length, -1 if unknown."""
        content_type, length = b"", -1
        for name, value in headers:
            match name:
                case b"content-type":
                    content_type = value
                case b"content-length":
                    length = int(value) if value.isdigit() else -1
                case b"content-encoding":
                    caller.encoding = value
                case b"connect-timeout-ms":
                    caller.timeout = connect.timeout_seconds(value)
                case b"connect-protocol-version":
                    connect.check_version(value)
                case _ if name.endswith(b"-bin"):
                    text = name.decode("latin-1")
                    caller.metadata.append((text, connect.binary_header(text, value)))
                case _:
                    caller.metadata.append((name.decode("latin-1"), value))
        caller.json = connect.is_json(content_type)
        return length

    async def _body(self, caller: _Caller, length: int) -> bytes:
        limit = self._admission.limits.max_message_bytes
        if length > limit:
            raise connect.too_large(limit)
        message = await caller.receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await _more(caller.receive, body, limit)
        if message["type"] == "http.disconnect":
            raise _Gone
        if len(body) > limit:
            raise connect.too_large(limit)
        return body if caller.encoding == b"identity" else connect.decompressed(caller.encoding, body, limit)

    async def _call(self, door: Door, body: bytes, caller: _Caller) -> Reply:
        if caller.timeout == 0:
            raise Refused(StatusCode.DEADLINE_EXCEEDED, "the timeout is 0; nothing was started")
        order = (self._admission.order_json if caller.json else self._admission.order)(door, body, caller.metadata)
        accepted = await self._engine.submit(order.submission, wait=order.wait)
        caller.headers = _accepted_headers(accepted)
        if accepted.result is None or accepted.result.done():
            payload = await self._waiting.payload(accepted)
        else:
            payload = await _with_timeout(caller, _while_connected(self._waiting.payload(accepted), caller.receive))
        return _response(door, order, payload, caller)


class _Gone(Exception):
    """The caller hung up: nobody to answer."""


async def _more(receive: Receive, body: bytes, limit: int) -> bytes:
    """The rest of a body that comes in parts."""
    parts, size = [body], len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise connect.too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


async def _with_timeout(caller: _Caller, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(caller.timeout):
            return await work
    except TimeoutError:
        message = "the caller's timeout passed; what was accepted goes on"
        raise Refused(StatusCode.DEADLINE_EXCEEDED, message) from None


async def _while_connected(work: Awaitable[T], receive: Receive) -> T:
    """What the work gives, unless the caller hangs up first.

    Raises:
        _Gone: the caller hung up.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.caller_is_gone():
            raise _Gone from None
        raise
    finally:
        watch.stop()


class _Watch:
    """Cancels the current task when its caller hangs up.

    Most results are there in milliseconds, so only callers who wait longer are watched: it takes a task.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._end: asyncio.Future[Message] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._start)
        self._saw_end = False

    def caller_is_gone(self) -> bool:
        """Whether the cancellation was ours; takes it back then."""
        if self._saw_end and self._task is not None:
            self._task.uncancel()
        return self._saw_end

    def stop(self) -> None:
        """The work is over, one way or another."""
        self._timer.cancel()
        if self._end is not None:
            self._end.remove_done_callback(self._ended)
            self._end.cancel()

    def _start(self) -> None:
        # All of the body was read, so the next message is the end of the connection.
        self._end = asyncio.ensure_future(self._receive())
        self._end.add_done_callback(self._ended)

    def _ended(self, end: asyncio.Future[Message]) -> None:
        if self._task is not None and not end.cancelled():
            self._saw_end = True
            self._task.cancel()


async def _control(method: ControlMethod, body: bytes, caller: _Caller) -> Reply:
    name = method.request.desc().type_name
    if caller.json and too_deep(body):
        message = f"the request is not a valid {name}: its JSON is nested too deep"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE)
    try:
        request = _from_json(method.request, body) if caller.json else method.request.from_binary(body)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        message = f"the request is not a valid {name}: {error}"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE) from None
    response = await method.call(request, caller)
    if caller.json:
        return _reply(response.to_json().encode(), JSON_TYPE, caller.headers)
    return _reply(response.to_binary(), PROTO_TYPE, caller.headers)


def _from_json(request: type[M], body: bytes) -> M:
    message = request.from_json(body)
    parse(body)  # refuses names that are there twice; the line above would not
    return message


def _response(door: Door, order: Order, payload: bytes, caller: _Caller) -> Reply:
    if not caller.json:
        return _reply(payload, PROTO_TYPE, caller.headers)
    if not order.wait:
        return _reply(b"{}", JSON_TYPE, caller.headers)
    try:
        text = door.schema.to_json(door.response, payload)
    except InvalidMessage as error:
        message = f"{door.service}/{door.handler} answered what JSON cannot hold: {error}; ask for application/proto"
        raise Refused(StatusCode.INTERNAL, message) from None
    return _reply(text.encode(), JSON_TYPE, caller.headers)


def _reply(body: bytes, content_type: bytes, headers: Headers, status: int = 200) -> Reply:
    length = (b"content-length", str(len(body)).encode())
    return Reply(status, [(b"content-type", content_type), length, *headers], body)


def _accepted_headers(accepted: Accepted) -> Headers:
    return [
        (INVOCATION_ID.encode(), invocation_id_text(accepted.invocation_id).encode()),
        (STATUS.encode(), (ACCEPTED if accepted.new else PREVIOUSLY_ACCEPTED).encode()),
    ]


def _error(error: Exception, caller: _Caller, answers: Answers) -> Reply:
    if isinstance(error, HttpProblem):
        answers.note(error.answer)
        return connect.error_reply(error.answer, error.headers, None, error.status)
    if not isinstance(error, Refused | Failed | TerminalError):
        _log.error("the HTTP ingress failed", exc_info=error)
        error = Refused(StatusCode.INTERNAL, f"the runtime failed ({type(error).__name__}); its log says more")
    answer = answer_of(error)
    answers.note(answer)
    return connect.error_reply(answer, caller.headers, caller.schema)
