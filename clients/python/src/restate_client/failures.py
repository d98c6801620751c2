"""Calls that failed, as exceptions: what the handler said, what the ingress said, or that nobody answered. No I/O.

`restate-error-source` in the trailing metadata, or `from_handler` on a session, tells handler from ingress. Errors of
handlers become TerminalError or the class generated for their detail; all others become an IngressError that says what
to do. Invariant: the exception depends on the failure alone, not on the way it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from protobuf.wkt.google.protobuf.any_pb import Any as AnyMessage
from restate_protocol import codec
from restate_protocol.errors import RestateError, TerminalError, TypedError
from restate_protocol.gen.google.rpc import error_details_pb as details_pb
from restate_protocol.gen.google.rpc import status_pb
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from . import wire
from .errors import (
    AlreadyCompleted,
    CallTimeout,
    ConnectionFailed,
    FieldViolation,
    IdempotencyKeyReused,
    IngressError,
    InvalidRequest,
    InvocationNotFound,
    MessageTooLong,
    Overloaded,
    PrivateHandler,
    RuntimeFailed,
    RuntimeStopping,
    UnknownHandler,
    WorkflowAlreadyStarted,
)
from .outgoing import HandlerCall, Outgoing, Repeat
from .wire import Metadata

HANDLER = "handler"
INGRESS = "ingress"

# How gRPC says that it had no connection on which to send a call. Where it says otherwise the call may have left.
_NEVER_SENT = ("failed to connect to all addresses", "DNS resolution failed")

# How it says that the other side let go of a call without a word: one that arrives as a server stops, for example.
# What this side cancels, or ends with its channel, it says in other words.
_DROPPED, _RESET = "CANCELLED", "RST_STREAM"


class NotCompleted(IngressError):
    """GetOutput found an invocation that goes on. Not for users: they get None."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed.

    Args:
        code: the gRPC status code.
        message: the status text.
        source: HANDLER or INGRESS; empty where neither said it.
        details: the details of the status, encoded, by full message name.
        invocation_id: inv_… where the runtime had said so by then.
        status: what it had said of a call or send, as `restate-status` has it.
        sent: False where the request provably never left.
    """

    code: StatusCode
    message: str
    source: str = ""
    details: Mapping[str, bytes] = field(default_factory=dict)
    invocation_id: str | None = None
    status: str | None = None
    sent: bool = True


class CallFailed(Exception):
    """A transport has no reply. Not for users: the connection tries again or raises what `error_of` makes of it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of_status(code: StatusCode, message: str, *, trailing: Metadata = (), initial: Metadata = ()) -> Failure:
    """The failure of a gRPC call.

    Args:
        code: its status code.
        message: the status text.
        trailing: trailing metadata.
        initial: initial metadata, as far as it had arrived.
    """
    source = wire.text_in(trailing, wire.ERROR_SOURCE) or ""
    if code is StatusCode.CANCELLED and not source and (message == _DROPPED or _RESET in message):
        code, message = StatusCode.UNAVAILABLE, f"the other side dropped the call, as one that stops does ({message})"
    never_sent = code is StatusCode.UNAVAILABLE and not (trailing or initial) and message.startswith(_NEVER_SENT)
    return Failure(
        code,
        message,
        source,
        _details(trailing),
        wire.text_in(initial, wire.INVOCATION_ID) or wire.text_in(trailing, wire.INVOCATION_ID),
        wire.text_in(initial, wire.STATUS),
        sent=not never_sent,
    )


def failure_of_session(error: pb.SessionError, invocation_id: str | None) -> Failure:
    """The failure of an ask on a session; the id is that of its acceptance, if there was one."""
    return Failure(
        StatusCode.of(error.code),
        error.message,
        HANDLER if error.from_handler else INGRESS,
        _by_name(error.details),
        error.invocation_id or invocation_id,
    )


def retry_after(failure: Failure) -> timedelta | None:
    """When the runtime wants to be asked again, where it says so."""
    delay = details_pb.RetryInfo.from_binary(failure.details.get("google.rpc.RetryInfo", b"")).retry_delay
    return None if delay is None else timedelta(seconds=delay.seconds, microseconds=delay.nanos / 1000)


def error_of(address: str, outgoing: Outgoing, failure: Failure) -> RestateError:
    """The exception that a failed call raises."""
    if failure.source == HANDLER:
        return _handler_error(outgoing, failure)
    if failure.source == INGRESS:
        error = _ingress_error(outgoing, failure)
        error.reason = _reason(failure.details)
        return error
    return _unanswered(address, outgoing, failure)


def _handler_error(outgoing: Outgoing, failure: Failure) -> TerminalError:
    metadata = _error_metadata(failure.details)
    handler = outgoing.handler
    for cls in handler.errors if handler is not None else ():
        data = failure.details.get(cls.detail_type)
        if data is not None and (error := _typed_error(cls, data, failure, metadata)) is not None:
            return error
    return TerminalError(failure.message, code=failure.code, metadata=metadata)


def _typed_error(
    cls: type[TypedError[Any]], data: bytes, failure: Failure, metadata: dict[str, str]
) -> TypedError[Any] | None:
    """The generated error, or None where its detail cannot be read: the failure itself must not get lost."""
    try:
        detail = codec.decode(cls.detail_class, data)
    except ValueError:
        return None
    return cls(detail, failure.message, code=failure.code, metadata=metadata)


_BY_CODE: dict[StatusCode, type[IngressError]] = {
    StatusCode.DEADLINE_EXCEEDED: CallTimeout,
    StatusCode.UNIMPLEMENTED: UnknownHandler,
    StatusCode.PERMISSION_DENIED: PrivateHandler,
    StatusCode.NOT_FOUND: InvocationNotFound,
    StatusCode.UNAVAILABLE: RuntimeStopping,
    StatusCode.INTERNAL: RuntimeFailed,
}


def _ingress_error(outgoing: Outgoing, failure: Failure) -> IngressError:
    code, message = failure.code, failure.message
    if code is StatusCode.INVALID_ARGUMENT:
        return InvalidRequest(message, violations=_violations(failure.details))
    if code is StatusCode.RESOURCE_EXHAUSTED:
        after = retry_after(failure)
        return MessageTooLong(message, code=code) if after is None else Overloaded(message, retry_after=after)
    cls = _BY_CODE.get(code, IngressError)
    if code is StatusCode.ALREADY_EXISTS:
        cls = _already_there(outgoing)
    elif code is StatusCode.FAILED_PRECONDITION and not isinstance(outgoing, HandlerCall):
        # Every other method of the Ingress service needs something that goes on.
        cls = NotCompleted if outgoing.ask_field == "get_output" else AlreadyCompleted
    return cls(message, code=code, invocation_id=_invocation_id(outgoing, failure))


def _already_there(outgoing: Outgoing) -> type[IngressError]:
    handler = outgoing.handler
    runs = handler is not None and handler.mode is HandlerMode.RUN
    return WorkflowAlreadyStarted if runs else IdempotencyKeyReused


def _unanswered(address: str, outgoing: Outgoing, failure: Failure) -> IngressError:
    """Errors that gRPC itself made, or a server that is no Restate ingress."""
    found = _invocation_id(outgoing, failure)
    match failure.code:
        case StatusCode.DEADLINE_EXCEEDED:
            return _timeout(address, outgoing, failure.code, found)
        case StatusCode.UNAVAILABLE:
            return _connection_failed(address, outgoing, failure, found)
        case StatusCode.RESOURCE_EXHAUSTED if "larger than max" in failure.message:
            return MessageTooLong(_too_long(address, outgoing, failure), code=failure.code, invocation_id=found)
        case _:
            return IngressError(
                f"{failure.message} (from gRPC itself, or {address} is no Restate ingress)",
                code=failure.code,
                invocation_id=found,
            )


def _connection_failed(address: str, outgoing: Outgoing, failure: Failure, found: str | None) -> ConnectionFailed:
    if failure.invocation_id:
        mend = f"{found} was accepted and goes on: attach to it"
    else:
        mend = "start it with `restate-runtime start`, or mend the address"
    if failure.sent and outgoing.repeat is Repeat.ONCE and isinstance(outgoing, HandlerCall):
        mend += "; it may have accepted the call, which is safe to repeat only with an idempotency key"
    message = f"no Restate runtime answers at {address}: {mend} ({failure.message})"
    return ConnectionFailed(message, code=failure.code, invocation_id=found)


def _timeout(address: str, outgoing: Outgoing, code: StatusCode, found: str | None) -> CallTimeout:
    state = f"{found} goes on: attach to it" if found else f"{address} did not say whether it accepted the call"
    message = f"no answer of {outgoing.method} within the timeout; {state}"
    return CallTimeout(message, code=code, invocation_id=found)


def _too_long(address: str, outgoing: Outgoing, failure: Failure) -> str:
    size = f"the request of {outgoing.method} has {len(outgoing.data)} bytes, and {address} takes no such message"
    return f"{size}: send less, or raise the runtime's setting max_message_bytes ({failure.message})"


def _invocation_id(outgoing: Outgoing, failure: Failure) -> str | None:
    about = outgoing.about
    return failure.invocation_id or (about.invocation_id if about is not None else None)


def _details(trailing: Metadata) -> dict[str, bytes]:
    """The details of a google.rpc.Status by full message name; none where they cannot be read."""
    data = next((value for name, value in trailing if name == wire.STATUS_DETAILS and isinstance(value, bytes)), b"")
    try:
        return _by_name(status_pb.Status.from_binary(data).details)
    except ValueError:
        return {}


def _by_name(details: Iterable[AnyMessage]) -> dict[str, bytes]:
    return {detail.type_url.rpartition("/")[2]: detail.value for detail in details}


def _reason(details: Mapping[str, bytes]) -> str:
    data = details.get("google.rpc.ErrorInfo")
    return "" if data is None else details_pb.ErrorInfo.from_binary(data).reason.lower()


def _error_metadata(details: Mapping[str, bytes]) -> dict[str, str]:
    data = details.get("google.rpc.ErrorInfo")
    return {} if data is None else dict(details_pb.ErrorInfo.from_binary(data).metadata)


def _violations(details: Mapping[str, bytes]) -> tuple[FieldViolation, ...]:
    data = details.get("google.rpc.BadRequest", b"")
    found = details_pb.BadRequest.from_binary(data).field_violations
    return tuple(FieldViolation(one.field, one.description) for one in found)
