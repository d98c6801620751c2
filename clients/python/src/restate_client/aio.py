"""The asynchronous channel, and calls that each are a gRPC call of their own.

A channel is opened by the first call and belongs to the process and the event loop of that call. gRPC connects it, and
connects it again. Nothing is kept here between calls but the channel.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import grpc
import grpc.aio
from restate_protocol.status import StatusCode

from .channels import Home, channel_options
from .errors import ConnectionFailed, ConnectionMisused
from .failures import CallFailed, failure_of_status
from .outgoing import Outgoing
from .replies import Reply, read_unary
from .settings import Settings
from .wire import metadata_of

if TYPE_CHECKING:
    _Method = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


class Transport(Protocol):
    """Carries what is asked to the runtime, once."""

    async def exchange(self, outgoing: Outgoing, timeout_s: float | None) -> Reply:
        """Asks and waits for the answer.

        Raises:
            CallFailed: there is no reply.
        """
        ...

    async def close(self) -> None:
        """Ends it and what waits on it."""
        ...


class AioChannel:
    """The channel of an asynchronous connection.

    Args:
        settings: how to reach the runtime.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.closed = False
        self._channel: grpc.aio.Channel | None = None
        self._home: Home | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> grpc.aio.Channel:
        """The channel, opened if need be.

        Raises:
            ConnectionFailed: the connection was closed.
            ConnectionMisused: it belongs to another process or event loop.
        """
        if self.closed:
            raise self.was_closed()
        if self._channel is None or self._home is None:
            return self._open()
        self._home.check()
        if self._loop is not asyncio.get_running_loop():
            raise ConnectionMisused(
                f"the connection to {self.settings.target} belongs to another event loop: connect in each"
                " `asyncio.run`, or use restate_client.sync"
            )
        return self._channel

    async def close(self) -> None:
        """Ends the channel and the calls that wait on it."""
        self.closed = True
        channel, self._channel = self._channel, None
        if channel is not None and self._home is not None and self._home.here:
            await channel.close()

    def was_closed(self) -> ConnectionFailed:
        """What calls of a closed connection raise."""
        target = self.settings.target
        return ConnectionFailed(f"this connection to {target} was closed: connect again", code=StatusCode.UNAVAILABLE)

    def _open(self) -> grpc.aio.Channel:
        settings = self.settings
        options = channel_options(settings.tls, settings.keepalive)
        if settings.tls is None:
            channel = grpc.aio.insecure_channel(settings.target, options)
        else:
            channel = grpc.aio.secure_channel(settings.target, settings.tls.credentials(), options)
        self._home, self._loop, self._channel = Home(settings.target), asyncio.get_running_loop(), channel
        return channel


class UnaryTransport:
    """One gRPC call for each call.

    Args:
        channel: the connection's channel.
    """

    def __init__(self, channel: AioChannel) -> None:
        self._channel = channel
        self._metadata = channel.settings.metadata
        self._methods: dict[str, _Method] = {}

    async def exchange(self, outgoing: Outgoing, timeout_s: float | None) -> Reply:
        """Asks and waits for the answer.

        Raises:
            CallFailed: there is no reply.
        """
        channel = self._channel.get()
        method = self._methods.get(outgoing.path)
        if method is None:
            method = self._methods[outgoing.path] = channel.unary_unary(outgoing.path)
        call = method(outgoing.data, metadata=self._metadata + outgoing.metadata, timeout=timeout_s)
        try:
            data = await call
            return read_unary(outgoing, data, metadata_of(await call.initial_metadata()))
        except grpc.aio.AioRpcError as error:
            raise failed(error) from None
        except asyncio.CancelledError:
            # gRPC also says so to calls whose channel was closed; nobody has cancelled the caller then.
            task = asyncio.current_task()
            if not self._channel.closed or (task is not None and task.cancelling()):
                raise
            raise self._channel.was_closed() from None

    async def close(self) -> None:
        """Forgets the channel's methods; the channel is its owner's."""
        self._methods.clear()


def failed(error: grpc.aio.AioRpcError) -> CallFailed:
    """What gRPC says of a call that failed."""
    return CallFailed(
        failure_of_status(
            StatusCode.of(error.code().value[0]),
            error.details() or "",
            trailing=metadata_of(error.trailing_metadata()),
            initial=metadata_of(error.initial_metadata()),
        )
    )
