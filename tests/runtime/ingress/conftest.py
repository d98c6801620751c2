"""Contracts compiled in process from text, and a registry and an engine that do as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import grpc_tools
import pytest
from grpc_tools import protoc
from protobuf import DescFile
from protobuf.wkt import FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb
from restate_protocol.contract.model import Handler, Service
from restate_protocol.contract.read import read_contract
from restate_protocol.errors import TerminalError
from restate_protocol.journal import Result, Value
from restate_protocol.status import StatusCode
from restate_runtime.deployments.schema import Schema
from restate_runtime.engine.api import Accepted, Asker, Known, Submission
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.waiting import Waiting

from tests.runtime.ingress.raw_grpc import Client, Server

REPOSITORY = Path(__file__).parents[3]
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"

Compile = Callable[[Mapping[str, str]], bytes]

SHOP = """
syntax = "proto3";
package shop.v1;
import "restate/v1/options.proto";
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";

service Cart {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT };
  rpc AddTicket(AddTicketRequest) returns (AddTicketResponse) {
    option (restate.v1.handler) = { errors: "shop.v1.SoldOut" };
  }
  rpc Expire(AddTicketRequest) returns (AddTicketResponse) { option (restate.v1.handler).private = true; }
}
service Counter {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT };
  rpc Add(CountRequest) returns (CountRequest);
}
service Echo {
  rpc Say(EchoRequest) returns (EchoRequest);
  rpc Pay(PayRequest) returns (EchoRequest);
}
service Checkout {
  option (restate.v1.service) = { kind: WORKFLOW };
  rpc Run(RunRequest) returns (RunResponse);
  rpc Status(RunRequest) returns (RunResponse) { option (restate.v1.handler).shared = true; }
}
message AddTicketRequest {
  string user_id = 1 [(restate.v1.field).key = true];
  int32 count = 2 [(buf.validate.field).int32.gte = 0];
  repeated Ticket tickets = 3;
  map<string, Ticket> by_seat = 4;
  google.protobuf.Timestamp at = 5;
  google.protobuf.Any extra = 6;
}
message Ticket { int32 price = 1 [(buf.validate.field).int32.gte = 0]; Ticket upgrade = 2; }
message AddTicketResponse { int32 total_count = 1; }
message SoldOut { string event_id = 1; }
message CountRequest { optional int64 from = 1 [(restate.v1.field).key = true]; int64 by = 2; }
message EchoRequest { string text = 1; }
message PayRequest { string card = 1; string payment_id = 2 [(restate.v1.field).idempotency_key = true]; }
message RunRequest { string order_id = 1 [(restate.v1.field).key = true]; }
message RunResponse { string status = 1; }
"""


def _rules_with_imports(desc: DescFile) -> list[DescFile]:
    """buf/validate/validate.proto and its imports, imports first; the wheel has descriptors but no .proto."""
    found: dict[str, DescFile] = {}

    def add(one: DescFile) -> None:
        for dependency in one.dependencies:
            add(dependency)
        found.setdefault(one.name, one)

    add(desc)
    return list(found.values())


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Gives the descriptor set, imports included, of .proto files given as text."""
    rules = tmp_path_factory.mktemp("rules") / "rules.binpb"
    files = [file.proto for file in _rules_with_imports(validate_pb.desc())]
    rules.write_bytes(FileDescriptorSet(file=files).to_binary())

    def run(sources: Mapping[str, str]) -> bytes:
        root = tmp_path_factory.mktemp("protos")
        for name, text in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        out = root / "set.binpb"
        includes = [f"-I{path}" for path in (root, REPOSITORY / "protos", WELL_KNOWN)]
        flags = [f"--descriptor_set_in={rules}", *includes, "--include_imports", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *flags, *sources]) == 0
        return out.read_bytes()

    return run


@pytest.fixture(scope="session")
def shop_set(compile_protos: Compile) -> bytes:
    """The descriptor set of SHOP."""
    return compile_protos({"shop/v1/shop.proto": SHOP})


@dataclass(frozen=True, slots=True)
class FakeRoute:
    """A route as the registry of deployments gives it."""

    service: Service
    handler: Handler
    schema: Schema


class FakeRoutes:
    """A registry that is filled by hand."""

    def __init__(self) -> None:
        self._schemas: dict[str, tuple[Service, Schema]] = {}
        self._callbacks: list[Callable[[], None]] = []

    def register(self, descriptor_set: bytes) -> None:
        """The newest deployment of each service of the set is this one."""
        schema = Schema(descriptor_set)
        for service in read_contract(descriptor_set).services:
            self._schemas[service.name] = (service, schema)
        for callback in self._callbacks:
            callback()

    def route(self, service: str, handler: str) -> FakeRoute | None:
        found = self._schemas.get(service)
        one = found[0].handler(handler) if found else None
        return FakeRoute(found[0], one, found[1]) if found and one else None

    def services(self) -> list[str]:
        return list(self._schemas)

    def schema_of(self, deployment_id: str) -> Schema | None:
        return next((self.schema(name) for name in self.services()), None)

    def schema(self, service: str) -> Schema | None:
        found = self._schemas.get(service)
        return found[1] if found else None

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)


class FakeEngine:
    """An engine that accepts everything and answers as it is told.

    Args:
        answer: gives the result of a submission; None leaves the caller waiting.
    """

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.waits: list[bool] = []
        self.closed: asyncio.Queue[bytes] = asyncio.Queue()
        self.accepted: asyncio.Queue[Accepted] = asyncio.Queue()
        self.askers: dict[bytes, Asker] = {}
        self.completed: list[tuple[str, Result]] = []
        self.cancelled: list[bytes] = []
        self.signals: list[tuple[bytes, str, Result]] = []
        self.awakeable_types: dict[str, tuple[str, str]] = {}
        self.outputs: dict[bytes, Result | None] = {}
        self.answer: Callable[[Submission], Result | None] = lambda submission: Value(submission.payload)
        self.error: Exception | None = None
        self.new = True

    async def submit(self, submission: Submission, *, wait: bool) -> Accepted:
        if self.error is not None:
            raise self.error
        self.submissions.append(submission)
        self.waits.append(wait)
        return self._accept(len(self.submissions).to_bytes(16, "big"), wait, self.answer(submission))

    def begin(self, submission: Submission, asker: Asker, *, wait: bool) -> Callable[[], None]:
        if self.error is not None:
            raise self.error
        self.submissions.append(submission)
        self.waits.append(wait)
        return self._begin(len(self.submissions).to_bytes(16, "big"), asker, wait, self.answer(submission))

    def begin_attach(self, invocation_id: bytes, asker: Asker) -> Callable[[], None]:
        if invocation_id not in self.outputs:
            asker.refused(TerminalError("no such invocation", code=StatusCode.NOT_FOUND))
            return lambda: None
        return self._begin(invocation_id, asker, True, self.outputs[invocation_id])

    def _begin(self, invocation_id: bytes, asker: Asker, wait: bool, result: Result | None) -> Callable[[], None]:
        self.askers[invocation_id] = asker
        asker.accepted(invocation_id, self.new)
        if wait and result is not None:
            asker.resolved(result)
        return lambda: self.closed.put_nowait(invocation_id)

    def _accept(self, invocation_id: bytes, wait: bool, result: Result | None) -> Accepted:
        future = asyncio.get_running_loop().create_future() if wait else None
        if future is not None and result is not None:
            future.set_result(result)
        accepted = Accepted(invocation_id, self.new, future, lambda: self.closed.put_nowait(invocation_id))
        self.accepted.put_nowait(accepted)
        return accepted

    async def attach(self, invocation_id: bytes) -> Accepted:
        return self._accept(invocation_id, True, (await self.known(invocation_id)).result)

    async def known(self, invocation_id: bytes) -> Known:
        if invocation_id not in self.outputs:
            raise TerminalError("no such invocation", code=StatusCode.NOT_FOUND)
        return Known("shop.v1.Cart", "AddTicket", "ada", "dep_x", self.outputs[invocation_id])

    async def awakeable_type(self, awakeable_id: str) -> tuple[str, str] | None:
        return self.awakeable_types.get(awakeable_id)

    async def complete_awakeable(self, awakeable_id: str, result: Result) -> None:
        if self.error is not None:
            raise self.error
        self.completed.append((awakeable_id, result))

    async def cancel(self, invocation_id: bytes) -> None:
        self._check_known(invocation_id)
        self.cancelled.append(invocation_id)

    async def send_signal(self, invocation_id: bytes, name: str, result: Result) -> None:
        self._check_known(invocation_id)
        self.signals.append((invocation_id, name, result))

    def _check_known(self, invocation_id: bytes) -> None:
        if self.error is not None:
            raise self.error
        if invocation_id not in self.outputs:
            raise TerminalError("no such invocation", code=StatusCode.NOT_FOUND)
        if self.outputs[invocation_id] is not None:
            raise TerminalError("it is completed", code=StatusCode.FAILED_PRECONDITION)


@pytest.fixture
def routes(shop_set: bytes) -> FakeRoutes:
    """The services of SHOP, registered."""
    routes = FakeRoutes()
    routes.register(shop_set)
    return routes


@pytest.fixture
def engine() -> FakeEngine:
    """Answers with the request."""
    return FakeEngine()


@pytest.fixture
async def server(routes: Any, engine: Any) -> AsyncIterator[Server]:
    waiting = Waiting()
    admission = Admission(routes, Limits(max_message_bytes=64 * 1024, max_key_bytes=64, journal_headers=("tenant",)))
    ingress = GrpcIngress(admission, engine, waiting)
    port = await ingress.start("127.0.0.1", 0)
    yield Server(ingress, waiting, port)
    await ingress.stop(0)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Client(channel)
