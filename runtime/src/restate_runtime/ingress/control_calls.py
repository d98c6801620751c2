"""Call and Send of restate.ingress.v1.Ingress: from their messages to the order that a direct call would give.

What the message says beside the request becomes the metadata that says the same, and goes through the Admission. So a
call has the same rules on every way in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from protobuf import Oneof
from protobuf.wkt import Duration
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.immutable import immutable
from restate_protocol.status import StatusCode

from ..deployments.schema import InvalidMessage
from .admission import DELAY, IDEMPOTENCY_KEY, SEND, Admission, Door, Order
from .control_targets import wrong
from .durations import MAX_DELAY_MS
from .errors import Refused
from .http_message import binary_header
from .reasons import Reason

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]

_NAME = re.compile(r"[a-z0-9._-]+", re.ASCII)
_NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_RESERVED = ("restate-", "grpc-")
_NOTHING: list[tuple[str, str | bytes]] = []


@immutable
class Form:
    """How the response of a call is wanted.

    Args:
        json: as JSON, because the request was.
    """

    door: Door
    json: bool

    def response(self, data: bytes) -> Oneof[Literal["payload"], bytes] | Oneof[Literal["json"], str]:
        """The response in the form of the request.

        Raises:
            Refused: INTERNAL, it has no JSON form.
        """
        if self.json:
            text: Oneof[Literal["json"], str] = Oneof("json", json_of(self.door, data))
            return text
        binary: Oneof[Literal["payload"], bytes] = Oneof("payload", data)
        return binary


@immutable
class Asked:
    """A call or send, ready for the engine. Whoever waits keeps the form only: the order has the whole request."""

    order: Order
    form: Form


def call_of(request: pb.CallRequest, admission: Admission, own: Metadata) -> Asked:
    """What a call asks for.

    Args:
        own: the metadata of the rpc that brought it.

    Raises:
        Refused: as for a direct call; INVALID_ARGUMENT too for what only this message can say wrong.
    """
    return _asked(request, admission, own, _NOTHING)


def send_of(request: pb.SendRequest, admission: Admission, own: Metadata) -> Asked:
    """What a send asks for. Arguments and errors as for `call_of`."""
    if request.delay is None:
        return _asked(request, admission, own, [(SEND, "true")])
    return _asked(request, admission, own, [(DELAY, f"{_milliseconds(request.delay)}ms")])


def check_own(own: Metadata) -> None:
    """Refuses metadata of an rpc that only makes sense on a direct call.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    for name, _ in own:
        if name in (SEND, DELAY):
            message = f"{name} goes with direct calls of handlers; here use Send, and its delay"
            raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)


def json_of(door: Door, data: bytes) -> str:
    """The ProtoJSON of a response.

    Raises:
        Refused: INTERNAL, it has none.
    """
    try:
        return door.schema.to_json(door.response, data)
    except InvalidMessage as error:
        name = f"{door.service}/{door.handler}"
        message = f"{name} answered what JSON cannot hold: {error}; ask with payload, not json"
        raise Refused(StatusCode.INTERNAL, message) from None


def _asked(
    request: pb.CallRequest | pb.SendRequest,
    admission: Admission,
    own: Metadata,
    wishes: list[tuple[str, str | bytes]],
) -> Asked:
    service, handler = request.service, request.handler
    if not service or not handler:
        raise wrong("handler" if service else "service", "it is missing")
    door = admission.door(f"/{service}/{handler}")
    given = request.request
    if given is None:
        raise wrong("payload", "give the request in payload or in json; an empty message is an empty payload")
    metadata = [*own, *wishes] if own or wishes else []
    if request.has_field("idempotency_key"):
        if not request.idempotency_key:
            raise wrong("idempotency_key", "it is empty; leave it out or give a value", Reason.BAD_HEADER)
        metadata.append((IDEMPOTENCY_KEY, request.idempotency_key))
    if request.headers:
        metadata = _with_headers(metadata, request.headers)
    if isinstance(given.value, bytes):
        return Asked(admission.order(door, given.value, metadata), Form(door, json=False))
    return Asked(admission.order_json(door, given.value.encode(), metadata), Form(door, json=True))


def _with_headers(metadata: list[tuple[str, str | bytes]], headers: Mapping[str, str]) -> list[tuple[str, str | bytes]]:
    """Metadata and headers together; a header wins over metadata of its name."""
    given: dict[str, str | bytes] = {}
    for name, value in headers.items():
        lower = name.lower()
        _check_header(name, lower, value)
        if lower in given:
            raise wrong(_path(name), f"{lower} is there twice; case makes no difference", Reason.BAD_HEADER)
        given[lower] = binary_header(lower, value.encode()) if lower.endswith("-bin") else value
    return [*((name, value) for name, value in metadata if name not in given), *given.items()]


def _check_header(name: str, lower: str, value: str) -> None:
    if _NAME.fullmatch(lower) is None:
        raise wrong(_path(name), "no name of a header; it has letters, digits, and . _ - in between", Reason.BAD_HEADER)
    if lower == IDEMPOTENCY_KEY:
        raise wrong(_path(name), "use the field idempotency_key", Reason.BAD_HEADER)
    if lower.startswith(_RESERVED):
        raise wrong(
            _path(name),
            f"names that begin with {' or '.join(_RESERVED)} are not for callers; leave it out",
            Reason.BAD_HEADER,
        )
    if _NOT_IN_A_VALUE.search(value):
        raise wrong(_path(name), "the value has control characters, which no header may have", Reason.BAD_HEADER)


def _path(name: str) -> str:
    return f'headers["{name}"]'


def _milliseconds(delay: Duration) -> int:
    seconds, nanos = delay.seconds, delay.nanos
    if not -1_000_000_000 < nanos < 1_000_000_000 or seconds * nanos < 0:
        raise wrong(
            "delay", "not a valid google.protobuf.Duration: nanos are out of range or of another sign", Reason.BAD_DELAY
        )
    if seconds < 0 or nanos < 0:
        raise wrong("delay", "it is negative; leave it out to send at once", Reason.BAD_DELAY)
    total = seconds * 1_000 + nanos // 1_000_000
    if total > MAX_DELAY_MS:
        raise wrong("delay", f"it is longer than a delay may be ({MAX_DELAY_MS // 86_400_000} days)", Reason.BAD_DELAY)
    return total
