"""An admin server on a free port, over the memory store, with the engine and the deployments made up."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from restate_codegen.protoc import compile_protos
from restate_protocol.errors import TerminalError
from restate_protocol.status import StatusCode
from restate_runtime.admin.service import Admin
from restate_runtime.core.decision import PutDeployment, PutDescriptorSet
from restate_runtime.core.records import Deployment
from restate_runtime.deployments.schema import Schema
from restate_runtime.store.memory import MemoryStore

PROTO = """
syntax = "proto3";
package shop.v1;
import "restate/v1/options.proto";

service Cart {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT, state: "shop.v1.CartState" };
  rpc Add(AddRequest) returns (AddResponse) { option (restate.v1.handler).errors = "shop.v1.SoldOut"; }
}
service Checkout {
  option (restate.v1.service) = { kind: WORKFLOW, promises: "shop.v1.CheckoutPromises" };
  rpc Run(CheckoutRequest) returns (CheckoutResponse);
}
message AddRequest { string user_id = 1 [(restate.v1.field).key = true]; string ticket_id = 2; }
message AddResponse { bool added = 1; }
message CartState { int64 item_count = 1; repeated string tickets = 2; }
message SoldOut { string ticket_id = 1; }
message CheckoutRequest { string id = 1 [(restate.v1.field).key = true]; }
message CheckoutResponse { bool paid = 1; }
message CheckoutPromises { bool payment_success = 1; }
"""

SERVICES = ("shop.v1.Cart", "shop.v1.Checkout")


@dataclass
class FakeEngine:
    """Remembers what it was asked; refuses everything, or the ids it is told to refuse."""

    done: list[tuple[Any, ...]] = field(default_factory=list)
    refuse: TerminalError | None = None
    refused: dict[bytes, Exception] = field(default_factory=dict)

    def _do(self, verb: str, invocation_id: bytes, *more: object) -> None:
        if self.refuse is not None:
            raise self.refuse
        if invocation_id in self.refused:
            raise self.refused[invocation_id]
        self.done.append((verb, invocation_id, *more))

    async def cancel(self, invocation_id: bytes) -> None:
        self._do("cancel", invocation_id)

    async def kill(self, invocation_id: bytes) -> None:
        self._do("kill", invocation_id)

    async def pause(self, invocation_id: bytes) -> None:
        self._do("pause", invocation_id)

    async def resume(self, invocation_id: bytes, deployment_id: str | None = None) -> None:
        self._do("resume", invocation_id, deployment_id)

    async def restart(self, invocation_id: bytes, entries: int = 0, deployment_id: str | None = None) -> bytes:
        self._do("restart", invocation_id, entries, deployment_id)
        return invocation_id[::-1]

    async def purge(self, invocation_id: bytes) -> None:
        self._do("purge", invocation_id)

    async def purge_journal(self, invocation_id: bytes) -> None:
        self._do("purge_journal", invocation_id)


@dataclass
class FakeDeployments:
    """Knows one endpoint, at `address`."""

    deployment: Deployment
    registered: list[tuple[str, bool]] = field(default_factory=list)

    async def register(self, address: str, force: bool) -> tuple[Deployment, bool]:
        if address != self.deployment.address:
            raise TerminalError(f"nobody answers at {address}", code=StatusCode.UNAVAILABLE)
        self.registered.append((address, force))
        return self.deployment, len(self.registered) == 1

    def sessions(self, deployment_id: str) -> int:
        return 2 if deployment_id == self.deployment.id else 0

    def last_error(self, deployment_id: str) -> str | None:
        return None


@dataclass
class Rig:
    """Everything a test needs."""

    address: str
    channel: grpc.aio.Channel
    store: MemoryStore
    engine: FakeEngine
    deployments: FakeDeployments
    schema: Schema
    live: dict[bytes, str]


@pytest.fixture(scope="session")
def descriptor_set(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.proto").write_text(PROTO)
    return compile_protos([folder], ["shop.proto"]).descriptor_set


@pytest.fixture
def deployment(descriptor_set: bytes) -> Deployment:
    digest = hashlib.sha256(descriptor_set).hexdigest()
    return Deployment("dep_1", "localhost:9080", "v1", digest, SERVICES, created_ms=5, revision=1)


@pytest.fixture
async def rig(descriptor_set: bytes, deployment: Deployment) -> AsyncIterator[Rig]:
    store = MemoryStore()
    await store.open()
    await store.commit([PutDescriptorSet(deployment.descriptor_hash, descriptor_set), PutDeployment(deployment)])
    engine, deployments, live = FakeEngine(), FakeDeployments(deployment), dict[bytes, str]()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Admin(store, engine, deployments, live.get).handler(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield Rig(address, channel, store, engine, deployments, Schema(descriptor_set), live)
    await server.stop(None)
    await store.close()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTATE_ADMIN", raising=False)
