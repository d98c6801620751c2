"""Connections try again: over a session and call by call alike. Waits take no time here; they are recorded."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
import restate_client
from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.wrappers_pb import Int32Value, StringValue
from restate_client import RetryPolicy, SendStatus
from restate_client.settings import Settings
from restate_protocol import ids
from restate_protocol.gen.google.rpc import error_details_pb as details_pb
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

from tests.client.fake_ingress import FakeIngress, Handlers

if TYPE_CHECKING:
    from tests.client.conftest import StillClock
    from tests.client.fake_ingress import Answer, Incoming

SAY = "/echo.v1.Echo/Say"
RUN = "/echo.v1.Flow/Run"
ATTACH = "/restate.ingress.v1.Ingress/Attach"
INVOCATION = ids.invocation_id_text(bytes(16))


def first_lost(ingress: FakeIngress, path: str, *, accepted: bool = False, then: Answer | None = None) -> None:
    """The first call of this path is lost; later ones are echoed, or answered so."""
    seen: list[Incoming] = []

    async def answer(incoming: Incoming) -> bytes:
        seen.append(incoming)
        if len(seen) > 1:
            return incoming.data if then is None else await then(incoming)
        if accepted:
            await incoming.accepted(INVOCATION)
        return await incoming.lose()

    ingress.on(path, answer)


def paths(ingress: FakeIngress) -> list[str]:
    return [call.path for call in ingress.calls]


async def test_a_call_with_a_key_is_made_again_with_the_same_key(
    ingress: FakeIngress, echo: Any, clock: StillClock
) -> None:
    first_lost(ingress, SAY)
    assert await echo.say(StringValue(value="hi"), idempotency_key="42") == StringValue(value="hi")
    assert [call.metadata["idempotency-key"] for call in ingress.calls] == ["42", "42"]
    assert clock.waits == [0.05]


async def test_a_call_without_a_key_is_not_made_again(ingress: FakeIngress, echo: Any, clock: StillClock) -> None:
    first_lost(ingress, SAY)
    with pytest.raises(
        restate_client.ConnectionFailed, match=r"may have accepted the call.*with an idempotency key"
    ) as caught:
        await echo.say(StringValue(value="hi"))
    assert (paths(ingress), clock.waits, caught.value.tries) == ([SAY], [], 1)


async def test_a_call_that_was_accepted_is_attached_to(ingress: FakeIngress, echo: Any) -> None:
    async def attached(incoming: Incoming) -> bytes:
        assert pb.AttachRequest.from_binary(incoming.data).invocation_id == INVOCATION
        return pb.AttachResponse(payload=StringValue(value="done").to_binary()).to_binary()

    first_lost(ingress, SAY, accepted=True)
    ingress.on(ATTACH, attached)
    assert await echo.say(StringValue(value="hi")) == StringValue(value="done")
    assert paths(ingress) == [SAY, ATTACH]


async def test_what_the_handler_raises_comes_through_an_attachment_as_its_class(
    ingress: FakeIngress, echo: Any
) -> None:
    async def sold_out(incoming: Incoming) -> bytes:
        details = (Int32Value(value=7),)
        return await incoming.fail(grpc.StatusCode.ABORTED, "sold out", source="handler", details=details)

    first_lost(ingress, "/echo.v1.Echo/Buy", accepted=True)
    ingress.on(ATTACH, sold_out)
    with pytest.raises(restate_client.TypedError, match="sold out") as caught:
        await echo.buy(StringValue())
    assert caught.value.detail == Int32Value(value=7)


async def test_a_run_that_was_started_unseen_is_attached_to_by_its_key(ingress: FakeIngress, echo: Any) -> None:
    async def started(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.ALREADY_EXISTS, "started before")

    async def attached(incoming: Incoming) -> bytes:
        target = pb.AttachRequest.from_binary(incoming.data).target
        assert target == pb.Target(service="echo.v1.Flow", handler="Run", key="w")
        return pb.AttachResponse(payload=StringValue(value="done").to_binary()).to_binary()

    first_lost(ingress, RUN, then=started)
    ingress.on(ATTACH, attached)
    assert await echo.run(StringValue(value="w")) == StringValue(value="done")
    assert paths(ingress) == [RUN, RUN, ATTACH]


async def test_a_send_to_a_run_is_made_again_and_finds_the_first(ingress: FakeIngress, echo: Any) -> None:
    async def found(incoming: Incoming) -> bytes:
        await incoming.accepted(INVOCATION, "previously-accepted")
        return b""

    first_lost(ingress, RUN, then=found)
    handle = await echo.run.send(StringValue(value="w"))
    assert (handle.invocation_id, handle.status) == (INVOCATION, SendStatus.PREVIOUSLY_ACCEPTED)


async def test_an_overloaded_runtime_is_asked_again_when_it_says(
    ingress: FakeIngress, echo: Any, clock: StillClock
) -> None:
    async def busy(incoming: Incoming) -> bytes:
        if len(ingress.calls) > 2:
            return incoming.data
        retry = details_pb.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
        return await incoming.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", details=(retry,))

    ingress.on(SAY, busy)
    assert await echo.say(StringValue(value="hi")) == StringValue(value="hi")
    assert clock.waits == [1.5, 1.5]


async def test_a_cancellation_and_a_signal_are_never_sent_twice(
    ingress: FakeIngress, connection: restate_client.Connection
) -> None:
    first_lost(ingress, "/restate.ingress.v1.Ingress/Cancel")
    first_lost(ingress, "/restate.ingress.v1.Ingress/SendSignal")
    with pytest.raises(restate_client.ConnectionFailed):
        await connection.cancel(INVOCATION)
    with pytest.raises(restate_client.ConnectionFailed):
        await connection.signal(INVOCATION, "go")
    assert len(ingress.calls) == 2


async def test_the_error_after_the_last_try_says_how_often_and_what_last(
    ingress: FakeIngress, echo: Any, clock: StillClock
) -> None:
    async def lost(incoming: Incoming) -> bytes:
        return await incoming.lose()

    ingress.on(SAY, lost)
    with pytest.raises(restate_client.ConnectionFailed, match=r"Socket closed.*after 14 tries in 9\.6 s") as caught:
        await echo.say(StringValue(), idempotency_key="1")
    assert (caught.value.tries, len(ingress.calls), len(clock.waits)) == (14, 14, 13)


@pytest.mark.parametrize("session", [True, False], ids=["session", "unary"])
async def test_a_call_that_never_left_is_made_again_without_any_key(
    session: bool, clock: StillClock, echo_client: Any
) -> None:
    """gRPC says so in a text of its own; this test is red where that changes."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = Settings(f"127.0.0.1:{nobody.getsockname()[1]}", retry=RetryPolicy(max_attempts=4))
        async with restate_client.Connection(settings, session=session, clock=clock) as connection:
            with pytest.raises(restate_client.ConnectionFailed, match="after 4 tries") as caught:
                await echo_client(connection).say(StringValue())
    assert (caught.value.tries, clock.waits) == (4, [0.05, 0.1, 0.2])


@pytest.mark.parametrize("session", [True, False], ids=["session", "unary"])
async def test_a_runtime_that_comes_back_on_its_port_is_found(session: bool, echo_client: Any) -> None:
    """A call that waits for its answer survives the server it was made to, and the port is found again."""
    first, address = await serve(FakeIngress(credits=100), "127.0.0.1:0")
    arrived = asyncio.Event()
    second = FakeIngress(credits=100)

    async def never(incoming: Incoming) -> bytes:
        arrived.set()
        await asyncio.Event().wait()
        return b""

    first.ingress.on(SAY, never)
    async with restate_client.connect(address, session=session, retry=RetryPolicy(max_duration=None)) as connection:
        call = asyncio.ensure_future(echo_client(connection).say(StringValue(value="hi"), idempotency_key="1"))
        await arrived.wait()
        await first.server.stop(None)
        again, _ = await serve(second, address)
        try:
            assert await call == StringValue(value="hi")
        finally:
            await again.server.stop(None)
    assert paths(second) == [SAY]


class Served:
    """A fake ingress with its server."""

    def __init__(self, ingress: FakeIngress, server: grpc.aio.Server) -> None:
        self.ingress = ingress
        self.server = server


async def serve(ingress: FakeIngress, address: str) -> tuple[Served, str]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handlers(ingress),))
    port = server.add_insecure_port(address)
    await server.start()
    return Served(ingress, server), f"127.0.0.1:{port}"


async def test_a_timeout_bounds_all_tries_together(ingress: FakeIngress, echo: Any, clock: StillClock) -> None:
    async def lost(incoming: Incoming) -> bytes:
        return await incoming.lose()

    ingress.on(SAY, lost)
    with pytest.raises(restate_client.ConnectionFailed) as caught:
        await echo.say(StringValue(), idempotency_key="1", timeout=timedelta(seconds=1))
    assert sum(clock.waits) < 1
    assert caught.value.tries == len(clock.waits) + 1 == 5
