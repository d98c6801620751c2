"""Many calls on one session with idempotency keys, and kill -9 of the runtime among them: each counts once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
import pytest
from protobuf import Oneof
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

from tests.e2e.processes import PATIENCE_S, World

pytestmark = pytest.mark.e2e

OBJECTS, CALLS_EACH = 10, 30
CALLS = [(f"o{number % OBJECTS}", f"call-{number}") for number in range(OBJECTS * CALLS_EACH)]
BATCH = 20


class Session:
    """One stream, and the answers that it gave, by idempotency key."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        method: Any = channel.stream_stream("/restate.ingress.v1.Ingress/Session")
        self._stream = method(wait_for_ready=True, timeout=PATIENCE_S)
        self.answers: dict[str, pb.CallResponse] = {}

    async def ask_all(self) -> None:
        for first in range(0, len(CALLS), BATCH):
            asks = [_ask(number + 1, *CALLS[number]) for number in range(first, min(first + BATCH, len(CALLS)))]
            await self._stream.write(pb.SessionRequest(asks=asks).to_binary())

    async def read(self, count: int) -> None:
        """Reads until so many calls are answered.

        Raises:
            grpc.aio.AioRpcError: the stream ended before.
        """
        while len(self.answers) < count:
            data = await self._stream.read()
            assert data is not grpc.aio.EOF
            for answer in pb.SessionResponse.from_binary(data).answers:
                assert answer.answer is not None
                if answer.answer.field != "accepted":
                    assert isinstance(answer.answer.value, pb.CallResponse), answer
                    self.answers[CALLS[answer.id - 1][1]] = answer.answer.value


def _ask(number: int, object_key: str, idempotency_key: str) -> pb.SessionAsk:
    from gen.bench.v1.bench_pb import KeyedRequest  # type: ignore[import-not-found]

    payload: Any = Oneof("payload", KeyedRequest(key=object_key, text="add", count=1).to_binary())
    call = pb.CallRequest(service="bench.v1.Object", handler="Do", request=payload, idempotency_key=idempotency_key)
    wanted: Any = Oneof("call", call)
    return pb.SessionAsk(id=number, request=wanted)


async def _ask_until_killed(world: World, runtime: Any, answered: int) -> dict[str, pb.CallResponse]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.ingress}") as channel:
        session = Session(channel)
        asking = asyncio.ensure_future(session.ask_all())
        await session.read(answered)
        runtime.kill()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await session.read(len(CALLS))
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await asking
        return session.answers


@pytest.mark.parametrize("answered", [1, len(CALLS) // 3])
async def test_calls_on_a_session_count_once_when_the_runtime_is_killed_among_them(world: World, answered: int) -> None:
    from gen.bench.v1.bench_pb import DoResponse

    runtime = world.runtime()
    world.endpoint()
    world.register()
    before = await _ask_until_killed(world, runtime, answered)
    assert answered <= len(before)
    world.runtime()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.ingress}") as channel:
        session = Session(channel)
        await session.ask_all()
        await session.read(len(CALLS))
    for key, response in before.items():
        again = session.answers[key]
        assert again.acceptance == pb.Acceptance.PREVIOUSLY_ACCEPTED, "an acknowledged call was lost"
        assert (again.invocation_id, again.response) == (response.invocation_id, response.response)
    counts: dict[str, list[int]] = {}
    for object_key, key in CALLS:
        answer = session.answers[key].response
        assert answer is not None
        counts.setdefault(object_key, []).append(DoResponse.from_binary(answer.value).count)
    expected = list(range(1, CALLS_EACH + 1))
    assert {object_key: sorted(found) for object_key, found in counts.items()} == {
        f"o{number}": expected for number in range(OBJECTS)
    }
