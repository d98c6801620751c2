"""A whole runtime with its ports, and an endpoint of the contract SHOP that does what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx
from prometheus_client.parser import text_string_to_metric_families
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.admin.v1 import admin_pb
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_runtime.config import Settings
from restate_runtime.engine.api import Submission
from restate_runtime.server import Server
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Scripted, until
from tests.runtime.ingress.ways import Doors

SERVICES = ["shop.v1.Cart", "shop.v1.Checkout", "shop.v1.Counter", "shop.v1.Echo"]
LIST = "/restate.admin.v1.Admin/ListInvocations"


class ShopEndpoint(Scripted):
    """Serves SHOP."""

    descriptor_set: bytes = b""

    def manifest(self) -> pb.Manifest:
        return pb.Manifest(version_label=self.label, services=SERVICES, descriptor_set=self.descriptor_set)

    def greeting(self) -> pb.EndpointHello:
        id_ = ids.deployment_id_text(self.label, SERVICES, self.descriptor_set)
        return pb.EndpointHello(protocol_min=1, protocol_max=1, version="test/1", deployment_id=id_, credits=100)


@dataclass
class Real:
    """What a test has."""

    server: Server
    doors: Doors
    endpoint: ShopEndpoint
    admin_http: httpx.AsyncClient
    admin: grpc.aio.Channel

    async def invocations(self) -> list[str]:
        """The ids of all that there are."""
        method: Any = self.admin.unary_unary(LIST)
        answer = admin_pb.ListInvocationsResponse.from_binary(
            await method(admin_pb.ListInvocationsRequest().to_binary())
        )
        return [one.id for one in answer.invocations]

    async def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics; 0 where it is not there."""
        page = (await self.admin_http.get("/metrics")).text
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return 0.0

    async def awakeable(self) -> str:
        """The id of one that a running handler made and waits for."""
        accepted = await self.server.engine.submit(_echo(), wait=False)
        start = await self.endpoint.started(accepted.invocation_id)
        self.endpoint.command(start, j.Awakeable(1, "json"))
        await until(lambda: self.server.engine.quiet)
        return ids.awakeable_id_text(accepted.invocation_id, 1)

    async def completed(self) -> str:
        """The id of an invocation that is over."""
        accepted = await self.server.engine.submit(_echo(), wait=True)
        self.endpoint.end(await self.endpoint.started(accepted.invocation_id))
        assert accepted.result is not None
        await accepted.result
        return ids.invocation_id_text(accepted.invocation_id)


def _echo() -> Any:
    return Submission("shop.v1.Echo", "Say", None, b"")


@asynccontextmanager
async def real(descriptor_set: bytes, **settings: Any) -> AsyncIterator[Real]:
    """Starts everything, and takes it down again."""
    ports = {f"{name}_port": 0 for name in ("ingress_grpc", "ingress_http", "admin_grpc", "admin_http")}
    server = Server(Settings(**{**ports, "drain_grace_ms": 1, **settings}), MemoryStore())
    bound = await server.start()
    endpoint = ShopEndpoint()
    endpoint.descriptor_set = descriptor_set
    await endpoint.connect(server.deployments)
    await until(lambda: bool(server.dispatcher.all_sessions()))
    try:
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{bound.ingress_grpc}") as channel,
            grpc.aio.insecure_channel(f"127.0.0.1:{bound.admin_grpc}") as admin,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{bound.ingress_http}") as http,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{bound.admin_http}") as admin_http,
        ):
            yield Real(server, Doors(channel, http), endpoint, admin_http, admin)
    finally:
        endpoint.hang_up()
        await server.stop()
        assert endpoint.session is not None
        endpoint.session.cancel()
