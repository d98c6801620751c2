"""The gRPC ingress: every public handler of every registered service, on raw bytes, and the built-in services.

Methods are looked up by path for each call, so that registrations take effect at once. No message is decoded here
but by the admission; nothing is logged for a call that goes well. Invariant: every error has
`restate-error-source` in its trailing metadata, and what was accepted goes on whatever becomes of its caller.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from restate_protocol.errors import TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from ..engine.api import Accepted, EngineApi
from .admission import ACCEPTED, INVOCATION_ID, PREVIOUSLY_ACCEPTED, STATUS, Admission, Door
from .answers import Answers
from .control import Control, ControlMethod
from .control_calls import Metadata
from .errors import INGRESS, SOURCE, Answer, Failed, ListenError, Refused, answer_of
from .health import Health
from .ports import address_text, check_free
from .reflection import Reflection
from .waiting import Waiting

WHAT = "the gRPC ingress"
DETAILS = "grpc-status-details-bin"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_BUILT_IN = ("/grpc.", "/restate.")

_log = structlog.get_logger(__name__)


class GrpcIngress:
    """The server.

    Args:
        admission: the rules, shared with the HTTP ingress.
        engine: where submissions go.
        waiting: who waits, shared with the HTTP ingress.
    """

    def __init__(self, admission: Admission, engine: EngineApi, waiting: Waiting) -> None:
        self._admission = admission
        self._health = Health(admission.routes)
        self.answers = Answers()
        self._calls = Calls(admission, engine, waiting, self.answers)
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens. Gives the real port where asked for 0.

        Raises:
            PortInUse: another program listens there.
            ListenError: the address cannot be listened on.
        """
        check_free(WHAT, host, port)
        server = grpc.aio.server(options=self._options())
        # The first handler that knows a path serves it: calls first, because they are many; the last knows all.
        reflection = Reflection(self._admission.routes).handler()
        server.add_generic_rpc_handlers((self._calls, reflection))
        add_HealthServicer_to_server(self._health.servicer, server)
        server.add_generic_rpc_handlers((Unknown(self.answers),))
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
        """Takes no more calls, lets those in flight end for so long, and ends the rest.

        To send waiting callers away in good order, call Waiting.send_away before the grace is over.
        """
        await self._health.drain()
        if self._server is not None:
            await self._server.stop(grace_seconds)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._admission.limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # Two runtimes on one port would share the calls between them.
            ("grpc.so_reuseport", 0),
        ]


class Calls(grpc.GenericRpcHandler):
    """Calls of handlers, and of restate.ingress.v1.Ingress."""

    def __init__(self, admission: Admission, engine: EngineApi, waiting: Waiting, answers: Answers) -> None:
        self._admission = admission
        self._engine = engine
        self._waiting = waiting
        self._answers = answers
        self._control = {
            path: _unary(_control_behaviour(method, answers))
            for path, method in Control(engine, waiting, admission).methods().items()
        }
        self._methods: dict[str, MethodHandler] = dict(self._control)
        admission.routes.on_change(self._forget)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        path = handler_call_details.method
        known = self._methods.get(path)
        if known is not None or path.startswith(_BUILT_IN):
            return known
        try:
            door = self._admission.door(path)
        except Refused as error:
            return _refusal(error, self._answers)
        handler = self._methods[path] = _unary(self._behaviour(door))
        return handler

    def _forget(self) -> None:
        self._methods = dict(self._control)

    def _behaviour(self, door: Door) -> Callable[[bytes, Context], Awaitable[bytes]]:
        order, submit, payload = self._admission.order, self._engine.submit, self._waiting.payload
        answers = self._answers

        async def call(request: bytes, context: Context) -> bytes:
            try:
                _check_deadline(context)
                wanted = order(door, request, context.invocation_metadata() or ())
                accepted = await submit(wanted.submission, wait=wanted.wait)
                await _tell_accepted(context, accepted)
                data = await payload(accepted)
                answers.ok += 1
                return data
            except Exception as error:
                problem = error
            return await _fail(context, problem, answers)

        return call


class Unknown(grpc.GenericRpcHandler):
    """Knows every path and refuses it: what is asked of our own packages but is not there."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler:
        service, _, name = handler_call_details.method[1:].partition("/")
        error = Refused(StatusCode.UNIMPLEMENTED, f"this runtime has no method {name} of {service}")
        return _refusal(error, self._answers)


def _unary(behaviour: Callable[[bytes, Context], Awaitable[bytes]]) -> MethodHandler:
    anything: Any = behaviour  # the stubs know no coroutine functions
    return grpc.unary_unary_rpc_method_handler(anything)


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


def _control_behaviour(method: ControlMethod, answers: Answers) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def call(request: bytes, context: Context) -> bytes:
        try:
            _check_deadline(context)
            message = _decoded(method, request)
            data = (await method.call(message, _Caller(context))).to_binary()
            answers.ok += 1
            return data
        except Exception as error:
            problem = error
        return await _fail(context, problem, answers)

    return call


def _decoded(method: ControlMethod, request: bytes) -> Any:
    try:
        return method.request.from_binary(request)
    except (ValueError, RecursionError) as error:
        name = method.request.desc().type_name
        raise Refused(StatusCode.INVALID_ARGUMENT, f"the request is not a valid {name}: {error}") from None


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
    if answer.details:
        details = [one.as_any() for one in answer.details]
        status = Status(code=answer.code, message=answer.message, details=details)
        trailing.append((DETAILS, status.SerializeToString()))
    await context.abort(_CODES[answer.code], answer.message, tuple(trailing))
    raise AssertionError("abort raises")


__all__ = ["DETAILS", "INGRESS", "WHAT", "Calls", "GrpcIngress", "Unknown"]
