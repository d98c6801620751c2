"""CORS: which pages of other origins may call the HTTP ingress from a browser, and what they see of the answers.

An ASGI app around another. A preflight is answered here and reaches no handler; every other request goes on as it
is, and only the headers of its response are added to. Invariant: an origin that is not allowed gets no CORS header,
so its page sees nothing.

This is no access control: whoever is not a browser is not bound by it. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from restate_protocol.status import StatusCode

from .admission import DELAY, IDEMPOTENCY_KEY, INVOCATION_ID, SEND, STATUS
from .connect import JSON_FORM
from .errors import SOURCE, refusal
from .grpc_web import DETAILS, PUSHBACK
from .http_message import Headers
from .http_watch import Message, Receive
from .reasons import Reason

ANY = "*"

#: What clients of Connect and gRPC-Web send, and what a call may say; besides, everything that begins with x-.
REQUEST_HEADERS = frozenset(
    {
        *("accept", "content-type", "content-encoding", "if-none-match", "user-agent"),
        *("connect-protocol-version", "connect-timeout-ms", "connect-accept-encoding", "connect-content-encoding"),
        *("grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "x-grpc-web", "x-user-agent"),
        *(IDEMPOTENCY_KEY, SEND, DELAY, "traceparent", "tracestate", "baggage"),
    }
)
#: What a page may read of a response.
RESPONSE_HEADERS = (
    *(INVOCATION_ID, STATUS, SOURCE, "grpc-status", "grpc-message", DETAILS, PUSHBACK),
    *("content-encoding", "etag", "retry-after", "allow", "accept-post"),
)

App = Callable[[Message, Receive, Callable[[Message], Awaitable[None]]], Awaitable[None]]


class CorsRules:
    """What is allowed.

    Args:
        origins: `https://app.example.com`, or `*` for every page there is.
        headers: request headers that pages may send besides REQUEST_HEADERS and x-*; one that ends in * is a prefix.
        max_age_seconds: how long a browser may remember the answer to a preflight.
        credentials: pages may send cookies and the like; not with the origin `*`.
    """

    def __init__(self, origins: Sequence[str], headers: Sequence[str], max_age_seconds: int, credentials: bool) -> None:
        self.any_origin = ANY in origins
        self.max_age_seconds = max_age_seconds
        self.credentials = credentials
        self._origins = frozenset(one.encode() for one in origins)
        self._names = REQUEST_HEADERS | {one for one in headers if not one.endswith(ANY)}
        self._prefixes = ("x-", *(one[:-1] for one in headers if one.endswith(ANY)))

    def allows(self, origin: bytes) -> bool:
        """Whether pages of an origin may call."""
        return self.any_origin or origin.lower() in self._origins

    def allows_header(self, name: str) -> bool:
        """Whether pages may send a header, whose name is in lower case."""
        return name in self._names or name.startswith(self._prefixes)


class Cors:
    """The app around the app.

    Args:
        app: what answers the requests.
        rules: what is allowed.
    """

    def __init__(self, app: App, rules: CorsRules) -> None:
        self._app = app
        self._rules = rules
        self._exposed = (b"access-control-expose-headers", ", ".join(RESPONSE_HEADERS).encode())

    async def __call__(self, scope: Message, receive: Receive, send: Callable[[Message], Awaitable[None]]) -> None:
        asked = dict(scope["headers"])
        origin: bytes | None = asked.get(b"origin")
        if scope["method"] == "OPTIONS" and origin is not None and b"access-control-request-method" in asked:
            await self._preflight(origin, asked, send)
            return
        added = self._granted(origin)
        if origin is not None and self._rules.allows(origin):
            added = [*added, self._exposed]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _granted(self, origin: bytes | None) -> Headers:
        """The headers that let a page read a response; which depends on its origin, unless all are allowed."""
        if self._rules.any_origin:
            return [(b"access-control-allow-origin", b"*")] if origin is not None else []
        vary = (b"vary", b"Origin")
        if origin is None or not self._rules.allows(origin):
            return [vary]
        granted = [(b"access-control-allow-origin", origin), vary]
        if self._rules.credentials:
            granted.append((b"access-control-allow-credentials", b"true"))
        return granted

    async def _preflight(self, origin: bytes, asked: dict[bytes, bytes], send: Any) -> None:
        if not self._rules.allows(origin):
            await _refuse(origin, send)
            return
        wanted = asked.get(b"access-control-request-headers", b"").decode("latin-1").lower()
        names = [name for name in map(str.strip, wanted.split(",")) if name and self._rules.allows_header(name)]
        headers = [
            *self._granted(origin),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", ", ".join(names).encode("latin-1")),
            (b"access-control-max-age", str(self._rules.max_age_seconds).encode()),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _refuse(origin: bytes, send: Any) -> None:
    """403, without CORS headers: for whoever looks at the network tab of a browser."""
    text = origin.decode("latin-1")
    message = f"pages of {text} may not call this runtime; its setting cors_allowed_origins does not name them"
    reply = JSON_FORM.error(refusal(StatusCode.PERMISSION_DENIED, message, Reason.OTHER), [(b"vary", b"Origin")], None)
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})
