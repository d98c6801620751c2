"""Calls as gRPC has them: paths, metadata, and the requests of the Ingress service. No I/O.

Both connections build what they send and read what they get with these functions, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from protobuf import Oneof
from restate_protocol import codec, ids
from restate_protocol.callers import CallOptions
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.services import HandlerDescriptor
from restate_protocol.status import StatusCode

from .errors import IngressError
from .handles import SendStatus

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
Res = TypeVar("Res")

DEFAULT_PORT = 8080

IDEMPOTENCY_KEY = "idempotency-key"
SEND = "restate-send"
DELAY = "restate-delay"
INVOCATION_ID = "restate-invocation-id"
STATUS = "restate-status"
ERROR_SOURCE = "restate-error-source"
STATUS_DETAILS = "grpc-status-details-bin"

INGRESS = "restate.ingress.v1.Ingress"
GET_OUTPUT = f"{INGRESS}/GetOutput"

_OWN_PREFIXES = ("restate-", "grpc-", ":")
_OWN_SIGNALS = "restate."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One gRPC call to make.

    Args:
        method: `service/method`, as gRPC paths have it.
        data: the request.
        metadata: what goes with it besides the connection's own.
        timeout_s: how long to wait, in seconds.
        handler: the rpc whose result the call is about; None where no result is asked for.
        invocation_id: inv_… where the call is about a known invocation.
    """

    method: str
    data: bytes
    metadata: Metadata = ()
    timeout_s: float | None = None
    handler: HandlerDescriptor[Any, Any] | None = None
    invocation_id: str | None = None

    @property
    def path(self) -> str:
        """The gRPC path."""
        return "/" + self.method


def target_of(address: str) -> str:
    """The gRPC target of an address.

    Raises:
        ValueError: the address is a URL.
    """
    if address.startswith(("http://", "https://")):
        bare = address.partition("//")[2].rstrip("/")
        raise ValueError(f"the address {address!r} has a scheme: write {bare!r}, and tls=Tls() for TLS")
    if not address:
        raise ValueError("the address is empty: write host:port, for example localhost:8080")
    return address if ":" in address else f"{address}:{DEFAULT_PORT}"


def headers_metadata(headers: Mapping[str, str | bytes]) -> Metadata:
    """A caller's headers as metadata.

    Raises:
        ValueError: a header that only the client itself may send, or one that gRPC cannot carry.
    """
    return tuple((_header_name(name, value), value) for name, value in headers.items())


def _header_name(name: str, value: str | bytes) -> str:
    lowered = name.lower()
    if lowered == IDEMPOTENCY_KEY:
        raise ValueError("give the idempotency key as the argument idempotency_key=, not as a header")
    if lowered.startswith(_OWN_PREFIXES):
        raise ValueError(f"the header {name!r} belongs to the protocol: leave it out")
    if isinstance(value, bytes) != lowered.endswith("-bin"):
        raise ValueError(f"the header {name!r}: bytes values, and no others, have names that end in -bin")
    return lowered


def call(handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Outgoing:
    """The gRPC call that calls a handler."""
    method = f"{handler.service}/{handler.name}"
    return Outgoing(method, codec.encode(request), _metadata(options), seconds(options.timeout), handler)


def send(handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Outgoing:
    """The gRPC call that sends to a handler one way."""
    metadata: Metadata = (*_metadata(options), (SEND, "true"))
    if options.delay:
        metadata += ((DELAY, duration_text(options.delay)),)
    method = f"{handler.service}/{handler.name}"
    return Outgoing(method, codec.encode(request), metadata, seconds(options.timeout), handler)


def _metadata(options: CallOptions) -> Metadata:
    metadata = headers_metadata(options.headers) if options.headers else ()
    if options.idempotency_key is not None:
        metadata += ((IDEMPOTENCY_KEY, _idempotency_key(options.idempotency_key)),)
    return metadata


def _idempotency_key(key: str) -> str:
    """gRPC carries printable ASCII only; anything else would fail far from the caller's line."""
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(f"an idempotency key has one or more printable ASCII characters, not {key!r}")
    return key


def duration_text(delay: timedelta) -> str:
    """`10s`, or `1500ms` where it is not whole seconds. Rounded up to the millisecond: never too early."""
    millis = -(-delay // timedelta(milliseconds=1))
    return f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"


def seconds(timeout: timedelta | None) -> float | None:
    """A timeout as gRPC takes it."""
    return None if timeout is None else timeout.total_seconds()


def attach(handler: HandlerDescriptor[Any, Any], invocation_id: str, timeout: timedelta | None) -> Outgoing:
    """The gRPC call that waits for a result."""
    data = pb.AttachRequest(invocation_id=invocation_id).to_binary()
    return Outgoing(f"{INGRESS}/Attach", data, (), seconds(timeout), handler, invocation_id)


def attached(data: bytes) -> bytes:
    """The response bytes inside an answer of Attach."""
    return pb.AttachResponse.from_binary(data).payload


def get_output(handler: HandlerDescriptor[Any, Any], invocation_id: str, timeout: timedelta | None) -> Outgoing:
    """The gRPC call that looks for a result."""
    data = pb.GetOutputRequest(invocation_id=invocation_id).to_binary()
    return Outgoing(GET_OUTPUT, data, (), seconds(timeout), handler, invocation_id)


def output(data: bytes) -> bytes:
    """The response bytes inside an answer of GetOutput."""
    return pb.GetOutputResponse.from_binary(data).payload


def resolve_awakeable(awakeable_id: str, value: object) -> Outgoing:
    """The gRPC call that completes an awakeable: messages and bytes as they are, anything else as JSON.

    Raises:
        IdError: it is not an awakeable id.
        TypeError: the value is no message, no bytes, and not JSON.
    """
    ids.parse_awakeable_id(awakeable_id)
    one: Any = _given_value(value)
    request = pb.ResolveAwakeableRequest(awakeable_id=awakeable_id, value=one)
    return Outgoing(f"{INGRESS}/ResolveAwakeable", request.to_binary())


def _given_value(value: object) -> Oneof[Any, Any]:
    if isinstance(value, bytes):
        return Oneof("payload", value)
    if codec.is_message(type(value)):
        return Oneof("payload", codec.encode(value))
    return Oneof("json", json.dumps(value))


def reject_awakeable(awakeable_id: str, message: str, code: StatusCode) -> Outgoing:
    """The gRPC call that fails an awakeable.

    Raises:
        IdError: it is not an awakeable id.
        ValueError: the code is OK.
    """
    ids.parse_awakeable_id(awakeable_id)
    if code == StatusCode.OK:
        raise ValueError("an awakeable cannot be rejected with code OK: resolve it")
    request = pb.RejectAwakeableRequest(awakeable_id=awakeable_id, message=message, code=int(code))
    return Outgoing(f"{INGRESS}/RejectAwakeable", request.to_binary())


def cancel(invocation_id: str, timeout: timedelta | None) -> Outgoing:
    """The gRPC call that asks an invocation to end.

    Raises:
        IdError: it is not an invocation id.
    """
    ids.parse_invocation_id(invocation_id)
    data = pb.CancelRequest(invocation_id=invocation_id).to_binary()
    return Outgoing(f"{INGRESS}/Cancel", data, (), seconds(timeout), None, invocation_id)


def send_signal(invocation_id: str, name: str, value: object, timeout: timedelta | None) -> Outgoing:
    """The gRPC call that gives a named signal: messages and bytes as they are, anything else as JSON.

    Raises:
        IdError: it is not an invocation id.
        ValueError: the name is empty or the runtime's own.
        TypeError: the value is no message, no bytes, and not JSON.
    """
    ids.parse_invocation_id(invocation_id)
    if not name or name.startswith(_OWN_SIGNALS):
        raise ValueError(f"a signal has a name that does not begin with {_OWN_SIGNALS!r}, not {name!r}")
    one: Any = _given_value(value)
    request = pb.SendSignalRequest(invocation_id=invocation_id, name=name, value=one)
    return Outgoing(f"{INGRESS}/SendSignal", request.to_binary(), (), seconds(timeout), None, invocation_id)


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


def sent(initial: Metadata) -> tuple[str, SendStatus]:
    """The invocation id and the status in the answer to a send.

    Raises:
        IngressError: whoever answered is no Restate ingress.
    """
    found = dict(initial)
    try:
        return str(found[INVOCATION_ID]), SendStatus(found[STATUS])
    except (KeyError, ValueError):
        raise IngressError(
            f"the answer to a send carries no {INVOCATION_ID} and {STATUS}: is this the address of a Restate ingress?",
            code=StatusCode.INTERNAL,
        ) from None


def metadata_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Metadata as pairs, whatever container gRPC has for it."""
    return tuple((name, value) for name, value in metadata or ())
