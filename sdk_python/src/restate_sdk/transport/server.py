"""The endpoint's gRPC server: runtimes dial it, each stream is a session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from restate_protocol.errors import RestateError

from ..errors import EndpointError
from ..session import Session, pump
from .options import ENDPOINT_SERVICE, SERVER_OPTIONS

_log = logging.getLogger("restate_sdk")


class EndpointServer:
    """Serves sessions on one port.

    Args:
        new_session: makes a session for a runtime that dialled.
    """

    def __init__(self, new_session: Callable[[], Session]) -> None:
        self._new_session = new_session
        self._sessions: set[Session] = set()
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        handler: Any = grpc.stream_stream_rpc_method_handler(self._serve)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(ENDPOINT_SERVICE, {"Session": handler}),)
        )

    async def start(self, host: str, port: int) -> int:
        """Binds and begins to serve. Gives the real port.

        Raises:
            EndpointError: the address cannot be bound.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise EndpointError(
                f"cannot serve on {address}: the port is in use or the address is not this machine's. Stop what uses"
                f" it, or choose another: serve(port=...)"
            ) from error
        await self._server.start()
        return bound

    async def stop(self, grace: float) -> None:
        """Stops: tells the runtimes, lets attempts finish for `grace` seconds, then ends."""
        for session in self._sessions:
            session.drain()
        waits = [asyncio.ensure_future(session.idle()) for session in self._sessions]
        if waits:
            _, late = await asyncio.wait(waits, timeout=grace)
            for wait in late:
                wait.cancel()
        for session in list(self._sessions):
            session.close("the endpoint stops")
        await self._server.stop(1.0)

    async def _serve(self, _: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        session = self._new_session()
        self._sessions.add(session)
        try:
            await pump(session, lambda: _read(context), context.write)
        except RestateError as error:
            _log.error("%s", error)
        finally:
            self._sessions.discard(session)


async def _read(context: Any) -> bytes | None:
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        data = await context.read()
        return None if data is grpc.aio.EOF else data
    return None
