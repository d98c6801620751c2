"""Dials endpoints over gRPC and keeps dialling: back-off while one is down, again at once after a good session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from restate_protocol.status import StatusCode

from .errors import DeploymentError

_log = structlog.get_logger(__name__)

METHOD = "/restate.protocol.v1.Endpoint/Session"
CONNECT_TIMEOUT_S = 5.0
BACK_OFF_MIN_S = 0.05
BACK_OFF_MAX_S = 1.0
# Far above the longest value, because a message carries a batch.
MESSAGE_BYTES_MAX = 128 << 20

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)

Write = Callable[[bytes], Awaitable[object]]
Talk = Callable[[Write, AsyncIterator[bytes]], Awaitable[None]]


def check_address(address: str) -> None:
    """Refuses what is no address.

    Raises:
        DeploymentError: INVALID_ARGUMENT, it is not host:port.
    """
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        message = f"{address!r} is no address of an endpoint: give host:port, such as localhost:9080"
        raise DeploymentError(message, StatusCode.INVALID_ARGUMENT)


@asynccontextmanager
async def dial(address: str) -> AsyncIterator[tuple[Write, AsyncIterator[bytes]]]:
    """Opens a stream to an endpoint.

    Raises:
        DeploymentError: UNAVAILABLE, nobody answers at the address; or the peer is no endpoint.
    """
    channel = grpc.aio.insecure_channel(address, options=list(CHANNEL_OPTIONS))
    try:
        await _connect(channel, address)
        call: Any = channel.stream_stream(METHOD)()
        try:
            yield call.write, _messages(call, address)
        except grpc.aio.AioRpcError as error:
            raise _explain(address, error) from error
        finally:
            call.cancel()
    finally:
        await channel.close()


async def _connect(channel: grpc.aio.Channel, address: str) -> None:
    try:
        await asyncio.wait_for(channel.channel_ready(), CONNECT_TIMEOUT_S)
    except TimeoutError:
        message = f"nobody answers at {address}: is the endpoint running, and is that its port?"
        raise DeploymentError(message, StatusCode.UNAVAILABLE) from None


async def _messages(call: Any, address: str) -> AsyncIterator[bytes]:
    while True:
        try:
            message = await call.read()
        except grpc.aio.AioRpcError as error:
            raise _explain(address, error) from error
        if message is grpc.aio.EOF:
            return
        yield message


def _explain(address: str, error: grpc.aio.AioRpcError) -> DeploymentError:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return DeploymentError(f"{address} speaks gRPC but is no service endpoint: it does not know {METHOD}")
    why = error.details() or error.code().name
    return DeploymentError(f"the connection to the endpoint at {address} broke: {why}", StatusCode.UNAVAILABLE)


class Dialer:
    """Keeps one session with an address open.

    Args:
        address: host:port.
        talk: runs a session from hello to end; raises where it cannot be.
    """

    def __init__(self, address: str, talk: Talk) -> None:
        self.address = address
        self.last_error = ""
        self._talk = talk
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to dial."""
        self._task = asyncio.get_running_loop().create_task(self._dial_forever())

    async def stop(self) -> None:
        """Ends the session and dials no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _note(self, error: str) -> None:
        if error != self.last_error:
            _log.warning("endpoint not reached", address=self.address, error=error)
        self.last_error = error

    async def _dial_forever(self) -> None:
        delay_s = BACK_OFF_MIN_S
        while True:
            talked = asyncio.get_running_loop().time()
            try:
                async with dial(self.address) as (write, messages):
                    self.last_error = ""
                    await self._talk(write, messages)
            except DeploymentError as error:
                self._note(str(error))
            except Exception as error:
                # Whatever it is, it must not end the dialling: the endpoint would never be reached again.
                _log.error("a session broke down", address=self.address, exc_info=error)
                self._note(f"the session with {self.address} broke down: {type(error).__name__}: {error}")
            if asyncio.get_running_loop().time() - talked > BACK_OFF_MAX_S:
                delay_s = BACK_OFF_MIN_S
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, BACK_OFF_MAX_S)
