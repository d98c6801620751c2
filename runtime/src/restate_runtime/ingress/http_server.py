"""The HTTP server under the ingress: uvicorn's protocol in the loop of the runtime.

Only uvicorn's HTTP protocol is used, not its server, which would install signal handlers, hide the port and wait in
steps of 100 ms. Here the socket is ours, and a stop awaits what is in flight.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .ports import bind

#: How long an idle connection is kept for its next request, in seconds.
KEEP_ALIVE_SECONDS = 75


class HttpServer:
    """Serves an ASGI app.

    Args:
        app: the app; requests only, no lifespan and no WebSocket.
        what: what the server is, for errors.
    """

    def __init__(self, app: Any, what: str) -> None:
        self._app = app
        self._what = what
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens. Gives the real port where asked for 0.

        Raises:
            PortInUse: another program listens there.
            ListenError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        sock = bind(self._what, host, port)
        config = Config(
            self._app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        self._server = await loop.create_server(
            lambda: HttpToolsProtocol(config, self._state, {}, loop), sock=sock, backlog=config.backlog
        )
        self._tell_date(loop)
        bound: int = sock.getsockname()[1]
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Closes what is idle, lets requests in flight end for so long, then ends them."""
        if self._server is None:
            return
        self._server.close()
        if self._clock is not None:
            self._clock.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            await self._end(late)
        await self._server.wait_closed()

    async def _end(self, late: set[asyncio.Task[None]]) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _tell_date(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keeps the Date header, written once a second for all responses."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = loop.call_later(1, self._tell_date, loop)
