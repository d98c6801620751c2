"""The gRPC ingress: every public handler of every registered service, on raw bytes, and the built-in services.

Methods are looked up by path for each call, so that registrations take effect at once. No message is decoded here
but by the admission; nothing is logged for a call that goes well. Invariant: every error has
`restate-error-source` in its trailing metadata, and what was accepted goes on whatever becomes of its caller.

Every unary method is served as one that streams requests, of which it reads one: to one that is unary the library
gives no say about a call without a message, and would leave it without an answer. It costs the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from restate_protocol.errors import TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.immutable import immutable
from restate_protocol.status import StatusCode

from ..engine.api import Accepted, EngineApi
from .accepting import accepting_server
from .admission import ACCEPTED, INVOCATION_ID, PREVIOUSLY_ACCEPTED, STATUS, Admission, Door
from .answers import Answers
from .control import Control, ControlMethod
from .control_calls import Metadata
from .errors import INGRESS, SOURCE, Answer, Failed, ListenError, Refused, answer_of
from .health import Health
from .ports import address_text, check_free
from .reasons import Reason
from .reflection import Reflection
from .session import DEFAULT_SESSION_LIMITS, SessionLimits
from .sessions import PATH as SESSION
from .sessions import Sessions
from .waiting import Waiting

WHAT = "the gRPC ingress"
DETAILS = "grpc-status-details-bin"
#: When gRPC clients that retry by themselves may try again, in milliseconds.
PUSHBACK = "grpc-retry-pushback-ms"

#: What is a little too long is refused by us, with an error that says so; what is longer still, by the library.
SLACK_BYTES = 4 << 20
METADATA_SLACK_BYTES = 16 << 10
#: How many calls may have arrived that were not looked at. It is the last resort: overload is told of before.
PENDING_MAX = 1_000_000
#: How long the last responses may take to leave once every call is answered.
FLUSH_SECONDS = 1.0

STOPPING = "the runtime stops and takes no more calls; nothing was started, ask again"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Behaviour: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_LIBRARY = "/grpc."
_BUILT_IN = (_LIBRARY, "/restate.")

_log = structlog.get_logger(__name__)


@immutable
class Keepalive:
    """How connections are kept and checked.

    Args:
        interval_ms: the server pings a connection on which nothing came for so long.
        timeout_ms: and closes it if no answer comes in that time.
        min_client_interval_ms: clients may ping this often, with and without calls; ones that ping more often are
            sent away.
    """

    interval_ms: int = 60_000
    timeout_ms: int = 20_000
    min_client_interval_ms: int = 10_000


DEFAULT_KEEPALIVE = Keepalive()


class GrpcIngress:
    """The server.

    Args:
        admission: the rules, shared with the HTTP ingress.
        engine: where submissions go.
        waiting: who waits, shared with the HTTP ingress.
        keepalive: how connections are kept.
        session_limits: what one session of a caller may do.
    """

    def __init__(
        self,
        admission: Admission,
        engine: EngineApi,
        waiting: Waiting,
        keepalive: Keepalive = DEFAULT_KEEPALIVE,
        session_limits: SessionLimits = DEFAULT_SESSION_LIMITS,
    ) -> None:
        self._admission = admission
        self._keepalive = keepalive
        self._health = Health(admission.routes)
        self.answers = Answers()
        self.sessions = Sessions(admission, engine, waiting, session_limits, self.answers, _abort)
        self.calls = Calls(admission, engine, waiting, self.answers, self.sessions)
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens. Gives the real port where asked for 0.

        Raises:
            PortInUse: another program listens there.
            ListenError: the address cannot be listened on.
        """
        check_free(WHAT, host, port)
        server = accepting_server(self._options())
        # The first handler that knows a path serves it: calls first, because they are many; the last knows all.
        reflection = Reflection(self._admission.routes).handler()
        server.add_generic_rpc_handlers((self.calls, reflection, *self._health.handlers(), Unknown(self.answers)))
        address = address_text(host, port)
        try:
            bound = server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(WHAT, address, str(error)) from None
        await self._health.start()
        await server.start()
        self._server = server
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls with UNAVAILABLE, lets those in flight end for so long, and ends the rest.

        To send waiting callers away in good order, call Waiting.send_away before the grace is over.
        """
        await self._health.drain()
        if self._server is None:
            return
        self.calls.drain()
        self.sessions.drain()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(self.calls.idle(), self.sessions.idle()), grace_seconds)
        # What is left are streams that never end by themselves, and responses on their way out.
        await self._server.stop(min(grace_seconds, FLUSH_SECONDS))

    def _options(self) -> list[tuple[str, int]]:
        limits, keepalive = self._admission.limits, self._keepalive
        metadata = limits.max_metadata_bytes + METADATA_SLACK_BYTES
        return [
            ("grpc.max_receive_message_length", limits.max_message_bytes + SLACK_BYTES),
            ("grpc.max_send_message_length", -1),
            # One bound and not two: between them the library would refuse by chance.
            ("grpc.max_metadata_size", metadata),
            ("grpc.absolute_max_metadata_size", metadata),
            ("grpc.keepalive_time_ms", keepalive.interval_ms),
            ("grpc.keepalive_timeout_ms", keepalive.timeout_ms),
            # The library waits a minute for the answer to any ping, whatever the line above says.
            ("grpc.http2.ping_timeout_ms", keepalive.timeout_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", keepalive.min_client_interval_ms),
            # What comes faster than it is taken waits for its turn and its answer: the library would end some of it
            # with CANCELLED, by chance, from a thousand calls on.
            ("grpc.server.max_pending_requests", PENDING_MAX),
            ("grpc.server.max_pending_requests_hard_limit", PENDING_MAX),
            # Two runtimes on one port would share the calls between them.
            ("grpc.so_reuseport", 0),
        ]


class Calls(grpc.GenericRpcHandler):
    """Calls of handlers, and of restate.ingress.v1.Ingress."""

    def __init__(
        self, admission: Admission, engine: EngineApi, waiting: Waiting, answers: Answers, sessions: Sessions
    ) -> None:
        self._admission = admission
        self._engine = engine
        self._waiting = waiting
        self._answers = answers
        self._open = 0
        self._left: asyncio.Event | None = None
        self._control = {
            path: self._unary(_control_behaviour(method))
            for path, method in Control(engine, waiting, admission).methods().items()
        }
        anything: Any = sessions.serve  # the stubs know no coroutine functions
        self._control[SESSION] = grpc.stream_stream_rpc_method_handler(anything)
        self._methods: dict[str, MethodHandler] = dict(self._control)
        admission.routes.on_change(self._forget)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        path = handler_call_details.method
        if self._left is not None and not path.startswith(_LIBRARY):
            return _refusal(Refused(StatusCode.UNAVAILABLE, STOPPING, reason=Reason.STOPPING), self._answers)
        known = self._methods.get(path)
        if known is not None or path.startswith(_BUILT_IN):
            return known
        try:
            door = self._admission.door(path)
        except Refused as error:
            return _refusal(error, self._answers)
        handler = self._methods[path] = self._unary(self._behaviour(door))
        return handler

    def drain(self) -> None:
        """Refuses every call from now on; those under way go on."""
        self._left = asyncio.Event()
        if not self._open:
            self._left.set()

    async def idle(self) -> None:
        """Waits until no call is under way any more; after `drain`."""
        assert self._left is not None
        await self._left.wait()

    def _leave(self) -> None:
        self._open -= 1
        if not self._open and self._left is not None:
            self._left.set()

    def _forget(self) -> None:
        self._methods = dict(self._control)

    def _unary(self, behaviour: Behaviour) -> MethodHandler:
        async def call(_requests: AsyncIterable[bytes], context: Context) -> bytes:
            self._open += 1
            try:
                return await self._answered(behaviour, context)
            finally:
                self._leave()

        anything: Any = call  # the stubs know no coroutine functions
        return grpc.stream_unary_rpc_method_handler(anything)

    async def _answered(self, behaviour: Behaviour, context: Context) -> bytes:
        """Reads the one request and answers it."""
        try:
            _check_deadline(context)
            request: Any = await context.read()
            if request is grpc.aio.EOF:
                message = "the call has no message; a unary method takes one"
                raise Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.MESSAGE_COUNT)
            data = await behaviour(request, context)
            self._answers.ok += 1
            return data
        except Exception as error:
            problem = error
        return await _fail(context, problem, self._answers)

    def _behaviour(self, door: Door) -> Behaviour:
        order, submit, payload = self._admission.order, self._engine.submit, self._waiting.payload

        async def call(request: bytes, context: Context) -> bytes:
            wanted = order(door, request, context.invocation_metadata() or ())
            if wanted.gzip:
                context.set_compression(grpc.Compression.Gzip)
            accepted = await submit(wanted.submission, wait=wanted.wait)
            await _tell_accepted(context, accepted)
            return await payload(accepted)

        return call


class Unknown(grpc.GenericRpcHandler):
    """Knows every path and refuses it: what is asked of our own packages but is not there."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler:
        service, _, name = handler_call_details.method[1:].partition("/")
        message = f"this runtime has no method {name} of {service}"
        error = Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.UNKNOWN_HANDLER)
        return _refusal(error, self._answers)


def _refusal(error: Refused, answers: Answers) -> MethodHandler:
    """Ends any kind of call at once, whatever it streams."""

    async def refuse(_requests: AsyncIterable[bytes], context: Context) -> None:
        await _abort(context, answer_of(error), answers)

    anything: Any = refuse
    return grpc.stream_stream_rpc_method_handler(anything)


class _Caller:
    """Who calls the control."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def metadata(self) -> Metadata:
        return self._context.invocation_metadata() or ()

    async def accepted(self, accepted: Accepted) -> None:
        await _tell_accepted(self._context, accepted)


def _control_behaviour(method: ControlMethod) -> Behaviour:
    async def call(request: bytes, context: Context) -> bytes:
        return (await method.call(_decoded(method, request), _Caller(context))).to_binary()

    return call


def _decoded(method: ControlMethod, request: bytes) -> Any:
    try:
        return method.request.from_binary(request)
    except (ValueError, RecursionError) as error:
        name = method.request.desc().type_name
        message = f"the request is not a valid {name}: {error}"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE) from None


def _check_deadline(context: Context) -> None:
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise Refused(StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the call arrived; nothing was started")


async def _tell_accepted(context: Context, accepted: Accepted) -> None:
    """Sent once durable, so that a caller whose deadline passes has the id."""
    try:
        await context.send_initial_metadata(
            (
                (INVOCATION_ID, invocation_id_text(accepted.invocation_id)),
                (STATUS, ACCEPTED if accepted.new else PREVIOUSLY_ACCEPTED),
            )
        )
    except BaseException:
        accepted.close()
        raise


async def _fail(context: Context, error: Exception, answers: Answers) -> NoReturn:
    if not isinstance(error, Refused | Failed | TerminalError):
        _log.error("the gRPC ingress failed", exc_info=error)
        error = Refused(StatusCode.INTERNAL, f"the runtime failed ({type(error).__name__}); its log says more")
    await _abort(context, answer_of(error), answers)


async def _abort(context: Context, answer: Answer, answers: Answers) -> NoReturn:
    answers.note(answer)
    trailing: list[tuple[str, str | bytes]] = [(SOURCE, answer.source)]
    if answer.retry_after_ms is not None:
        trailing.append((PUSHBACK, str(answer.retry_after_ms)))
    if answer.invocation_id:
        trailing.append((INVOCATION_ID, answer.invocation_id))
    if answer.details:
        details = [one.as_any() for one in answer.details]
        status = Status(code=answer.code, message=answer.message, details=details)
        trailing.append((DETAILS, status.SerializeToString()))
    await context.abort(_CODES[answer.code], answer.message, tuple(trailing))
    raise AssertionError("abort raises")


__all__ = ["DETAILS", "INGRESS", "WHAT", "Calls", "GrpcIngress", "Keepalive", "Unknown"]
