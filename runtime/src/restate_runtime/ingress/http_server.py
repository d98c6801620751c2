"""The HTTP server under the ingress: uvicorn's protocol in the loop of the runtime.

Only uvicorn's HTTP protocol is used, not its server, which would install signal handlers, hide the port and wait in
steps of 100 ms. Here the socket is ours, a stop awaits what is in flight, the head of a request (its first line with
its headers) has a limit, and what is no HTTP/1.1 is told so in the words of Connect's errors.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from restate_protocol.status import StatusCode
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from .connect import JSON_FORM
from .errors import Answer, refusal
from .ports import bind
from .reasons import Reason

#: How long an idle connection is kept for its next request, in seconds.
KEEP_ALIVE_SECONDS = 75

#: The most that one read from a socket gives, in bytes.
_READ_BYTES = 256 * 1024


class HttpServer:
    """Serves an ASGI app.

    Args:
        app: the app; requests only, no lifespan and no WebSocket.
        what: what the server is, for errors.
        max_head_bytes: the longest request line with headers.
    """

    def __init__(self, app: Any, what: str, max_head_bytes: int = 65_536) -> None:
        self._app = app
        self._what = what
        self._max_head_bytes = max_head_bytes
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
            lambda: _Protocol(config, self._state, loop, self._max_head_bytes), sock=sock, backlog=config.backlog
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


class _HeadTooLong(Exception):
    """The request line with the headers is over the limit."""


class _Protocol(HttpToolsProtocol):
    """One connection: uvicorn's, with a limit of the head and with errors that say what to do."""

    def __init__(
        self, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop, max_head_bytes: int
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._max_head_bytes = max_head_bytes
        self._reading_head = True
        self._fed = 0  # bytes since the last request ended
        self._too_long = False

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        self._unset_keepalive_if_required()
        self._feed(data, offered=True)
        # The first of these bytes may be the end of a request before.
        if self._reading_head and self._fed > self._max_head_bytes + _READ_BYTES and not self.transport.is_closing():
            self._too_long = True
            self.send_400_response("")

    def _feed(self, data: bytes, *, offered: bool) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            if offered and self.parser.get_method() != b"CONNECT":
                self._pass_over(data[offer.args[0] :])
            else:
                self.send_400_response("")
        except HttpParserError:
            self.send_400_response("")

    def _pass_over(self, rest: bytes) -> None:
        """Goes on as if no upgrade had been offered: a server may, and the parser reads no body after an offer.

        Java's HTTP client offers HTTP/2 with its first request.
        """
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b\r\n" % one for one in self.headers if one[0] not in (b"upgrade", b"connection")]
        self.parser = HttpRequestParser(self)
        self._feed(b"".join([*lines, b"\r\n", rest]), offered=False)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        if self._fed > self._max_head_bytes:
            self._check_head()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._reading_head = True
        self._fed = 0
        super().on_message_complete()

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._max_head_bytes:
            self._too_long = True
            raise _HeadTooLong

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request, and closes the connection."""
        reply = JSON_FORM.error(self._problem(), [(b"connection", b"close")], None, 431 if self._too_long else 400)
        lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *reply.headers)]
        self.transport.write(b"".join([STATUS_LINE[reply.status], *lines, b"\r\n", reply.body]))
        self.transport.close()

    def _problem(self) -> Answer:
        if self._too_long:
            message = (
                f"the request line and headers are longer than {self._max_head_bytes} bytes, the limit "
                "(setting max_http_head_bytes); send a long message with POST, and fewer or shorter headers"
            )
            return refusal(StatusCode.RESOURCE_EXHAUSTED, message, Reason.METADATA_TOO_LARGE)
        message = "this is not an HTTP/1.1 request. HTTP/2 and native gRPC are spoken on the gRPC port, TLS nowhere"
        return refusal(StatusCode.INVALID_ARGUMENT, message, Reason.INVALID_REQUEST)
