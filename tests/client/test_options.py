"""Options of a connection: timeouts, keepalive, the limit of requests; and what makes no sense."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client import Keepalive, RetryPolicy, sync
from restate_client.channels import channel_options
from restate_client.outgoing import by_id, cancel
from restate_client.session import MAX_QUEUED
from restate_client.settings import Settings
from restate_client.wire import seconds
from restate_protocol import ids

if TYPE_CHECKING:
    import threading

    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"


async def never(incoming: Incoming) -> bytes:
    await asyncio.Event().wait()
    return b""


async def test_a_connections_timeout_is_that_of_every_call(ingress: FakeIngress, echo_client: Any, way: str) -> None:
    ingress.on(SAY, never)
    timeout = timedelta(milliseconds=100)
    async with restate_client.connect(ingress.address, timeout=timeout, session=way == "session") as connection:
        with pytest.raises(restate_client.CallTimeout):
            await echo_client(connection).say(StringValue())


@pytest.mark.parametrize(
    ("own", "waits_s"),
    [(None, 5.0), (timedelta(seconds=60), 60.0), (timedelta(), 0.0), (timedelta.max, None)],
)
def test_a_calls_own_timeout_wins_also_where_it_is_for_ever(own: timedelta | None, waits_s: float | None) -> None:
    asked = cancel(by_id(ids.invocation_id_text(bytes(16))), seconds(own))
    assert Settings("host:1", timeout_s=5.0).wait_s(asked) == waits_s


async def test_a_request_over_the_limit_never_leaves(ingress: FakeIngress, echo_client: Any) -> None:
    async with restate_client.connect(ingress.address, max_request_bytes=100) as connection:
        with pytest.raises(restate_client.MessageTooLong, match=r"Say has 202 bytes.*limit is 100.*max_message_bytes"):
            await echo_client(connection).say(StringValue(value="x" * 199))
    with (
        sync.connect(ingress.address, max_request_bytes=100) as blocking,
        pytest.raises(restate_client.MessageTooLong),
    ):
        echo_client(blocking).say(StringValue(value="x" * 199))
    assert ingress.calls == []


async def test_a_long_response_is_no_problem(ingress: FakeIngress, echo_client: Any) -> None:
    long = StringValue(value="x" * (6 << 20)).to_binary()

    async def answer(incoming: Incoming) -> bytes:
        return long

    ingress.on(SAY, answer)
    async with restate_client.connect(ingress.address) as connection:
        assert len((await echo_client(connection).say(StringValue())).value) == 6 << 20


async def test_more_calls_than_a_connection_queues_are_refused_with_the_limit(
    ingress: FakeIngress, echo_client: Any
) -> None:
    """Nothing is written before the loop turns, so everything is in the queue."""
    ingress.credits = 10
    async with restate_client.connect(ingress.address) as connection:
        client = echo_client(connection)
        calls = [asyncio.ensure_future(client.say(StringValue())) for _ in range(MAX_QUEUED + 1)]
        with pytest.raises(restate_client.Overloaded, match=r"10000 calls.*MAX_QUEUED"):
            await calls[-1]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def test_keepalive_is_on_unless_it_is_turned_off() -> None:
    on = dict(channel_options(None, Settings("host:1").keepalive))
    assert (on["grpc.keepalive_time_ms"], on["grpc.keepalive_timeout_ms"]) == (60_000, 20_000)
    own = Keepalive(interval=timedelta(seconds=15), timeout=timedelta(seconds=5))
    assert dict(channel_options(None, own))["grpc.keepalive_time_ms"] == 15_000
    assert "grpc.keepalive_time_ms" not in dict(channel_options(None, None))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": timedelta(seconds=-1)}, "a timeout cannot be negative"),
        ({"max_request_bytes": 0}, "at least 1"),
        ({"headers": {"idempotency-key": "1"}}, "argument idempotency_key="),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    for connect in (restate_client.connect, sync.connect):
        with pytest.raises(ValueError, match=problem):
            connect("host", **options)


def test_a_keepalive_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least a millisecond"):
        Keepalive(interval=timedelta())


class BlockingStillClock:
    """Time that passes only while a connection waits between tries."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now_s(self) -> float:
        return sum(self.waits)

    def luck(self) -> float:
        return 0.0

    def sleep(self, wait_s: float, ended: threading.Event) -> None:
        self.waits.append(wait_s)


async def test_a_blocking_connection_tries_again_alike(ingress: FakeIngress, echo_client: Any) -> None:
    async def lost(incoming: Incoming) -> bytes:
        return incoming.data if len(ingress.calls) > 3 else await incoming.lose()

    ingress.on(SAY, lost)
    clock = BlockingStillClock()
    with sync.BlockingConnection(Settings(ingress.address), clock=clock) as connection:
        call = echo_client(connection).say
        reply = await asyncio.to_thread(call, StringValue(value="hi"), idempotency_key="1")
        assert reply == StringValue(value="hi")
    assert clock.waits == [0.05, 0.1, 0.2]


async def test_a_blocking_call_that_waits_between_tries_ends_when_its_connection_is_closed(echo_client: Any) -> None:
    policy = RetryPolicy(initial_interval=timedelta(hours=1), max_interval=timedelta(hours=1), max_duration=None)
    connection = sync.connect("127.0.0.1:1", retry=policy)
    call = asyncio.ensure_future(asyncio.to_thread(echo_client(connection).say, StringValue()))
    while connection._channel is None:
        await asyncio.sleep(0)
    connection.close()
    with pytest.raises(restate_client.ConnectionFailed, match="was closed"):
        await call
