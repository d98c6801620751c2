"""Health over HTTP, for load balancers and process supervisors: GET /health says 200 or 503. An ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Scope: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/healthz"


def health_app(problem: Callable[[], str]) -> App:
    """The app.

    Args:
        problem: why the runtime cannot take work now, for people; empty while it can.
    """

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        status, text = _answer(scope, problem)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text.encode()})

    return app


def _answer(scope: Scope, problem: Callable[[], str]) -> tuple[int, str]:
    if scope["path"] != PATH:
        return 404, f"there is only {PATH} here; the admin API speaks gRPC, on its own port\n"
    if scope["method"] not in ("GET", "HEAD"):
        return 405, "GET, please\n"
    trouble = problem()
    return (503, f"{trouble}\n") if trouble else (200, "ok\n")
