"""Asynchronous connections to a runtime: gRPC unary calls on one grpc.aio channel.

A connection knows no services; generated clients bring descriptors. It keeps nothing between calls but the channel,
so one connection serves any number of tasks of its event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import grpc.aio
from restate_protocol.callers import CallOptions, ConnectionCaller
from restate_protocol.services import HandlerDescriptor
from restate_protocol.status import StatusCode

from . import wire
from .channels import Tls, channel_options
from .errors import ConnectionFailed
from .failures import FailedCall, NotCompleted, error_of
from .handles import SendHandle

if TYPE_CHECKING:
    _Method = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

Res = TypeVar("Res")


def connect(
    address: str = "localhost:8080",
    *,
    tls: Tls | None = None,
    headers: Mapping[str, str | bytes] | None = None,
) -> Connection:
    """A connection to the gRPC ingress of a runtime; use it as `async with connect(…) as restate:`.

    It connects on the first call and again whenever the connection was lost.

    Args:
        address: host and port of the gRPC ingress. Without a port: 8080.
        tls: TLS options. Default: plain text.
        headers: metadata of every call, for example `{"authorization": "Bearer …"}`.

    Raises:
        ValueError: the address is a URL, or a header is not allowed.
    """
    return Connection(wire.target_of(address), tls=tls, metadata=wire.headers_metadata(headers or {}))


class Connection(ConnectionCaller):
    """A connection to a runtime. Made by `connect`; generated clients take it."""

    def __init__(self, target: str, *, tls: Tls | None, metadata: wire.Metadata) -> None:
        self._target = target
        self._tls = tls
        self._metadata = metadata
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, _Method] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"Connection({self._target!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection and the calls that wait on it. Their invocations go on."""
        self._closed = True
        self._methods.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def resolve_awakeable(self, awakeable_id: str, value: object) -> None:
        """Completes an awakeable. Durable on return.

        Args:
            awakeable_id: awk_…
            value: a message, bytes, or anything JSON can say.

        Raises:
            IdError: it is not an awakeable id.
            InvocationNotFound: there is no such awakeable.
            InvalidRequest: the awakeable was made for another type.
        """
        await self._exchange(wire.resolve_awakeable(awakeable_id, value))

    async def reject_awakeable(self, awakeable_id: str, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> None:
        """Fails an awakeable: who waits for it gets a TerminalError. Durable on return.

        Args:
            awakeable_id: awk_…
            message: what happened, for people.
            code: the code of the error.

        Raises:
            IdError: it is not an awakeable id.
            InvocationNotFound: there is no such awakeable.
        """
        await self._exchange(wire.reject_awakeable(awakeable_id, message, code))

    async def cancel(self, invocation_id: str, *, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109
        """Asks an invocation to end, as `SendHandle.cancel` does, by its id.

        Args:
            invocation_id: inv_…
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            InvocationNotFound: there is no such invocation.
            AlreadyCompleted: it is over.
        """
        await self._exchange(wire.cancel(invocation_id, timeout))

    async def signal(
        self,
        invocation_id: str,
        name: str,
        value: object = None,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Gives a named signal to an invocation, as `SendHandle.signal` does, by its id.

        Args:
            invocation_id: inv_…
            name: not empty, and not beginning with `restate.`.
            value: a message, bytes, or anything JSON can say.
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            ValueError: the name is empty or the runtime's own.
            InvocationNotFound: there is no such invocation.
            AlreadyCompleted: it is over.
        """
        await self._exchange(wire.send_signal(invocation_id, name, value, timeout))

    def _restate_call(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> Coroutine[Any, Any, Res]:
        # Encoded here, not in the coroutine: mistakes show at the caller's line, later changes of the request do not.
        return self._call(handler, wire.call(handler, request, options))

    def _restate_send(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> Coroutine[Any, Any, SendHandle[Res]]:
        return self._send(handler, wire.send(handler, request, options))

    async def _call(self, handler: HandlerDescriptor[Any, Res], outgoing: wire.Outgoing) -> Res:
        data, _ = await self._exchange(outgoing)
        return wire.decode_response(handler, data)

    async def _send(self, handler: HandlerDescriptor[Any, Res], outgoing: wire.Outgoing) -> SendHandle[Res]:
        _, initial = await self._exchange(outgoing)
        return SendHandle(self, handler, *wire.sent(initial))

    async def _attach(
        self,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str,
        timeout: timedelta | None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> Res:
        data, _ = await self._exchange(wire.attach(handler, invocation_id, timeout))
        return wire.decode_response(handler, wire.attached(data))

    async def _output(
        self,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str,
        timeout: timedelta | None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> Res | None:
        try:
            data, _ = await self._exchange(wire.get_output(handler, invocation_id, timeout))
        except NotCompleted:
            return None
        return wire.decode_response(handler, wire.output(data))

    async def _exchange(self, outgoing: wire.Outgoing) -> tuple[bytes, wire.Metadata]:
        """One gRPC call: the answer and its initial metadata."""
        metadata = self._metadata + outgoing.metadata
        call = self._method(outgoing.path)(outgoing.data, metadata=metadata, timeout=outgoing.timeout_s)
        try:
            data = await call
            return data, wire.metadata_of(await call.initial_metadata())
        except grpc.aio.AioRpcError as error:
            raise error_of(_failed(error, self._target, outgoing)) from None
        except asyncio.CancelledError:
            # gRPC also says so to calls whose channel was closed; nobody has cancelled the caller then.
            task = asyncio.current_task()
            if not self._closed or (task is not None and task.cancelling()):
                raise
            raise self._was_closed() from None

    def _method(self, path: str) -> _Method:
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._open().unary_unary(path)
        return method

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise self._was_closed()
        if self._channel is None:
            self._channel = self._new_channel()
        return self._channel

    def _was_closed(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"this connection to {self._target} was closed: connect again", code=StatusCode.UNAVAILABLE
        )

    def _new_channel(self) -> grpc.aio.Channel:
        options = channel_options(self._tls)
        if self._tls is None:
            return grpc.aio.insecure_channel(self._target, options)
        return grpc.aio.secure_channel(self._target, self._tls.credentials(), options)


def _failed(error: grpc.aio.AioRpcError, address: str, outgoing: wire.Outgoing) -> FailedCall:
    return FailedCall(
        address,
        outgoing,
        StatusCode.of(error.code().value[0]),
        error.details() or "",
        trailing=wire.metadata_of(error.trailing_metadata()),
        initial=wire.metadata_of(error.initial_metadata()),
    )
