"""Blocking connections to a runtime, for scripts and WSGI applications: the twin of `restate_client.connection`.

One connection serves any number of threads. It keeps nothing between calls but the channel.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
from restate_protocol.callers import BlockingCaller, CallOptions
from restate_protocol.services import HandlerDescriptor
from restate_protocol.status import StatusCode

from . import wire
from .channels import Tls, channel_options
from .errors import ConnectionFailed
from .failures import FailedCall, NotCompleted, error_of
from .handles import BlockingSendHandle

if TYPE_CHECKING:
    _Method = grpc.UnaryUnaryMultiCallable[bytes, bytes]

__all__ = ["BlockingConnection", "connect"]

Res = TypeVar("Res")


def connect(
    address: str = "localhost:8080",
    *,
    tls: Tls | None = None,
    headers: Mapping[str, str | bytes] | None = None,
) -> BlockingConnection:
    """A blocking connection to the gRPC ingress of a runtime; use it as `with connect(…) as restate:`.

    It connects on the first call and again whenever the connection was lost.

    Args:
        address: host and port of the gRPC ingress. Without a port: 8080.
        tls: TLS options. Default: plain text.
        headers: metadata of every call, for example `{"authorization": "Bearer …"}`.

    Raises:
        ValueError: the address is a URL, or a header is not allowed.
    """
    return BlockingConnection(wire.target_of(address), tls=tls, metadata=wire.headers_metadata(headers or {}))


class BlockingConnection(BlockingCaller):
    """A blocking connection to a runtime. Made by `connect`; generated clients take it."""

    def __init__(self, target: str, *, tls: Tls | None, metadata: wire.Metadata) -> None:
        self._target = target
        self._tls = tls
        self._metadata = metadata
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"BlockingConnection({self._target!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the calls that wait on it. Their invocations go on."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def resolve_awakeable(self, awakeable_id: str, value: object) -> None:
        """Completes an awakeable, as `Connection.resolve_awakeable` does."""
        self._exchange(wire.resolve_awakeable(awakeable_id, value))

    def reject_awakeable(self, awakeable_id: str, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> None:
        """Fails an awakeable, as `Connection.reject_awakeable` does."""
        self._exchange(wire.reject_awakeable(awakeable_id, message, code))

    def cancel(self, invocation_id: str, *, timeout: timedelta | None = None) -> None:
        """Asks an invocation to end, as `Connection.cancel` does."""
        self._exchange(wire.cancel(invocation_id, timeout))

    def signal(self, invocation_id: str, name: str, value: object = None, *, timeout: timedelta | None = None) -> None:
        """Gives a named signal to an invocation, as `Connection.signal` does."""
        self._exchange(wire.send_signal(invocation_id, name, value, timeout))

    def _restate_call(self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions) -> Res:
        data, _ = self._exchange(wire.call(handler, request, options))
        return wire.decode_response(handler, data)

    def _restate_send(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> BlockingSendHandle[Res]:
        _, initial = self._exchange(wire.send(handler, request, options))
        return BlockingSendHandle(self, handler, *wire.sent(initial))

    def _attach(self, handler: HandlerDescriptor[Any, Res], invocation_id: str, timeout: timedelta | None) -> Res:
        data, _ = self._exchange(wire.attach(handler, invocation_id, timeout))
        return wire.decode_response(handler, wire.attached(data))

    def _output(
        self, handler: HandlerDescriptor[Any, Res], invocation_id: str, timeout: timedelta | None
    ) -> Res | None:
        try:
            data, _ = self._exchange(wire.get_output(handler, invocation_id, timeout))
        except NotCompleted:
            return None
        return wire.decode_response(handler, wire.output(data))

    def _exchange(self, outgoing: wire.Outgoing) -> tuple[bytes, wire.Metadata]:
        """One gRPC call: the answer and its initial metadata."""
        method: _Method = self._open().unary_unary(outgoing.path)
        metadata = self._metadata + outgoing.metadata
        try:
            data, call = method.with_call(outgoing.data, metadata=metadata, timeout=outgoing.timeout_s)
        except grpc.RpcError as error:
            raise error_of(_failed(error, self._target, outgoing)) from None
        return data, wire.metadata_of(call.initial_metadata())

    def _open(self) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise ConnectionFailed(
                    f"this connection to {self._target} was closed: connect again", code=StatusCode.UNAVAILABLE
                )
            if self._channel is None:
                self._channel = self._new_channel()
            return self._channel

    def _new_channel(self) -> grpc.Channel:
        options = channel_options(self._tls)
        if self._tls is None:
            return grpc.insecure_channel(self._target, options)
        return grpc.secure_channel(self._target, self._tls.credentials(), options)


def _failed(error: Any, address: str, outgoing: wire.Outgoing) -> FailedCall:
    return FailedCall(
        address,
        outgoing,
        StatusCode.of(error.code().value[0]),
        error.details() or "",
        trailing=wire.metadata_of(error.trailing_metadata()),
        initial=wire.metadata_of(error.initial_metadata()),
    )
