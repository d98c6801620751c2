"""What the admin HTTP port answers: GET /healthz for load balancers, GET /metrics for Prometheus. An ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from restate_runtime.store.base import StoreError

Scope: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Gives content type and text of the metrics for an Accept header.
Page: TypeAlias = Callable[[str], Awaitable[tuple[str, bytes]]]

HEALTH = "/healthz"
METRICS = "/metrics"

_TEXT = "text/plain; charset=utf-8"


def admin_app(problem: Callable[[], str], metrics: Page) -> App:
    """The app.

    Args:
        problem: why the runtime cannot take work now, for people; empty while it can.
        metrics: the page; a StoreError of it is answered with 503.
    """

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        status, content_type, text = await _answer(scope, problem, metrics)
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})

    return app


async def _answer(scope: Scope, problem: Callable[[], str], metrics: Page) -> tuple[int, str, bytes]:
    path = scope["path"]
    if path not in (HEALTH, METRICS):
        return 404, _TEXT, b"there is only /healthz and /metrics here; the admin API speaks gRPC, on its own port\n"
    if scope["method"] not in ("GET", "HEAD"):
        return 405, _TEXT, b"GET, please\n"
    if path == METRICS:
        return await _metrics(scope, metrics)
    trouble = problem()
    return (503, _TEXT, f"{trouble}\n".encode()) if trouble else (200, _TEXT, b"ok\n")


async def _metrics(scope: Scope, metrics: Page) -> tuple[int, str, bytes]:
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    try:
        content_type, text = await metrics(accept.decode("latin-1"))
    except StoreError as error:
        return 503, _TEXT, f"{error}\n".encode()
    return 200, content_type, text
