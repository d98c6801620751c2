"""Blocking connections to a runtime, for scripts, WSGI applications and notebooks: the twin of
`restate_client.connection`.

One connection serves any number of threads. It keeps nothing between calls but the channel, which belongs to the
process of the first call.
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

from . import outgoing as out
from .channels import Home, Keepalive, Tls, channel_options
from .clocks import BlockingClock, SystemBlockingClock
from .errors import ConnectionFailed
from .failures import CallFailed, Failure, NotCompleted, failure_of_status
from .handles import BlockingHandle, BlockingSendHandle
from .outgoing import InvocationName, Outgoing
from .replies import KnownInvocation, Reply, decode_response, found, read_unary, sent
from .retry import Again, RetryPolicy, Tries
from .settings import DEFAULT_KEEPALIVE, DEFAULT_RETRY, MAX_REQUEST_BYTES, Settings, settings_of
from .wire import metadata_of, seconds

if TYPE_CHECKING:
    _Method = grpc.UnaryUnaryMultiCallable[bytes, bytes]

__all__ = ["BlockingConnection", "connect"]

Res = TypeVar("Res")


def connect(
    address: str = "localhost:8080",
    *,
    tls: Tls | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    retry: RetryPolicy | None = DEFAULT_RETRY,
    timeout: timedelta | None = None,
    keepalive: Keepalive | None = DEFAULT_KEEPALIVE,
    max_request_bytes: int = MAX_REQUEST_BYTES,
) -> BlockingConnection:
    """A blocking connection to the gRPC ingress of a runtime; use it as `with connect(…) as restate:`.

    It connects on the first call and again whenever the connection was lost. It belongs to the process of its first
    call: gRPC does not survive a fork.

    Args:
        address: host and port of the gRPC ingress. Without a port: 8080.
        tls: TLS options. Default: plain text.
        headers: metadata of every call, for example `{"authorization": "Bearer …"}`.
        retry: how calls that failed are made again, where that is safe. None: they are not.
        timeout: how long each call waits that has no timeout of its own. Default: for ever.
        keepalive: pings while calls wait, so that a connection that broke without a word is noticed. Default: after a
            minute of silence. None: no pings.
        max_request_bytes: the longest request, in bytes. Default 32 MiB, as the runtime has it.

    Raises:
        ValueError: the address is a URL, a header is not allowed, or an option makes no sense.
    """
    return BlockingConnection(settings_of(address, tls, headers, retry, timeout, keepalive, max_request_bytes))


class BlockingConnection(BlockingCaller):
    """A blocking connection to a runtime. Made by `connect`; generated clients take it."""

    def __init__(self, settings: Settings, *, clock: BlockingClock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemBlockingClock()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._channel: grpc.Channel | None = None
        self._home: Home | None = None

    def __repr__(self) -> str:
        return f"BlockingConnection({self._settings.target!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the calls that wait on it. Their invocations go on."""
        with self._lock:
            self._ended.set()
            channel, self._channel = self._channel, None
        if channel is not None and self._home is not None and self._home.here:
            channel.close()

    def resolve_awakeable(self, awakeable_id: str, value: object, *, timeout: timedelta | None = None) -> None:
        """Completes an awakeable, as `Connection.resolve_awakeable` does."""
        self._exchange(out.resolve_awakeable(awakeable_id, value, seconds(timeout)))

    def reject_awakeable(
        self,
        awakeable_id: str,
        message: str,
        *,
        code: StatusCode = StatusCode.UNKNOWN,
        timeout: timedelta | None = None,
    ) -> None:
        """Fails an awakeable, as `Connection.reject_awakeable` does."""
        self._exchange(out.reject_awakeable(awakeable_id, message, code, seconds(timeout)))

    def lookup(self, invocation_id: str, *, timeout: timedelta | None = None) -> KnownInvocation:
        """What the runtime has under an id, as `Connection.lookup` gives it."""
        return self._lookup(out.by_id(invocation_id), timeout)

    def cancel(self, invocation_id: str, *, timeout: timedelta | None = None) -> None:
        """Asks an invocation to end, as `Connection.cancel` does."""
        self._exchange(out.cancel(out.by_id(invocation_id), seconds(timeout)))

    def signal(self, invocation_id: str, name: str, value: object = None, *, timeout: timedelta | None = None) -> None:
        """Gives a named signal to an invocation, as `Connection.signal` does."""
        self._exchange(out.send_signal(out.by_id(invocation_id), name, value, seconds(timeout)))

    def reject_signal(self, invocation_id: str, name: str, message: str, *, timeout: timedelta | None = None) -> None:
        """Gives an invocation a named signal that is a failure, as `Connection.reject_signal` does."""
        self._exchange(out.reject_signal(out.by_id(invocation_id), name, message, seconds(timeout)))

    def _restate_call(self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions) -> Res:
        return self._call(handler, out.call(handler, request, options))

    def _restate_send(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> BlockingSendHandle[Res]:
        return BlockingSendHandle(self, handler, *sent(self._exchange(out.send(handler, request, options))))

    def _restate_handle(
        self,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str | None,
        key: str | int | None,
        idempotency_key: str | None,
    ) -> BlockingHandle[Res]:
        return BlockingHandle(self, handler, out.name_of(handler, invocation_id, key, idempotency_key))

    def _call(self, handler: HandlerDescriptor[Any, Res], outgoing: Outgoing) -> Res:
        return decode_response(handler, self._exchange(outgoing).payload)

    def _attach(self, handler: HandlerDescriptor[Any, Res], name: InvocationName, timeout: timedelta | None) -> Res:
        return self._call(handler, out.attach(handler, name, seconds(timeout)))

    def _output(
        self, handler: HandlerDescriptor[Any, Res], name: InvocationName, timeout: timedelta | None
    ) -> Res | None:
        try:
            return self._call(handler, out.get_output(handler, name, seconds(timeout)))
        except NotCompleted:
            return None

    def _lookup(self, name: InvocationName, timeout: timedelta | None) -> KnownInvocation:
        return found(self._exchange(out.lookup(name, seconds(timeout))))

    def _exchange(self, outgoing: Outgoing) -> Reply:
        """Asks, and asks again where that is safe."""
        settings = self._settings
        timeout_s = settings.wait_s(outgoing)
        began_s = self._clock.now_s()
        try:
            return self._ask(outgoing, timeout_s)
        except CallFailed as error:
            failure = error.failure
        return self._persist(Tries(settings.target, settings.retry, outgoing, began_s, timeout_s), failure)

    def _persist(self, tries: Tries, failure: Failure) -> Reply:
        """What becomes of a call whose first try failed."""
        while True:
            step = tries.after(failure, self._clock.now_s(), self._clock.luck())
            if isinstance(step, Reply):
                return step
            if not isinstance(step, Again):
                raise step
            self._clock.sleep(step.wait_s, self._ended)
            try:
                return self._ask(step.outgoing, step.timeout_s)
            except CallFailed as error:
                failure = error.failure

    def _ask(self, outgoing: Outgoing, timeout_s: float | None) -> Reply:
        """One gRPC call."""
        method: _Method = self._open().unary_unary(outgoing.path)
        metadata = self._settings.metadata + outgoing.metadata
        try:
            data, call = method.with_call(outgoing.data, metadata=metadata, timeout=timeout_s)
        except grpc.RpcError as error:
            if self._ended.is_set():
                raise self._was_closed() from None
            raise _failed(error) from None
        return read_unary(outgoing, data, metadata_of(call.initial_metadata()))

    def _open(self) -> grpc.Channel:
        if self._home is not None:
            self._home.check()  # before the lock: another thread may have held it when this process was forked
        with self._lock:
            if self._ended.is_set():
                raise self._was_closed()
            if self._channel is None or self._home is None:
                self._home, self._channel = Home(self._settings.target), self._new_channel()
            return self._channel

    def _was_closed(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"this connection to {self._settings.target} was closed: connect again", code=StatusCode.UNAVAILABLE
        )

    def _new_channel(self) -> grpc.Channel:
        settings = self._settings
        options = channel_options(settings.tls, settings.keepalive)
        if settings.tls is None:
            return grpc.insecure_channel(settings.target, options)
        return grpc.secure_channel(settings.target, settings.tls.credentials(), options)


def _failed(error: Any) -> CallFailed:
    return CallFailed(
        failure_of_status(
            StatusCode.of(error.code().value[0]),
            error.details() or "",
            trailing=metadata_of(error.trailing_metadata()),
            initial=metadata_of(error.initial_metadata()),
        )
    )
