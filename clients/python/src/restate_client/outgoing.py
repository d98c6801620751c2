"""What is asked of a runtime: a call of a handler, or of one of the Ingress service's methods. No I/O.

Each knows both forms in which it travels: as a gRPC call of its own, and as one ask on a session. Each knows too
whether it may be repeated where its answer got lost. Invariant: both forms mean the same, so that a caller cannot tell
which was used.
"""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Any, TypeAlias

from protobuf import Message, Oneof
from protobuf.wkt.google.protobuf.duration_pb import Duration
from restate_protocol import codec, ids
from restate_protocol.callers import CallOptions
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.immutable import immutable
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_protocol.status import StatusCode
from restate_protocol.targets import TargetName, check_only_id, target_name

from . import wire
from .wire import Metadata

INGRESS = "restate.ingress.v1.Ingress"
SESSION = f"/{INGRESS}/Session"


class Repeat(enum.Enum):
    """What becomes of a request that reaches the runtime twice."""

    SAFE = "safe"  # nothing happens twice
    RUN = "run"  # a workflow's run: the second is refused, and the first can be attached to by its key
    ONCE = "once"  # it may do its work twice


@immutable
class InvocationName:
    """Which invocation is meant: by its id, or by what it was called with.

    Args:
        invocation_id: inv_…, or None where only the target is known.
        target: the target, where the id is not known.
    """

    invocation_id: str | None
    target: TargetName | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of a request of the Ingress service that name it."""
        if self.target is None:
            return {"invocation_id": self.invocation_id}
        one = self.target
        key, idempotency_key = one.key or "", one.idempotency_key or ""
        return {"target": pb.Target(service=one.service, handler=one.handler, key=key, idempotency_key=idempotency_key)}

    def __str__(self) -> str:
        return str(self.invocation_id if self.target is None else self.target)


@immutable
class HandlerCall:
    """A call of a handler, or a send to it.

    Args:
        handler: the rpc.
        data: the request message.
        repeat: whether it may be repeated.
        run_key: the key, where the rpc runs a workflow.
        idempotency_key: given by the caller.
        headers: metadata for the callee.
        timeout_s: how long to wait, in seconds.
        send: nobody waits for the result.
        delay: sends: when it is due.
    """

    handler: HandlerDescriptor[Any, Any]
    data: bytes
    repeat: Repeat
    run_key: str | None
    idempotency_key: str | None
    headers: Metadata
    timeout_s: float | None
    send: bool
    delay: timedelta | None

    @property
    def method(self) -> str:
        """`service/method`, as gRPC paths have it."""
        return f"{self.handler.service}/{self.handler.name}"

    @property
    def path(self) -> str:
        """The gRPC path."""
        return f"/{self.handler.service}/{self.handler.name}"

    @property
    def about(self) -> InvocationName | None:
        """The invocation that it is about: none that is known yet."""
        return None

    @property
    def metadata(self) -> Metadata:
        """What goes with the gRPC call besides the connection's own."""
        metadata = self.headers
        if self.idempotency_key is not None:
            metadata += ((wire.IDEMPOTENCY_KEY, self.idempotency_key),)
        if self.send:
            metadata += ((wire.SEND, "true"),)
        if self.delay:
            metadata += ((wire.DELAY, wire.duration_text(self.delay)),)
        return metadata

    def ask(self, common: Metadata) -> Oneof[Any, Any] | None:
        """The request of an ask on a session; None where a session cannot carry it.

        Args:
            common: headers of the connection that go with every request.
        """
        headers: dict[str, str] = {}
        for name, value in common + self.headers:
            if isinstance(value, bytes):
                return None
            headers[name] = value
        fields: dict[str, Any] = {
            "service": self.handler.service,
            "handler": self.handler.name,
            "request": Oneof("payload", self.data),
        }
        if self.idempotency_key is not None:
            fields["idempotency_key"] = self.idempotency_key
        if headers:
            fields["headers"] = headers
        if not self.send:
            return Oneof("call", pb.CallRequest(**fields))
        if self.delay:
            fields["delay"] = _duration(self.delay)
        return Oneof("send", pb.SendRequest(**fields))


@immutable
class IngressCall:
    """A call of a method of the Ingress service.

    Args:
        name: the method.
        ask_field: the field of an ask that has this request.
        request: the request message.
        repeat: whether it may be repeated.
        about: the invocation it is about, if it is about one.
        handler: the rpc whose result is asked for; None where none is.
        timeout_s: how long to wait, in seconds.
    """

    name: str
    ask_field: str
    request: Message[Any]
    repeat: Repeat
    about: InvocationName | None = None
    handler: HandlerDescriptor[Any, Any] | None = None
    timeout_s: float | None = None
    data: bytes = b""

    @property
    def method(self) -> str:
        """`service/method`, as gRPC paths have it."""
        return f"{INGRESS}/{self.name}"

    @property
    def path(self) -> str:
        """The gRPC path."""
        return f"/{INGRESS}/{self.name}"

    @property
    def metadata(self) -> Metadata:
        """Nothing goes with it but the connection's own."""
        return ()

    def ask(self, common: Metadata) -> Oneof[Any, Any] | None:
        """The request of an ask on a session. Headers have no part in it."""
        return Oneof(self.ask_field, self.request)


Outgoing: TypeAlias = HandlerCall | IngressCall


def call(handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> HandlerCall:
    """A call of a handler, whose result is waited for."""
    return _handler_call(handler, request, options, send=False)


def send(handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> HandlerCall:
    """A send to a handler."""
    return _handler_call(handler, request, options, send=True)


def _handler_call(
    handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions, *, send: bool
) -> HandlerCall:
    key = options.idempotency_key
    run = handler.mode is HandlerMode.RUN
    return HandlerCall(
        handler,
        codec.encode(request),
        _repeat(handler, request, key, send=send),
        str(getattr(request, handler.key_field)) if run and handler.key_field is not None else None,
        None if key is None else wire.checked_idempotency_key(key),
        wire.headers_metadata(options.headers) if options.headers else (),
        wire.seconds(options.timeout),
        send,
        options.delay,
    )


def _repeat(handler: HandlerDescriptor[Any, Any], request: Any, key: str | None, *, send: bool) -> Repeat:
    if handler.mode is HandlerMode.RUN:
        return Repeat.SAFE if send else Repeat.RUN
    if key is not None or (handler.idempotency_field and getattr(request, handler.idempotency_field)):
        return Repeat.SAFE
    return Repeat.SAFE if handler.no_side_effects else Repeat.ONCE


def by_id(invocation_id: str) -> InvocationName:
    """An invocation by its id.

    Raises:
        IdError: it is not an invocation id.
    """
    ids.parse_invocation_id(invocation_id)
    return InvocationName(invocation_id)


def name_of(
    handler: HandlerDescriptor[Any, Any], invocation_id: str | None, key: str | int | None, idempotency_key: str | None
) -> InvocationName:
    """An invocation by its id or by what it was called with.

    Raises:
        IdError: it is not an invocation id.
        ValueError: that does not name an invocation of this rpc.
    """
    if invocation_id is None:
        return InvocationName(None, target_name(handler, key, idempotency_key))
    check_only_id(key, idempotency_key)
    return by_id(invocation_id)


def run_of(call: HandlerCall) -> InvocationName:
    """The run of the workflow that a call was for."""
    return InvocationName(None, TargetName(call.handler.service, call.handler.name, call.run_key, None))


def attach(handler: HandlerDescriptor[Any, Any], name: InvocationName, timeout_s: float | None) -> IngressCall:
    """Waits for a result."""
    request = pb.AttachRequest(**name.fields())
    return _about("Attach", "attach", request, Repeat.SAFE, name, timeout_s, handler)


def get_output(handler: HandlerDescriptor[Any, Any], name: InvocationName, timeout_s: float | None) -> IngressCall:
    """Looks for a result."""
    request = pb.GetOutputRequest(**name.fields())
    return _about("GetOutput", "get_output", request, Repeat.SAFE, name, timeout_s, handler)


def lookup(name: InvocationName, timeout_s: float | None) -> IngressCall:
    """Finds an invocation."""
    return _about("Lookup", "lookup", pb.LookupRequest(**name.fields()), Repeat.SAFE, name, timeout_s)


def cancel(name: InvocationName, timeout_s: float | None) -> IngressCall:
    """Asks an invocation to end. Each time cancels once more, so it is not repeated."""
    return _about("Cancel", "cancel", pb.CancelRequest(**name.fields()), Repeat.ONCE, name, timeout_s)


def send_signal(name: InvocationName, signal: str, value: object, timeout_s: float | None) -> IngressCall:
    """Gives a named signal. Each time gives one more, so it is not repeated.

    Raises:
        ValueError: the name is empty or the runtime's own.
        TypeError: the value is no message, no bytes, and not JSON.
    """
    return _signal(name, signal, wire.given_value(value), timeout_s)


def reject_signal(name: InvocationName, signal: str, message: str, timeout_s: float | None) -> IngressCall:
    """Gives a named signal that is a failure.

    Raises:
        ValueError: the name is empty or the runtime's own.
    """
    return _signal(name, signal, Oneof("reject", message), timeout_s)


def _signal(name: InvocationName, signal: str, value: Any, timeout_s: float | None) -> IngressCall:
    request = pb.SendSignalRequest(**name.fields(), name=wire.checked_signal_name(signal), value=value)
    return _about("SendSignal", "send_signal", request, Repeat.ONCE, name, timeout_s)


def _about(
    method: str,
    ask_field: str,
    request: Message[Any],
    repeat: Repeat,
    name: InvocationName,
    timeout_s: float | None,
    handler: HandlerDescriptor[Any, Any] | None = None,
) -> IngressCall:
    return IngressCall(method, ask_field, request, repeat, name, handler, timeout_s, request.to_binary())


def resolve_awakeable(awakeable_id: str, value: object, timeout_s: float | None) -> IngressCall:
    """Completes an awakeable: messages and bytes as they are, anything else as JSON.

    Raises:
        IdError: it is not an awakeable id.
        TypeError: the value is no message, no bytes, and not JSON.
    """
    ids.parse_awakeable_id(awakeable_id)
    one: Any = wire.given_value(value)
    request = pb.ResolveAwakeableRequest(awakeable_id=awakeable_id, value=one)
    return _about_awakeable("ResolveAwakeable", "resolve_awakeable", request, timeout_s)


def reject_awakeable(awakeable_id: str, message: str, code: StatusCode, timeout_s: float | None) -> IngressCall:
    """Fails an awakeable.

    Raises:
        IdError: it is not an awakeable id.
        ValueError: the code is OK.
    """
    ids.parse_awakeable_id(awakeable_id)
    if code == StatusCode.OK:
        raise ValueError("an awakeable cannot be rejected with code OK: resolve it")
    request = pb.RejectAwakeableRequest(awakeable_id=awakeable_id, message=message, code=int(code))
    return _about_awakeable("RejectAwakeable", "reject_awakeable", request, timeout_s)


def _about_awakeable(method: str, ask_field: str, request: Message[Any], timeout_s: float | None) -> IngressCall:
    # An awakeable is completed once: a second time is refused and changes nothing.
    return IngressCall(method, ask_field, request, Repeat.SAFE, None, None, timeout_s, request.to_binary())


def _duration(delay: timedelta) -> Duration:
    millis = wire.millis_of(delay)
    return Duration(seconds=millis // 1000, nanos=millis % 1000 * 1_000_000)
