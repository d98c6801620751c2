"""A runtime as it is shipped, with its four ports, and an endpoint that is registered by its address: for cases about
the ports themselves. The clock is the real one; no case waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx
import restate_client
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_runtime.config import Settings
from restate_runtime.server import Ports, Server
from restate_runtime.store.base import Store
from restate_runtime.store.memory import MemoryStore
from restate_sdk import Endpoint

ADMIN = "/restate.admin.v1.Admin/"
INGRESS = "/restate.ingress.v1.Ingress/"
PACKAGE = "/conformance.v1."


@dataclass(frozen=True, slots=True)
class Served:
    """What callers and operators have.

    Args:
        ports: where the runtime listens.
        http: the HTTP ingress.
        health: HTTP of the admin side.
        caller: what generated clients take.
        channel: the admin gRPC port.
        endpoint_address: host:port of the endpoint.
    """

    ports: Ports
    http: httpx.AsyncClient
    health: httpx.AsyncClient
    caller: Any
    channel: grpc.aio.Channel
    endpoint_address: str

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """A call by HTTP: post("Counter/Add", {...}, restate_send="true")."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        target = path if path.startswith("/") else PACKAGE + path
        return await self.http.post(target, json=body, headers=named)

    async def admin(self, method: str, **fields: Any) -> Any:
        """A call of the admin API: admin("KillInvocation", id=…).

        Raises:
            grpc.aio.AioRpcError: the runtime refused it.
        """
        request = getattr(pb, f"{method}Request")(**fields)
        answer: Any = await self.channel.unary_unary(ADMIN + method)(request.to_binary())
        return getattr(pb, f"{method}Response").from_binary(answer)


@asynccontextmanager
async def served(*handlers: Any, store: Store | None = None, **settings: Any) -> AsyncIterator[Served]:
    """Starts a runtime and an endpoint, and registers it.

    Args:
        store: None: in memory.
        settings: as in Settings.
    """
    ports = {f"{name}_port": 0 for name in ("ingress_grpc", "ingress_http", "admin_grpc", "admin_http")}
    server = Server(Settings(**{**ports, "drain_grace_ms": 1, **settings}), store or MemoryStore())
    opened = await server.start()
    endpoint = await Endpoint(*handlers).serve_async(port=0)
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{opened.ingress_http}") as http,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{opened.admin_http}") as health,
            restate_client.connect(f"127.0.0.1:{opened.ingress_grpc}") as caller,
            grpc.aio.insecure_channel(f"127.0.0.1:{opened.admin_grpc}") as channel,
        ):
            made = Served(opened, http, health, caller, channel, f"127.0.0.1:{endpoint.port}")
            await made.admin("RegisterDeployment", address=made.endpoint_address)
            yield made
    finally:
        await endpoint.stop(0)
        await server.stop()
