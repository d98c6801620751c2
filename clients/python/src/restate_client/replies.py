"""What a runtime answers: the reply to a call, in either form in which it travels, and what users read of it.

No I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from restate_protocol import codec
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.immutable import immutable
from restate_protocol.services import HandlerDescriptor
from restate_protocol.status import StatusCode

from . import wire
from .errors import IngressError
from .outgoing import HandlerCall, Outgoing
from .wire import Metadata

Res = TypeVar("Res")


class SendStatus(enum.Enum):
    """What the runtime did with a send."""

    ACCEPTED = "accepted"  # it made an invocation
    PREVIOUSLY_ACCEPTED = "previously-accepted"  # the invocation was there already: same idempotency key or workflow


@dataclass(frozen=True, slots=True)
class KnownInvocation:
    """What `lookup` finds.

    Args:
        invocation_id: inv_…
        service: full name, as in the contract.
        handler: name of the rpc, as in the contract.
        key: of an object or workflow, as text; empty for plain services.
        completed: its result is there.
    """

    invocation_id: str
    service: str
    handler: str
    key: str
    completed: bool


@immutable
class Reply:
    """An answer that is no error.

    Args:
        payload: the response message of a handler, encoded.
        invocation_id: which invocation it is about, as far as the answer says so.
        status: whether a call or send made the invocation.
        found: what a lookup found.
    """

    payload: bytes = b""
    invocation_id: str | None = None
    status: SendStatus | None = None
    found: KnownInvocation | None = None


_NOTHING = Reply()

_STATUSES = {status.value: status for status in SendStatus}
_ACCEPTANCES = {
    pb.Acceptance.ACCEPTED: SendStatus.ACCEPTED,
    pb.Acceptance.PREVIOUSLY_ACCEPTED: SendStatus.PREVIOUSLY_ACCEPTED,
}


def status_of(acceptance: pb.Acceptance) -> SendStatus | None:
    """What a session says of a call or send."""
    return _ACCEPTANCES.get(acceptance)


def read_unary(outgoing: Outgoing, data: bytes, initial: Metadata) -> Reply:
    """The answer to a gRPC call of its own.

    Raises:
        IngressError: the bytes are not that method's response.
    """
    if isinstance(outgoing, HandlerCall):
        return accepted_reply(data, initial)
    response = _RESPONSES.get(outgoing.ask_field)
    if response is None:
        return _NOTHING
    try:
        return read_answer(outgoing.ask_field, response.from_binary(data))
    except ValueError as error:
        message = f"the answer of {outgoing.method} is not a {response.__name__}: {error}"
        raise IngressError(message, code=StatusCode.INTERNAL) from error


def accepted_reply(payload: bytes, initial: Metadata) -> Reply:
    """The answer to a call or send, whose initial metadata names the invocation."""
    invocation_id = status = None
    for name, value in initial:
        if name == wire.INVOCATION_ID:
            invocation_id = str(value)
        elif name == wire.STATUS:
            status = _STATUSES.get(str(value))
    return Reply(payload, invocation_id, status)


def read_answer(field: str, message: Any) -> Reply:
    """The answer on a session: which field of it is set, and to what."""
    reader = _READERS.get(field)
    return _NOTHING if reader is None else reader(message)


def _called(message: pb.CallResponse) -> Reply:
    response = message.response
    payload = response.value if response is not None and response.field == "payload" else b""
    return Reply(payload, message.invocation_id, status_of(message.acceptance))


def _sent(message: pb.SendResponse) -> Reply:
    return Reply(b"", message.invocation_id, status_of(message.acceptance))


def _result(message: pb.AttachResponse | pb.GetOutputResponse) -> Reply:
    return Reply(message.payload, message.invocation_id or None)


def _looked_up(message: pb.LookupResponse) -> Reply:
    found = KnownInvocation(message.invocation_id, message.service, message.handler, message.key, message.completed)
    return Reply(b"", message.invocation_id, None, found)


_RESPONSES: dict[str, Any] = {
    "attach": pb.AttachResponse,
    "get_output": pb.GetOutputResponse,
    "lookup": pb.LookupResponse,
}
_READERS: dict[str, Callable[[Any], Reply]] = {
    "call": _called,
    "send": _sent,
    "attach": _result,
    "get_output": _result,
    "lookup": _looked_up,
}


def decode_response(handler: HandlerDescriptor[Any, Res], data: bytes) -> Res:
    """The response of an rpc.

    Raises:
        IngressError: the bytes are not its response message.
    """
    try:
        return codec.decode(handler.response, data)
    except ValueError as error:
        raise IngressError(
            f"the answer of {handler.service}/{handler.name} is not a {handler.response.__name__}: {error}. "
            "Generate the client again from the contract that the service was deployed with",
            code=StatusCode.INTERNAL,
        ) from error


def sent(reply: Reply) -> tuple[str, SendStatus]:
    """The invocation id and the status in the answer to a send.

    Raises:
        IngressError: whoever answered is no Restate ingress.
    """
    if reply.invocation_id and reply.status is not None:
        return reply.invocation_id, reply.status
    raise IngressError(
        f"the answer to a send carries no {wire.INVOCATION_ID} and {wire.STATUS}: "
        "is this the address of a Restate ingress?",
        code=StatusCode.INTERNAL,
    )


def found(reply: Reply) -> KnownInvocation:
    """What a lookup found.

    Raises:
        IngressError: whoever answered is no Restate ingress.
    """
    if reply.found is None:
        raise IngressError("the answer to a lookup has no invocation", code=StatusCode.INTERNAL)
    return reply.found
