"""A fake ingress: a grpc.aio server on a free port that records calls and answers as each test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import grpc.aio
import pytest
from protobuf.wkt.google.protobuf.any_pb import Any as AnyMessage
from protobuf.wkt.google.protobuf.wrappers_pb import Int32Value, StringValue
from restate_client.stub import Client, Method
from restate_protocol import codec
from restate_protocol.callers import Caller
from restate_protocol.errors import TypedError
from restate_protocol.gen.google.rpc.status_pb import Status
from restate_protocol.services import HandlerDescriptor, HandlerMode

C = TypeVar("C", bound=Caller)


class SoldOutError(TypedError[Int32Value]):
    """As generated code has it."""

    detail_type = "google.protobuf.Int32Value"
    detail_class = Int32Value


_ECHO = HandlerDescriptor("echo.v1.Echo", "Say", "say", HandlerMode.SERVICE, StringValue, StringValue)
_BUY = HandlerDescriptor(
    "echo.v1.Echo", "Buy", "buy", HandlerMode.SERVICE, StringValue, StringValue, errors=(SoldOutError,)
)


class EchoClient(Client[C]):
    """As generated code has it."""

    @property
    def say(self) -> Method[C, StringValue, StringValue]:
        return self._method(_ECHO)

    @property
    def buy(self) -> Method[C, StringValue, StringValue]:
        return self._method(_BUY)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as the server saw it."""

    path: str
    data: bytes
    metadata: dict[str, str | bytes]
    context: grpc.aio.ServicerContext[bytes, bytes]

    async def fail(
        self, code: grpc.StatusCode, message: str, *, source: str = "", details: tuple[object, ...] = ()
    ) -> bytes:
        """Ends the call as the ingress does."""
        trailing: list[tuple[str, str | bytes]] = [("restate-error-source", source)] if source else []
        if details:
            status = Status(code=code.value[0], message=message, details=[_any(one) for one in details])
            trailing.append(("grpc-status-details-bin", status.to_binary()))
        await self.context.abort(code, message, tuple(trailing))
        raise AssertionError("abort raises")

    async def accepted(self, invocation_id: str, status: str = "accepted") -> None:
        """Sends the initial metadata that says the invocation is durable."""
        await self.context.send_initial_metadata((("restate-invocation-id", invocation_id), ("restate-status", status)))


def _any(detail: object) -> AnyMessage:
    name = codec.full_name(type(detail))
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=codec.encode(detail))


Answer: TypeAlias = Callable[[Incoming], Awaitable[bytes]]


@dataclass(slots=True)
class FakeIngress:
    """The calls that came, and how to answer the next ones."""

    address: str = ""
    calls: list[Incoming] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    def on(self, path: str, answer: Answer) -> None:
        """Answers calls of this path so; all others are echoed."""
        self.answers[path] = answer

    async def handle(self, incoming: Incoming) -> bytes:
        """Records and answers one call."""
        self.calls.append(incoming)
        answer = self.answers.get(incoming.path)
        return incoming.data if answer is None else await answer(incoming)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, ingress: FakeIngress) -> None:
        self._ingress = ingress

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def unary(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            metadata = dict(handler_call_details.invocation_metadata)
            return await self._ingress.handle(Incoming(handler_call_details.method, data, metadata, context))

        return grpc.unary_unary_rpc_method_handler(unary)


@pytest.fixture
async def ingress() -> AsyncIterator[FakeIngress]:
    """A fake ingress that serves until the test ends."""
    fake = FakeIngress()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(fake),))
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)


@pytest.fixture
def echo_client() -> type[EchoClient[Caller]]:
    """The generated client of the tests' service."""
    return EchoClient
