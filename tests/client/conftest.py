"""A fake ingress for each test, and connections to it that go either way: over a session, or call by call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc.aio
import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import Int32Value, StringValue
from restate_client.settings import Settings
from restate_client.stub import Client, Method
from restate_protocol.callers import Caller
from restate_protocol.errors import TypedError
from restate_protocol.services import HandlerDescriptor, HandlerMode

from tests.client.fake_ingress import FakeIngress, Handlers

C = TypeVar("C", bound=Caller)


class SoldOutError(TypedError[Int32Value]):
    """As generated code has it."""

    detail_type = "google.protobuf.Int32Value"
    detail_class = Int32Value


_ECHO = HandlerDescriptor("echo.v1.Echo", "Say", "say", HandlerMode.SERVICE, StringValue, StringValue)
_BUY = HandlerDescriptor(
    "echo.v1.Echo", "Buy", "buy", HandlerMode.SERVICE, StringValue, StringValue, errors=(SoldOutError,)
)
_LOOK = HandlerDescriptor(
    "echo.v1.Echo", "Look", "look", HandlerMode.SERVICE, StringValue, StringValue, no_side_effects=True
)
_NAMED = HandlerDescriptor(
    "echo.v1.Echo", "Named", "named", HandlerMode.SERVICE, StringValue, StringValue, idempotency_field="value"
)
_ADD = HandlerDescriptor(
    "echo.v1.Counter", "Add", "add", HandlerMode.EXCLUSIVE, Int32Value, Int32Value, key_field="value"
)
_RUN = HandlerDescriptor(
    "echo.v1.Flow", "Run", "run", HandlerMode.RUN, StringValue, StringValue, key_field="value", errors=(SoldOutError,)
)


class EchoClient(Client[C]):
    """As generated code has it."""

    @property
    def say(self) -> Method[C, StringValue, StringValue]:
        return self._method(_ECHO)

    @property
    def buy(self) -> Method[C, StringValue, StringValue]:
        return self._method(_BUY)

    @property
    def look(self) -> Method[C, StringValue, StringValue]:
        return self._method(_LOOK)

    @property
    def named(self) -> Method[C, StringValue, StringValue]:
        return self._method(_NAMED)

    @property
    def add(self) -> Method[C, Int32Value, Int32Value]:
        return self._method(_ADD)

    @property
    def run(self) -> Method[C, StringValue, StringValue]:
        return self._method(_RUN)


class StillClock:
    """Time that passes only while a connection waits between tries. Luck: none."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.waits: list[float] = []

    def now_s(self) -> float:
        return self.time_s

    def luck(self) -> float:
        return 0.0

    async def sleep(self, wait_s: float) -> None:
        self.waits.append(round(wait_s, 6))
        self.time_s += wait_s


@pytest.fixture
async def ingress() -> AsyncIterator[FakeIngress]:
    """A fake ingress that serves until the test ends."""
    fake = FakeIngress()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(fake),))
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)


@pytest.fixture(params=["session", "unary"])
def way(request: pytest.FixtureRequest, ingress: FakeIngress) -> str:
    """How calls travel. The ingress serves sessions only where they are used."""
    one: str = request.param
    ingress.credits = 100 if one == "session" else None
    return one


@pytest.fixture
def clock() -> StillClock:
    """The connection's time."""
    return StillClock()


@pytest.fixture
async def connection(ingress: FakeIngress, way: str, clock: StillClock) -> AsyncIterator[restate_client.Connection]:
    """A connection, either way, whose waits between tries take no time."""
    settings = Settings(ingress.address)
    async with restate_client.Connection(settings, session=way == "session", clock=clock) as opened:
        yield opened


@pytest.fixture
def echo(connection: restate_client.Connection) -> Any:
    """The generated client of the tests' service, on that connection."""
    return EchoClient(connection)


@pytest.fixture
def echo_client() -> type[EchoClient[Caller]]:
    """The generated client of the tests' service."""
    return EchoClient
