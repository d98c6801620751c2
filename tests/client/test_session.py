"""Sessions: batches, credits, drops, further streams, and the way back to calls one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client.session import MAX_SESSION_REQUEST_BYTES, MAX_STREAMS
from restate_protocol import ids

from tests.client.fake_ingress import SessionIncoming, UnaryIncoming

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

SAY = "/echo.v1.Echo/Say"
INVOCATION = ids.invocation_id_text(bytes(16))


@pytest.fixture(autouse=True)
def serves_sessions(ingress: FakeIngress) -> None:
    ingress.credits = 100


@pytest.fixture
async def connection(ingress: FakeIngress) -> AsyncIterator[restate_client.Connection]:
    async with restate_client.connect(
        ingress.address, headers={"authorization": "Bearer x", "x-default": "1"}
    ) as opened:
        yield opened


class Gate:
    """Holds calls until it is opened."""

    def __init__(self, ingress: FakeIngress) -> None:
        self._open = asyncio.Event()
        self._ingress = ingress
        ingress.on(SAY, self._answer)

    async def _answer(self, incoming: Incoming) -> bytes:
        await self._open.wait()
        return incoming.data

    async def holds(self, count: int) -> None:
        """Waits until so many calls have come."""
        while len(self._ingress.calls) < count:
            await asyncio.sleep(0)

    def open(self) -> None:
        self._open.set()


def say(echo: Any, count: int, **options: Any) -> list[asyncio.Task[StringValue]]:
    return [asyncio.ensure_future(echo.say(StringValue(value=str(n)), **options)) for n in range(count)]


async def test_calls_of_one_turn_travel_in_one_message_on_one_stream(ingress: FakeIngress, echo: Any) -> None:
    await echo.say(StringValue())
    replies = await asyncio.gather(*say(echo, 50))
    assert [reply.value for reply in replies] == [str(n) for n in range(50)]
    assert (ingress.batches, len(ingress.sessions)) == ([1, 50], 1)
    assert all(isinstance(call, SessionIncoming) for call in ingress.calls)


async def test_the_connections_headers_go_with_every_ask_and_its_secrets_with_the_stream(
    ingress: FakeIngress, echo: Any
) -> None:
    await echo.say(StringValue(), headers={"x-a": "b"})
    [call] = ingress.calls
    assert isinstance(call, SessionIncoming)
    assert call.own == {"x-default": "1", "x-a": "b"}
    assert call.metadata["authorization"] == "Bearer x"


async def test_a_connection_with_bytes_in_its_headers_calls_one_by_one(ingress: FakeIngress, echo_client: Any) -> None:
    async with restate_client.connect(ingress.address, headers={"x-raw-bin": b"\x00"}) as connection:
        await echo_client(connection).say(StringValue())
    [call] = ingress.calls
    assert isinstance(call, UnaryIncoming)
    assert call.metadata["x-raw-bin"] == b"\x00"


async def test_no_more_calls_than_credits_wait_and_further_streams_are_opened(ingress: FakeIngress, echo: Any) -> None:
    """The fake refuses a caller that asks for more than it gave."""
    ingress.credits = 3
    gate = Gate(ingress)
    count = 3 * MAX_STREAMS + 5
    calls = say(echo, count)
    await gate.holds(3 * MAX_STREAMS)
    assert len(ingress.sessions) == MAX_STREAMS
    assert [session.waiting for session in ingress.sessions] == [3] * MAX_STREAMS
    gate.open()
    assert [reply.value for reply in await asyncio.gather(*calls)] == [str(n) for n in range(count)]
    assert len(ingress.sessions) == MAX_STREAMS


async def test_a_cancelled_call_is_dropped_and_its_credit_is_used_again(ingress: FakeIngress, echo: Any) -> None:
    ingress.credits = 1
    gate = Gate(ingress)
    [first] = say(echo, 1)
    await gate.holds(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    [second] = say(echo, 1)
    await gate.holds(2)
    gate.open()
    assert (await second).value == "0"
    assert (ingress.dropped, len(ingress.sessions)) == ([1], 1)


async def test_a_call_that_is_cancelled_before_it_was_written_never_leaves(ingress: FakeIngress, echo: Any) -> None:
    [call] = say(echo, 1)
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await echo.say(StringValue(value="next"))).value == "next"
    assert [incoming.data for incoming in ingress.calls] == [StringValue(value="next").to_binary()]


async def test_a_timeout_drops_the_ask_and_names_the_invocation(ingress: FakeIngress, echo: Any) -> None:
    async def never(incoming: Incoming) -> bytes:
        await incoming.accepted(INVOCATION)
        await asyncio.Event().wait()
        return b""

    ingress.on(SAY, never)
    with pytest.raises(restate_client.CallTimeout) as caught:
        await echo.say(StringValue(), timeout=timedelta(milliseconds=300))
    assert caught.value.invocation_id == INVOCATION
    await echo.buy(StringValue())
    assert ingress.dropped == [1]


async def test_a_runtime_without_sessions_is_called_one_by_one(ingress: FakeIngress, echo: Any) -> None:
    ingress.credits = None
    replies = await asyncio.gather(*say(echo, 3))
    assert [reply.value for reply in replies] == ["0", "1", "2"]
    await echo.say(StringValue())
    assert [type(call) for call in ingress.calls] == [UnaryIncoming] * 4


@pytest.mark.parametrize(
    ("request_", "options"),
    [
        (StringValue(value="x" * MAX_SESSION_REQUEST_BYTES), {}),
        (StringValue(value="x"), {"headers": {"x-raw-bin": b"\x00"}}),
    ],
    ids=["a long request", "bytes in headers"],
)
async def test_what_a_session_carries_badly_is_a_call_of_its_own(
    ingress: FakeIngress, echo: Any, request_: StringValue, options: dict[str, Any]
) -> None:
    assert await echo.say(request_, **options) == request_
    assert [type(call) for call in ingress.calls] == [UnaryIncoming]


async def test_a_runtime_that_drains_gets_no_more_asks_on_that_stream_and_still_answers(
    ingress: FakeIngress, echo: Any
) -> None:
    ingress.credits = 1
    gate = Gate(ingress)
    [first] = say(echo, 1)
    await gate.holds(1)
    await ingress.sessions[0].say(draining=True)
    await echo.buy(StringValue())
    assert len(ingress.sessions) == 2
    [second] = say(echo, 1)
    await gate.holds(3)
    gate.open()
    assert [(await call).value for call in (first, second)] == ["0", "0"]
    assert len(ingress.sessions) == 2
    await ingress.sessions[0].ended.wait()
    assert not ingress.sessions[1].ended.is_set()


async def test_all_calls_of_a_stream_that_breaks_are_made_again_on_another(ingress: FakeIngress, echo: Any) -> None:
    gate = Gate(ingress)
    calls = say(echo, 20, idempotency_key="same")
    await gate.holds(20)
    ingress.sessions[0].broken.set()
    await gate.holds(40)
    gate.open()
    assert [reply.value for reply in await asyncio.gather(*calls)] == [str(n) for n in range(20)]
    assert len(ingress.sessions) == 2


async def test_closing_ends_the_calls_that_wait(ingress: FakeIngress, echo_client: Any) -> None:
    gate = Gate(ingress)
    connection = restate_client.connect(ingress.address)
    calls = say(echo_client(connection), 3)
    await gate.holds(3)
    await connection.close()
    for call in calls:
        with pytest.raises(restate_client.ConnectionFailed, match="was closed"):
            await call
