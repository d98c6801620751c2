"""Values that come from outside for awakeables and signals: bytes, JSON, or a rejection."""

from __future__ import annotations

from restate_protocol.errors import IdError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import parse_awakeable_id
from restate_protocol.journal import BYTES, JSON, Failure, Value
from restate_protocol.status import StatusCode

from ..deployments.json_text import parse
from ..deployments.schema import Schema
from .control_targets import wrong
from .errors import Refused
from .reasons import Reason


def value_of(request: pb.ResolveAwakeableRequest | pb.SendSignalRequest) -> Value:
    """What is given; no value at all counts as empty bytes.

    Raises:
        Refused: INVALID_ARGUMENT, it is not JSON.
    """
    match request.value:
        case None:
            return Value(b"")
        case one if one.field == "payload":
            return Value(one.value)
        case one:
            return Value(_checked_json(one.value), JSON)


def signal_of(request: pb.SendSignalRequest) -> Value | Failure:
    """A value, or the failure of the one who waits. Raises as `value_of`."""
    one = request.value
    if one is not None and one.field == "reject":
        return Failure(StatusCode.UNKNOWN, one.value)
    return value_of(request)


def rejection_of(request: pb.RejectAwakeableRequest) -> Failure:
    """The failure of the one who waits.

    Raises:
        Refused: INVALID_ARGUMENT, it has no code of an error.
    """
    code = request.code if request.has_field("code") else StatusCode.UNKNOWN.value
    if not 1 <= code <= 16:
        raise Refused(StatusCode.INVALID_ARGUMENT, f"code is {code}; an error has a gRPC code from 1 to 16")
    return Failure(code, request.message)


def check_fits(awakeable_id: str, value: Value, wanted: str, schema: Schema | None) -> None:
    """Refuses what the waiting handler could not read: it would use up the awakeable and fail the invocation.

    Args:
        wanted: what the awakeable was made for: a message's full name, BYTES, JSON, or empty.
        schema: of the deployment of its invocation.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    try:
        if wanted == JSON:
            parse(value.data)
        elif wanted not in ("", BYTES):
            _check_message(value, wanted, schema)
    except (ValueError, RecursionError) as error:
        message = f"{awakeable_id} waits for {wanted}, and the value is none: {error}"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE) from None


def check_awakeable(text: str) -> None:
    """Accepts the id of an awakeable.

    Raises:
        Refused: INVALID_ARGUMENT, it is none.
    """
    try:
        parse_awakeable_id(text)
    except IdError as error:
        raise wrong("awakeable_id", str(error), Reason.BAD_ID) from None


def _check_message(value: Value, full_name: str, schema: Schema | None) -> None:
    if schema is None or not schema.has(full_name):
        return
    if value.type == JSON:
        schema.from_json(full_name, value.data)
    else:
        schema.check(full_name, value.data)


def _checked_json(text: str) -> bytes:
    try:
        parse(text)
    except (ValueError, RecursionError) as error:
        message = f"json is not JSON: {error}"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE) from None
    return text.encode()
