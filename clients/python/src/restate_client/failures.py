"""gRPC statuses as exceptions: what the handler said, what the ingress said, or that nobody answered. No I/O.

`restate-error-source` in the trailing metadata tells handler from ingress. Errors of handlers become TerminalError or
the class generated for their detail; all others become an IngressError that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from restate_protocol import codec
from restate_protocol.errors import RestateError, TerminalError, TypedError
from restate_protocol.gen.google.rpc import error_details_pb as details_pb
from restate_protocol.gen.google.rpc import status_pb
from restate_protocol.status import StatusCode

from .errors import (
    AlreadyCompleted,
    CallTimeout,
    ConnectionFailed,
    FieldViolation,
    IngressError,
    InvalidRequest,
    InvocationNotFound,
    Overloaded,
    PrivateHandler,
    UnknownHandler,
    WorkflowAlreadyStarted,
)
from .wire import ERROR_SOURCE, GET_OUTPUT, INVOCATION_ID, STATUS_DETAILS, Metadata, Outgoing


class NotCompleted(IngressError):
    """GetOutput found an invocation that goes on. Not for users: they get None."""


@dataclass(frozen=True, slots=True)
class FailedCall:
    """Everything gRPC says about a call that failed.

    Args:
        address: where it was sent.
        outgoing: the call.
        code: the gRPC status code.
        message: the status text.
        trailing: trailing metadata.
        initial: initial metadata, as far as it had arrived.
    """

    address: str
    outgoing: Outgoing
    code: StatusCode
    message: str
    trailing: Metadata = ()
    initial: Metadata = ()


def error_of(call: FailedCall) -> RestateError:
    """The exception that a failed call raises."""
    source = _text(call.trailing, ERROR_SOURCE)
    details = _details(call.trailing)
    if source == "handler":
        return _handler_error(call, details)
    if source == "ingress":
        return _ingress_error(call, details)
    return _unanswered(call)


def _handler_error(call: FailedCall, details: dict[str, bytes]) -> TerminalError:
    metadata = _error_metadata(details)
    handler = call.outgoing.handler
    for cls in handler.errors if handler is not None else ():
        data = details.get(cls.detail_type)
        if data is not None and (error := _typed_error(cls, data, call, metadata)) is not None:
            return error
    return TerminalError(call.message, code=call.code, metadata=metadata)


def _typed_error(
    cls: type[TypedError[Any]], data: bytes, call: FailedCall, metadata: dict[str, str]
) -> TypedError[Any] | None:
    """The generated error, or None where its detail cannot be read: the failure itself must not get lost."""
    try:
        detail = codec.decode(cls.detail_class, data)
    except ValueError:
        return None
    return cls(detail, call.message, code=call.code, metadata=metadata)


def _ingress_error(call: FailedCall, details: dict[str, bytes]) -> IngressError:
    match call.code:
        case StatusCode.INVALID_ARGUMENT:
            return InvalidRequest(call.message, violations=_violations(details))
        case StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(call.message, retry_after=_retry_after(details))
        case StatusCode.DEADLINE_EXCEEDED:
            return CallTimeout(call.message, code=call.code, invocation_id=_invocation_id(call))
        case StatusCode.UNIMPLEMENTED:
            return UnknownHandler(call.message, code=call.code)
        case StatusCode.PERMISSION_DENIED:
            return PrivateHandler(call.message, code=call.code)
        case StatusCode.ALREADY_EXISTS:
            return WorkflowAlreadyStarted(call.message, code=call.code, invocation_id=_invocation_id(call))
        case StatusCode.NOT_FOUND:
            return InvocationNotFound(call.message, code=call.code, invocation_id=call.outgoing.invocation_id)
        case StatusCode.FAILED_PRECONDITION if call.outgoing.invocation_id is not None:
            # Every other method about an invocation needs one that goes on.
            error = NotCompleted if call.outgoing.method == GET_OUTPUT else AlreadyCompleted
            return error(call.message, code=call.code, invocation_id=call.outgoing.invocation_id)
        case _:
            return IngressError(call.message, code=call.code, invocation_id=_invocation_id(call))


def _unanswered(call: FailedCall) -> IngressError:
    """Errors that gRPC itself made, or a server that is no Restate ingress."""
    match call.code:
        case StatusCode.DEADLINE_EXCEEDED:
            return _timeout(call)
        case StatusCode.UNAVAILABLE:
            return _connection_failed(call)
        case _:
            return IngressError(
                f"{call.message} (from gRPC itself, or {call.address} is no Restate ingress)",
                code=call.code,
                invocation_id=_invocation_id(call),
            )


def _connection_failed(call: FailedCall) -> ConnectionFailed:
    found = _invocation_id(call)
    state = (
        f"{found} was accepted and goes on: attach to it"
        if found
        else "start it with `restate-runtime start`, or mend the address; repeat the call with an idempotency key"
    )
    return ConnectionFailed(
        f"no Restate runtime answers at {call.address}: {state} ({call.message})",
        code=StatusCode.UNAVAILABLE,
        invocation_id=found,
    )


def _timeout(call: FailedCall) -> CallTimeout:
    found = _invocation_id(call)
    state = f"{found} goes on: attach to it" if found else f"{call.address} did not say whether it accepted the call"
    return CallTimeout(
        f"no answer of {call.outgoing.method} within the timeout; {state}",
        code=StatusCode.DEADLINE_EXCEEDED,
        invocation_id=found,
    )


def _invocation_id(call: FailedCall) -> str | None:
    return call.outgoing.invocation_id or _text(call.initial, INVOCATION_ID) or _text(call.trailing, INVOCATION_ID)


def _text(metadata: Metadata, name: str) -> str | None:
    return next((value for key, value in metadata if key == name and isinstance(value, str)), None)


def _details(trailing: Metadata) -> dict[str, bytes]:
    """The details of a google.rpc.Status by full message name; none where they cannot be read."""
    data = next((value for name, value in trailing if name == STATUS_DETAILS and isinstance(value, bytes)), b"")
    try:
        status = status_pb.Status.from_binary(data)
    except ValueError:
        return {}
    return {detail.type_url.rpartition("/")[2]: detail.value for detail in status.details}


def _error_metadata(details: dict[str, bytes]) -> dict[str, str]:
    data = details.get("google.rpc.ErrorInfo")
    return {} if data is None else dict(details_pb.ErrorInfo.from_binary(data).metadata)


def _violations(details: dict[str, bytes]) -> tuple[FieldViolation, ...]:
    data = details.get("google.rpc.BadRequest", b"")
    found = details_pb.BadRequest.from_binary(data).field_violations
    return tuple(FieldViolation(one.field, one.description) for one in found)


def _retry_after(details: dict[str, bytes]) -> timedelta | None:
    delay = details_pb.RetryInfo.from_binary(details.get("google.rpc.RetryInfo", b"")).retry_delay
    return None if delay is None else timedelta(seconds=delay.seconds, microseconds=delay.nanos / 1000)
