"""CORS: preflights, what pages may read, and that an unknown origin gets nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from restate_runtime.config import load
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.cors import Cors
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting
from restate_runtime.server import cors_rules

SAY = "/shop.v1.Echo/Say"
APP = "https://app.example"
Open = Callable[..., httpx.AsyncClient]


@pytest.fixture
def opened(routes: Any, engine: Any) -> Open:
    """A client of an ingress with settings."""

    def make(**settings: str) -> httpx.AsyncClient:
        rules = cors_rules(load(dict(settings), {}))
        app: Any = HttpApp(Admission(routes, Limits()), engine, Waiting())
        transport = httpx.ASGITransport(app if rules is None else Cors(app, rules))
        return httpx.AsyncClient(transport=transport, base_url="http://runtime")

    return make


def preflight(origin: str, headers: str = "", method: str = "POST") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


def cors_headers(reply: httpx.Response) -> set[str]:
    return {name for name in reply.headers if name.startswith("access-control-")}


async def test_it_is_off_unless_it_is_set(opened: Open, engine: Any) -> None:
    async with opened() as client:
        asked = await client.options(SAY, headers=preflight(APP))
        assert (asked.status_code, cors_headers(asked)) == (405, set())
        called = await client.post(SAY, json={}, headers={"origin": APP})
        assert (called.status_code, cors_headers(called)) == (200, set())


async def test_a_preflight_is_answered_and_reaches_no_handler(opened: Open, engine: Any) -> None:
    async with opened(cors_allowed_origins=f"https://other.example,{APP}", cors_max_age_ms="90500") as client:
        wanted = "content-type,connect-protocol-version,Idempotency-Key, x-tenant,secret"
        reply = await client.options(SAY, headers=preflight(APP, wanted))
    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == APP
    assert reply.headers["access-control-allow-methods"] == "GET, POST"
    assert reply.headers["access-control-allow-headers"] == (
        "content-type, connect-protocol-version, idempotency-key, x-tenant"
    )
    assert reply.headers["access-control-max-age"] == "90"
    assert "access-control-allow-credentials" not in reply.headers
    assert "Origin" in reply.headers["vary"]
    assert engine.submissions == []


async def test_settings_add_headers(opened: Open) -> None:
    settings = {"cors_allowed_headers": "Authorization", "journal_headers": "tenant,acme-*"}
    async with opened(cors_allowed_origins=APP, **settings) as client:
        reply = await client.options(SAY, headers=preflight(APP, "authorization,tenant,acme-zone,cookie"))
    assert reply.headers["access-control-allow-headers"] == "authorization, tenant, acme-zone"


async def test_what_clients_of_both_protocols_send_is_allowed(opened: Open) -> None:
    sent = (
        *("connect-timeout-ms", "connect-protocol-version", "content-type", "x-grpc-web", "x-user-agent"),
        *("grpc-timeout", "restate-send", "restate-delay", "traceparent", "tracestate", "baggage"),
    )
    async with opened(cors_allowed_origins=APP) as client:
        reply = await client.options(SAY, headers=preflight(APP, ",".join(sent)))
    assert set(reply.headers["access-control-allow-headers"].split(", ")) == set(sent)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example", f"{APP}:8443", f"{APP}.evil", "null"])
async def test_an_unknown_origin_gets_no_cors_header(opened: Open, engine: Any, origin: str) -> None:
    async with opened(cors_allowed_origins=APP) as client:
        asked = await client.options(SAY, headers=preflight(origin))
        assert (asked.status_code, cors_headers(asked)) == (403, set())
        assert f"pages of {origin} may not call" in asked.json()["message"]
        called = await client.post(SAY, json={}, headers={"origin": origin})
        assert (called.status_code, cors_headers(called)) == (200, set())
        assert called.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", [SAY, "/shop.v1.Nope/Say", "/healthz", "/openapi.json"])
async def test_a_page_may_read_answers_and_errors(opened: Open, path: str) -> None:
    async with opened(cors_allowed_origins=APP, cors_credentials="on") as client:
        reply = await client.post(path, json={}, headers={"origin": APP})
    assert reply.headers["access-control-allow-origin"] == APP
    assert reply.headers["access-control-allow-credentials"] == "true"
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"restate-invocation-id", "restate-status", "restate-error-source", "grpc-status", "grpc-message"} < {
        *exposed
    }
    assert "grpc-status-details-bin" in exposed


async def test_every_origin(opened: Open) -> None:
    async with opened(cors_allowed_origins="*") as client:
        asked = await client.options(SAY, headers=preflight("https://any.example"))
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
        called = await client.post(SAY, json={}, headers={"origin": "https://any.example"})
        assert called.headers["access-control-allow-origin"] == "*"
        assert "vary" not in called.headers


async def test_whoever_has_no_origin_is_served_as_ever(opened: Open) -> None:
    async with opened(cors_allowed_origins=APP) as client:
        reply = await client.post(SAY, json={"text": "hi"})
        assert (reply.json(), cors_headers(reply)) == ({"text": "hi"}, set())
        assert reply.headers["vary"] == "Origin"  # a cache may not give this answer to a page
        options = await client.options(SAY, headers={"origin": APP})  # asks nothing: no preflight
        assert options.status_code == 405
