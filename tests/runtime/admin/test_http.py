"""The admin HTTP port: health and metrics."""

from __future__ import annotations

import httpx
import pytest
from restate_runtime.admin.http import admin_app
from restate_runtime.store.base import StoreUnavailable


async def page(accept: str) -> tuple[str, bytes]:
    return "text/x-metrics", f"asked with {accept}".encode()


async def broken(_: str) -> tuple[str, bytes]:
    raise StoreUnavailable("the disk is gone")


@pytest.mark.parametrize(
    ("method", "path", "trouble", "status", "text"),
    [
        ("GET", "/healthz", "", 200, "ok\n"),
        ("HEAD", "/healthz", "", 200, ""),
        ("GET", "/healthz", "the runtime is stopping", 503, "the runtime is stopping\n"),
        ("POST", "/healthz", "", 405, "GET, please\n"),
        ("GET", "/metrics", "the runtime is stopping", 200, "asked with text/plain"),
        ("HEAD", "/metrics", "", 200, ""),
        ("POST", "/metrics", "", 405, "GET, please\n"),
        ("GET", "/", "", 404, "there is only /healthz and /metrics here; the admin API speaks gRPC, on its own port\n"),
    ],
)
async def test_health_and_metrics_and_nothing_else(
    method: str, path: str, trouble: str, status: int, text: str
) -> None:
    transport = httpx.ASGITransport(app=admin_app(lambda: trouble, page))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        answer = await client.request(method, path, headers={"accept": "text/plain"})
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["cache-control"] == "no-store"


async def test_metrics_of_a_store_that_cannot_be_read_are_unavailable() -> None:
    transport = httpx.ASGITransport(app=admin_app(lambda: "", broken))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.text) == (503, "the disk is gone\n")
