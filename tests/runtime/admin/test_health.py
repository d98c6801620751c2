"""Health over HTTP."""

from __future__ import annotations

import httpx
import pytest
from restate_runtime.admin.health import health_app


@pytest.mark.parametrize(
    ("method", "path", "trouble", "status", "text"),
    [
        ("GET", "/healthz", "", 200, "ok\n"),
        ("HEAD", "/healthz", "", 200, ""),
        ("GET", "/healthz", "the runtime is stopping", 503, "the runtime is stopping\n"),
        ("POST", "/healthz", "", 405, "GET, please\n"),
        ("GET", "/", "", 404, "there is only /healthz here; the admin API speaks gRPC, on its own port\n"),
    ],
)
async def test_health_says_whether_work_is_taken(method: str, path: str, trouble: str, status: int, text: str) -> None:
    transport = httpx.ASGITransport(app=health_app(lambda: trouble))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["cache-control"] == "no-store"
