"""The HTTP ingress: an ASGI app for Connect and gRPC-Web unary calls, GET /openapi.json and GET /healthz.

One request is one method: the path says which handler, the content type says which form. Errors have the form of
the request and say what to do. Invariant: as over gRPC, what was accepted goes on whatever becomes of its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import protobuf
import structlog
from restate_protocol.errors import TerminalError
from restate_protocol.status import StatusCode

from ..deployments.json_names import refuse_two_names
from ..deployments.json_problems import too_deep
from ..deployments.json_text import parse
from ..deployments.schema import InvalidMessage
from ..engine.api import EngineApi
from . import control
from .admission import INVOCATION_ID, Admission, Door, Order
from .answers import Answers
from .connect import read_query
from .control import Control, ControlMethod
from .cors import Cors, CorsRules
from .errors import Failed, Refused, answer_of
from .http_message import JSON_TYPE, HttpProblem, Reply, reply, wrong_method
from .http_request import Caller, content_type, form_of, unknown_content_type
from .http_server import HttpServer
from .http_watch import CallerGone, Message, Receive, while_connected, with_timeout
from .openapi import OpenApi
from .reasons import Reason
from .safe_methods import door_is_safe
from .waiting import Waiting

HEALTH = "/healthz"
OPENAPI = "/openapi.json"

Send: TypeAlias = Callable[[Message], Awaitable[None]]

M = TypeVar("M", bound=protobuf.Message[Any])

_log = structlog.get_logger(__name__)


class HttpIngress:
    """The server.

    Args:
        admission: the rules, shared with the gRPC ingress.
        engine: where submissions go.
        waiting: who waits, shared with the gRPC ingress.
        cors: which pages of other origins may call.
        max_head_bytes: the longest request line with headers.
    """

    def __init__(
        self,
        admission: Admission,
        engine: EngineApi,
        waiting: Waiting,
        cors: CorsRules | None = None,
        max_head_bytes: int = 65_536,
    ) -> None:
        self.app = HttpApp(admission, engine, waiting)
        self.answers = self.app.answers
        outer = self.app if cors is None else Cors(self.app, cors)
        self._server = HttpServer(outer, "the HTTP ingress", max_head_bytes)

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


class HttpApp:
    """The ASGI app, for any server."""

    def __init__(self, admission: Admission, engine: EngineApi, waiting: Waiting) -> None:
        self.answers = Answers()
        self._admission = admission
        self._engine = engine
        self._waiting = waiting
        self._control = Control(engine, waiting, admission).methods()
        self._openapi = OpenApi(admission.routes, self._control)
        self._draining = False

    def drain(self) -> None:
        """Says on GET /healthz that the runtime stops."""
        self._draining = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the HTTP ingress speaks no {scope['type']}")
        caller = Caller(receive)
        try:
            answer = await self._answer(scope, caller)
        except asyncio.CancelledError:
            raise
        except CallerGone:
            return
        except Exception as error:
            answer = _error(error, caller, self.answers)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Message, caller: Caller) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == HEALTH:
            return self._health(method)
        if path == OPENAPI:
            return self._document(scope)
        given = content_type(scope)
        form = form_of(given)
        if form is not None:
            caller.form = form
        target = self._control.get(path) or self._door(path)
        if method != "POST":
            message = await self._message_of_get(scope, target, caller)
        elif form is None:
            raise unknown_content_type(given)
        else:
            caller.read_headers(scope["headers"])
            message = await caller.message(self._admission.limits.max_message_bytes)
        response = await self._call(target, message, caller)
        self.answers.ok += 1
        return caller.form.reply(response, caller.headers)

    def _health(self, method: str) -> Reply:
        if method not in ("GET", "HEAD"):
            raise wrong_method(HEALTH, method, "GET, HEAD")
        if self._draining:
            return reply(b'{"status":"stopping"}', JSON_TYPE, [], 503)
        return reply(b'{"status":"serving"}', JSON_TYPE, [])

    def _document(self, scope: Message) -> Reply:
        if scope["method"] not in ("GET", "HEAD"):
            raise wrong_method(OPENAPI, scope["method"], "GET, HEAD")
        return self._openapi.reply(scope["query_string"], dict(scope["headers"]).get(b"if-none-match", b""))

    def _door(self, path: str) -> Door:
        try:
            return self._admission.door(path)
        except Refused as error:
            if error.code is not StatusCode.UNIMPLEMENTED:
                raise
            raise _no_such_path(path, error) from None

    async def _message_of_get(self, scope: Message, target: Door | ControlMethod, caller: Caller) -> bytes:
        """The request in the query, for what has no side effects."""
        path, method = scope["path"], scope["method"]
        safe = isinstance(target, Door) and door_is_safe(target)
        if method != "GET" or not safe:
            raise wrong_method(path, method, "GET, POST" if safe else "POST", _WHY_POST if method == "GET" else "")
        limit = self._admission.limits.max_message_bytes
        caller.read_headers(scope["headers"])
        caller.form, message = read_query(scope["query_string"], limit)
        await caller.body(limit)
        return message

    async def _call(self, target: Door | ControlMethod, message: bytes, caller: Caller) -> bytes:
        if isinstance(target, ControlMethod):
            work = while_connected(_control(target, message, caller), caller.receive)
            return await with_timeout(caller.timeout, work)
        caller.schema = target.schema
        if caller.timeout == 0:
            raise Refused(StatusCode.DEADLINE_EXCEEDED, "the timeout is 0; nothing was started")
        read = self._admission.order_json if caller.form.json else self._admission.order
        order = read(target, message, caller.metadata)
        accepted = await self._engine.submit(order.submission, wait=order.wait)
        await caller.accepted(accepted)
        if accepted.result is None or accepted.result.done():
            payload = await self._waiting.payload(accepted)
        else:
            waiting = while_connected(self._waiting.payload(accepted), caller.receive)
            payload = await with_timeout(caller.timeout, waiting)
        return _response(target, order, payload) if caller.form.json else payload


_WHY_POST = ". Only a method with `option idempotency_level = NO_SIDE_EFFECTS` may be called with GET"


def _no_such_path(path: str, error: Refused) -> HttpProblem:
    service, _, name = path[1:].partition("/")
    reason = Reason.UNKNOWN_HANDLER
    if service != control.SERVICE:
        reason = error.reason
        end = "" if error.message.endswith("?") else "."
        message = f"{error.message}{end} The path is /package.Service/Method"
    elif name == "Session":
        message = "Session is a stream in both directions, which HTTP/1.1 does not carry; open it on the gRPC port"
    else:
        message = f"{service} has no method {name}"
    return HttpProblem(404, StatusCode.UNIMPLEMENTED, message, (), reason)


async def _control(method: ControlMethod, body: bytes, caller: Caller) -> bytes:
    name = method.request.desc().type_name
    if caller.form.json and too_deep(body):
        raise _not_valid(name, "its JSON is nested too deep")
    try:
        request = _from_json(method.request, body) if caller.form.json else method.request.from_binary(body)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _not_valid(name, str(error)) from None
    response = await method.call(request, caller)
    return response.to_json().encode() if caller.form.json else response.to_binary()


def _not_valid(name: str, why: str) -> Refused:
    message = f"the request is not a valid {name}: {why}"
    return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE)


def _from_json(request: type[M], body: bytes) -> M:
    message = request.from_json(body)
    value = parse(body)  # refuses names that are there twice; the line above would not
    refuse_two_names(request.desc(), body, value)
    return message


def _response(door: Door, order: Order, payload: bytes) -> bytes:
    """The response as JSON."""
    if not order.wait:
        return b"{}"
    try:
        return door.schema.to_json(door.response, payload).encode()
    except InvalidMessage as error:
        message = f"{door.service}/{door.handler} answered what JSON cannot hold: {error}; ask for application/proto"
        raise Refused(StatusCode.INTERNAL, message) from None


def _error(error: Exception, caller: Caller, answers: Answers) -> Reply:
    if isinstance(error, HttpProblem):
        answers.note(error.answer)
        return caller.form.error(error.answer, error.headers, None, error.status)
    if not isinstance(error, Refused | Failed | TerminalError):
        _log.error("the HTTP ingress failed", exc_info=error)
        error = Refused(StatusCode.INTERNAL, f"the runtime failed ({type(error).__name__}); its log says more")
    answer = answer_of(error)
    answers.note(answer)
    standing = [(INVOCATION_ID.encode(), answer.invocation_id.encode())] if answer.invocation_id else []
    return caller.form.error(answer, [*caller.headers, *standing], caller.schema, None)
