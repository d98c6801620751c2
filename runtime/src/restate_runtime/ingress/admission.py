"""From a request to a submission: the rules that gRPC and HTTP share, with no transport and no engine in them.

A Door is one public handler with everything looked up. Doors are made once and kept until a registration changes
the routes. Invariant: what leaves here as an Order is right by the contract, so the engine never sees bad input;
the payload is the caller's bytes, untouched.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from restate_protocol.contract.model import Handler, Service
from restate_protocol.immutable import immutable
from restate_protocol.journal import Headers
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from ..config import NEVER_JOURNALED
from ..deployments.schema import InvalidMessage, Request, RequestReader, Schema, Violation
from ..engine.api import Submission
from .durations import parse_delay
from .errors import Refused, refused_message
from .reasons import Reason

IDEMPOTENCY_KEY = "idempotency-key"
SEND = "restate-send"
DELAY = "restate-delay"
INVOCATION_ID = "restate-invocation-id"
STATUS = "restate-status"
RESPONSE_ENCODING = "restate-response-encoding"
ACCEPTED = "accepted"
PREVIOUSLY_ACCEPTED = "previously-accepted"

#: What each header counts besides its name and value, as HTTP/2 counts them.
HEADER_BYTES = 32

#: Packages of ours, which no deployment may use.
OWN = ("restate.", "grpc.")

_TRACE = frozenset({"traceparent", "tracestate"})


@immutable
class Limits:
    """What the ingress takes.

    Args:
        max_message_bytes: longest request and response.
        max_key_bytes: longest key of an object or workflow, and longest idempotency key, in UTF-8.
        journal_headers: names of headers that are journaled besides traceparent, tracestate, baggage and x-*;
            one that ends in * is a prefix.
        max_metadata_bytes: names and values of all headers of a request, and HEADER_BYTES for each.
    """

    max_message_bytes: int = 32 * 1024 * 1024
    max_key_bytes: int = 4 * 1024
    journal_headers: tuple[str, ...] = ()
    max_metadata_bytes: int = 16 * 1024


class Route(Protocol):
    """What the ingress reads of a route; deployments.registry has it."""

    @property
    def service(self) -> Service: ...
    @property
    def handler(self) -> Handler: ...
    @property
    def schema(self) -> Schema: ...


class Routes(Protocol):
    """What the ingress needs of the registry of deployments."""

    def route(self, service: str, handler: str) -> Route | None:
        """Where new invocations of a handler go; None: nobody serves it."""

    def services(self) -> list[str]:
        """Full names of all services."""

    def schema(self, service: str) -> Schema | None:
        """The schema of the newest deployment of a service."""

    def schema_of(self, deployment_id: str) -> Schema | None:
        """The schema of a deployment."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls back after each registration."""


@immutable
class Door:
    """One public handler, ready to be called. `key_field` is empty where there are no keys."""

    service: str
    handler: str
    request: str
    response: str
    key_field: str
    runs_workflow: bool
    reader: RequestReader
    schema: Schema


@immutable
class Order:
    """What to ask of the engine.

    Args:
        wait: the caller wants the result; False for one-way sends.
        gzip: the caller wants the response compressed.
    """

    submission: Submission
    wait: bool
    gzip: bool = False


@dataclass(slots=True)
class _Wishes:
    """What the headers of one request say."""

    idempotency_key: str | None = None
    send: bool = False
    gzip: bool = False
    delay_ms: int | None = None
    traceparent: str = ""
    tracestate: str = ""


class Admission:
    """The rules. One for each runtime; both ingresses share it."""

    def __init__(self, routes: Routes, limits: Limits) -> None:
        self._routes = routes
        self._limits = limits
        self._doors: dict[str, Door] = {}
        self._names = {"baggage", *_TRACE, *(one for one in limits.journal_headers if not one.endswith("*"))}
        self._names -= NEVER_JOURNALED
        self._prefixes = ("x-", *(one[:-1] for one in limits.journal_headers if one.endswith("*")))
        routes.on_change(self._doors.clear)

    @property
    def limits(self) -> Limits:
        """What is taken at most."""
        return self._limits

    @property
    def routes(self) -> Routes:
        """Where doors come from."""
        return self._routes

    def door(self, path: str) -> Door:
        """The handler of `/package.Service/Method`.

        Raises:
            Refused: UNIMPLEMENTED, nobody serves it; PERMISSION_DENIED, it is private.
        """
        known = self._doors.get(path)
        if known is None:
            known = self._doors[path] = self._open(path)
        return known

    def route(self, service: str, name: str) -> Route:
        """Where new invocations of a handler go, private ones too.

        Raises:
            Refused: UNIMPLEMENTED, nobody serves it.
        """
        route = self._routes.route(service, name)
        if route is None:
            raise self._unknown(service, name)
        return route

    def order(self, door: Door, payload: bytes, metadata: Iterable[tuple[str, str | bytes]]) -> Order:
        """The order for a request in binary.

        Raises:
            Refused: INVALID_ARGUMENT; RESOURCE_EXHAUSTED, message or metadata are too long.
        """
        if len(payload) > self._limits.max_message_bytes:
            raise too_large(len(payload), self._limits.max_message_bytes)
        try:
            request = door.reader.read(payload)
        except InvalidMessage as error:
            raise refused_message(error) from None
        return self._order(door, request, payload, metadata)

    def order_json(self, door: Door, text: bytes, metadata: Iterable[tuple[str, str | bytes]]) -> Order:
        """The order for a request in ProtoJSON.

        Raises:
            Refused: INVALID_ARGUMENT; RESOURCE_EXHAUSTED, message or metadata are too long.
        """
        if len(text) > self._limits.max_message_bytes:
            raise too_large(len(text), self._limits.max_message_bytes)
        try:
            request, payload = door.reader.read_json(text)
        except InvalidMessage as error:
            raise refused_message(error) from None
        return self._order(door, request, payload, metadata)

    def _order(
        self, door: Door, request: Request, payload: bytes, metadata: Iterable[tuple[str, str | bytes]]
    ) -> Order:
        wishes = _Wishes()
        headers = self._read(metadata, wishes)
        submission = Submission(
            door.service,
            door.handler,
            self._key(door, request),
            payload,
            headers,
            self._idempotency_key(door, request, wishes),
            wishes.delay_ms,
            wishes.traceparent,
            wishes.tracestate,
        )
        return Order(submission, not wishes.send, wishes.gzip)

    def _key(self, door: Door, request: Request) -> str | None:
        key = request.key
        if key is not None:
            self._check_length(f"{door.key_field}: the key of {door.request}", key, door.key_field)
        return key

    def _idempotency_key(self, door: Door, request: Request, wishes: _Wishes) -> str | None:
        given = wishes.idempotency_key
        if door.runs_workflow:
            if given is None:
                return None
            message = f"{door.service}/{door.handler} runs once for each key; leave {IDEMPOTENCY_KEY} out"
            raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)
        key = request.idempotency_key if given is None else given
        if key is not None:
            self._check_length("the idempotency key", key)
        return key

    def _check_length(self, what: str, key: str, field: str = "") -> None:
        limit = self._limits.max_key_bytes
        # A character takes up to four bytes; most keys need no counting.
        if len(key) * 4 > limit and (size := len(key.encode("utf-8", "surrogatepass"))) > limit:
            text = f"has {size} bytes; the limit is {limit} (setting max_key_bytes)"
            violations = (Violation(field, text),) if field else ()
            raise Refused(StatusCode.INVALID_ARGUMENT, f"{what} {text}", violations, Reason.KEY_TOO_LONG)

    def _read(self, metadata: Iterable[tuple[str, str | bytes]], wishes: _Wishes) -> Headers:
        """Takes wishes from the headers and gives those that are journaled."""
        kept: list[tuple[str, bytes]] = []
        size = 0
        for name, value in metadata:
            size += len(name) + len(value) + HEADER_BYTES
            reader = _READERS.get(name)
            if reader is not None:
                reader(wishes, value if isinstance(value, str) else value.decode("utf-8", "replace"))
            if name in self._names or (name.startswith(self._prefixes) and name not in NEVER_JOURNALED):
                kept.append((name, value if isinstance(value, bytes) else value.encode()))
        if size > self._limits.max_metadata_bytes:
            raise metadata_too_large(size, self._limits.max_metadata_bytes)
        return tuple(kept)

    def _open(self, path: str) -> Door:
        service, _, name = path[1:].partition("/")
        route = self.route(service, name)
        handler = route.handler
        if handler.private:
            message = f"{service}/{name} is private: other handlers may call it, the ingress may not"
            raise Refused(StatusCode.PERMISSION_DENIED, message)
        runs = handler.mode is HandlerMode.RUN
        reader = route.schema.reader(handler)
        key_field = "" if handler.key is None else handler.key.name
        return Door(service, name, handler.request, handler.response, key_field, runs, reader, route.schema)

    def _unknown(self, service: str, name: str) -> Refused:
        """Why there is no such route, with the nearest name."""
        services = self._routes.services()
        if service in services or service.startswith(OWN):
            message = f"service {service} has no method {name}"
            return Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.UNKNOWN_HANDLER)
        if not services:
            message = f"no service {service}: no deployment is registered"
        else:
            near = difflib.get_close_matches(service, services, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            message = f"no deployment serves {service}{hint}"
        return Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.UNKNOWN_SERVICE)


def too_large(size: int, limit: int) -> Refused:
    """A request message over the limit. `size`: its bytes."""
    message = f"the request has {size} bytes; the limit is {limit} (setting max_message_bytes)"
    return Refused(StatusCode.RESOURCE_EXHAUSTED, message, reason=Reason.TOO_LARGE)


def metadata_too_large(size: int, limit: int) -> Refused:
    """More headers than are taken. `size`: their bytes."""
    message = f"the metadata of the request has {size} bytes; the limit is {limit} (setting max_metadata_bytes)"
    return Refused(StatusCode.RESOURCE_EXHAUSTED, message, reason=Reason.METADATA_TOO_LARGE)


def _bad_header(message: str) -> Refused:
    return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)


def _read_idempotency_key(wishes: _Wishes, value: str) -> None:
    if not value:
        raise _bad_header(f"{IDEMPOTENCY_KEY} is empty; leave it out or give a value")
    if wishes.idempotency_key not in (None, value):
        raise _bad_header(f"{IDEMPOTENCY_KEY} is given twice with different values")
    wishes.idempotency_key = value


def _read_send(wishes: _Wishes, value: str) -> None:
    if value not in ("true", "false"):
        raise _bad_header(f"{SEND} is {value!r}; it may be true or false")
    wishes.send = wishes.send or value == "true"


def _read_delay(wishes: _Wishes, value: str) -> None:
    try:
        wishes.delay_ms = parse_delay(value)
    except ValueError as error:
        raise Refused(StatusCode.INVALID_ARGUMENT, f"{DELAY}: {error}", reason=Reason.BAD_DELAY) from None
    wishes.send = True


def _read_encoding(wishes: _Wishes, value: str) -> None:
    if value not in ("gzip", "identity"):
        raise _bad_header(f"{RESPONSE_ENCODING} is {value!r}; it may be gzip or identity")
    wishes.gzip = value == "gzip"


def _read_traceparent(wishes: _Wishes, value: str) -> None:
    wishes.traceparent = value


def _read_tracestate(wishes: _Wishes, value: str) -> None:
    # W3C lets it come in several headers, which count as one list.
    wishes.tracestate = f"{wishes.tracestate},{value}" if wishes.tracestate else value


_READERS: dict[str, Callable[[_Wishes, str], None]] = {
    IDEMPOTENCY_KEY: _read_idempotency_key,
    SEND: _read_send,
    DELAY: _read_delay,
    RESPONSE_ENCODING: _read_encoding,
    "traceparent": _read_traceparent,
    "tracestate": _read_tracestate,
}
