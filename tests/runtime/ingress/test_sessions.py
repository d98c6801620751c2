"""restate.ingress.v1.Ingress/Session over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from protobuf import Oneof
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import invocation_id_text, workflow_invocation_id
from restate_protocol.journal import Failure, Value
from restate_protocol.status import StatusCode
from restate_runtime.engine.overload import Bound, Overloaded
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.session import SessionLimits
from restate_runtime.ingress.waiting import Waiting

from tests.runtime.ingress.raw_grpc import Server

PATH = "/restate.ingress.v1.Ingress/Session"
HI = b"\n\x02hi"  # shop.v1.EchoRequest{text: "hi"}
KNOWN = (7).to_bytes(16, "big")
PAYLOAD: Any = Oneof("payload", HI)
CREDITS = 4
BUFFER_BYTES = 64 * 1024


@pytest.fixture
async def server(routes: Any, engine: Any) -> AsyncIterator[Server]:
    waiting = Waiting()
    admission = Admission(routes, Limits(max_message_bytes=64 * 1024))
    ingress = GrpcIngress(admission, engine, waiting, session_limits=SessionLimits(CREDITS, BUFFER_BYTES))
    port = await ingress.start("127.0.0.1", 0)
    yield Server(ingress, waiting, port)
    await ingress.stop(0)


class Stream:
    """One session, as a caller has it."""

    def __init__(self, channel: grpc.aio.Channel, **metadata: str) -> None:
        pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        method: Any = channel.stream_stream(PATH)
        self.call = method(timeout=30, metadata=pairs)
        self.draining = False

    async def ask(self, *asks: pb.SessionAsk) -> None:
        await self.call.write(pb.SessionRequest(asks=list(asks)).to_binary())

    async def message(self) -> pb.SessionResponse | None:
        """The next message; None at the end of the stream."""
        data = await self.call.read()
        if data is grpc.aio.EOF:
            return None
        message = pb.SessionResponse.from_binary(data)
        self.draining = self.draining or message.draining
        return message

    async def ended(self) -> bool:
        """Reads to the end of the stream; whether an error was the end."""
        try:
            while await self.message() is not None:
                pass
        except grpc.aio.AioRpcError:
            return True
        return False

    async def answers(self, count: int) -> dict[int, Any]:
        """So many answers: what they are, by their ids."""
        found: dict[int, Any] = {}
        while len(found) < count:
            message = await self.message()
            assert message is not None, (found, await self.call.code(), await self.call.details())
            for one in message.answers:
                assert one.id not in found
                found[one.id] = one.answer
        return found


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
async def stream(channel: grpc.aio.Channel) -> AsyncIterator[Stream]:
    stream = Stream(channel)
    opened = await stream.message()
    assert opened == pb.SessionResponse(opened=pb.SessionOpened(credits=CREDITS, max_message_bytes=64 * 1024))
    yield stream
    stream.call.cancel()


def ask(number: int, kind: str, request: Any, **fields: Any) -> pb.SessionAsk:
    wanted: Any = Oneof(kind, request)
    return pb.SessionAsk(id=number, request=wanted, **fields)


def call(number: int, payload: bytes = HI, **fields: Any) -> pb.SessionAsk:
    data: Any = Oneof("payload", payload)
    request = pb.CallRequest(service="shop.v1.Echo", handler="Say", request=data)
    return ask(number, "call", request, **fields)


def drop(number: int) -> pb.SessionAsk:
    return ask(number, "drop", pb.SessionDrop())


def waits(_submission: Any) -> None:
    """Leaves the caller waiting."""


async def until(condition: Any) -> None:
    for _ in range(5_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain")


async def test_many_calls_in_one_message_get_one_answer_each(stream: Stream, engine: Any) -> None:
    await stream.ask(*(call(number) for number in range(1, CREDITS + 1)))
    answers = await stream.answers(CREDITS)
    assert {one.field for one in answers.values()} == {"call"}
    assert [answers[number].value.response for number in answers] == [Oneof("payload", HI)] * CREDITS
    assert len({one.value.invocation_id for one in answers.values()}) == CREDITS


async def test_every_kind_of_request_has_its_answer(stream: Stream, engine: Any) -> None:
    engine.outputs[KNOWN] = Value(b"\x08\x05")
    known = invocation_id_text(KNOWN)
    open_ = workflow_invocation_id("shop.v1.Checkout", "o")
    engine.outputs[open_] = None
    target = pb.Target(service="shop.v1.Checkout", handler="Run", key="o")
    json: Any = Oneof("json", '{"text": "hi"}')
    requests: list[tuple[str, Any, Any]] = [
        (
            "call",
            pb.CallRequest(service="shop.v1.Echo", handler="Say", request=json),
            lambda one: one.response == Oneof("json", '{"text":"hi"}'),
        ),
        (
            "send",
            pb.SendRequest(service="shop.v1.Echo", handler="Say", request=json),
            lambda one: one.acceptance == pb.Acceptance.ACCEPTED and one.invocation_id.startswith("inv_"),
        ),
        ("attach", pb.AttachRequest(invocation_id=known), lambda one: one.payload == b"\x08\x05"),
        ("attach", pb.AttachRequest(invocation_id=known, json=True), lambda one: one.json == '{"totalCount":5}'),
        ("get_output", pb.GetOutputRequest(invocation_id=known), lambda one: one.payload == b"\x08\x05"),
        ("lookup", pb.LookupRequest(target=target), lambda one: not one.completed),
        ("cancel", pb.CancelRequest(target=target), lambda one: engine.cancelled == [open_]),
        ("send_signal", pb.SendSignalRequest(target=target, name="go"), lambda one: len(engine.signals) == 1),
    ]
    for number, (kind, request, check) in enumerate(requests, 1):
        await stream.ask(ask(number, kind, request))
        [answer] = (await stream.answers(1)).values()
        assert (answer.field, check(answer.value)) == (kind, True)


async def test_an_error_is_that_of_a_call_of_its_own(stream: Stream, server: Server, engine: Any) -> None:
    unknown = pb.CallRequest(service="shop.v1.Ecko", handler="Say", request=PAYLOAD)
    await stream.ask(
        ask(1, "call", unknown), ask(2, "lookup", pb.LookupRequest(invocation_id=invocation_id_text(KNOWN)))
    )
    answers = await stream.answers(2)
    assert (answers[1].field, answers[1].value.code, answers[1].value.from_handler) == ("error", 12, False)
    assert "did you mean shop.v1.Echo?" in answers[1].value.message
    assert answers[2].value.code == 5
    engine.answer = lambda submission: Failure(9, "sold out", "shop.v1.SoldOut", b"\n\x01e")
    await stream.ask(call(3))
    error = (await stream.answers(1))[3].value
    assert (error.code, error.message, error.from_handler) == (9, "sold out", True)
    assert error.invocation_id.startswith("inv_")
    assert [(one.type_url, one.value) for one in error.details] == [("type.googleapis.com/shop.v1.SoldOut", b"\n\x01e")]
    assert server.ingress.answers.by_code() == {"OK": 0, "UNIMPLEMENTED": 1, "NOT_FOUND": 1, "FAILED_PRECONDITION": 1}


async def test_who_waits_longer_hears_of_the_invocation_first(stream: Stream, engine: Any) -> None:
    engine.answer = waits
    engine.outputs[KNOWN] = None
    await stream.ask(call(1), ask(2, "attach", pb.AttachRequest(invocation_id=invocation_id_text(KNOWN))))
    answers = await stream.answers(2)
    assert {one.field for one in answers.values()} == {"accepted"}
    assert answers[1].value.acceptance == pb.Acceptance.ACCEPTED
    assert answers[2].value.invocation_id == invocation_id_text(KNOWN)
    engine.askers[KNOWN].resolved(Value(b"r"))
    assert (await stream.answers(1))[2].value.payload == b"r"


async def test_one_more_than_the_credits_is_refused_and_the_rest_live_on(stream: Stream, engine: Any) -> None:
    engine.answer = waits
    await stream.ask(*(call(number) for number in range(1, CREDITS + 2)))
    error = (await stream.answers(CREDITS + 1))[CREDITS + 1].value
    assert error.code == 8
    assert "ingress_session_credits" in error.message
    retry = RetryInfo()
    details = {one.type_url.rpartition("/")[2]: one.value for one in error.details}
    retry.ParseFromString(details["google.rpc.RetryInfo"])
    assert b"SESSION_CREDITS" in details["google.rpc.ErrorInfo"]
    assert retry.retry_delay.ToMilliseconds() > 0
    assert len(engine.submissions) == CREDITS
    engine.askers[(1).to_bytes(16, "big")].resolved(Value(b""))
    engine.answer = lambda submission: Value(submission.payload)
    await stream.ask(call(CREDITS + 2))
    assert set(await stream.answers(2)) == {1, CREDITS + 2}


async def test_what_is_too_much_for_the_runtime_is_refused_with_a_time_to_come_back(
    stream: Stream, server: Server, engine: Any
) -> None:
    engine.error = Overloaded(Bound.WAITING_CALLERS, "too many wait")
    await stream.ask(call(1))
    error = (await stream.answers(1))[1].value
    assert (error.code, error.message, error.from_handler) == (8, "too many wait", False)
    assert {one.type_url.rpartition("/")[2] for one in error.details} == {
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
    }
    engine.error = RuntimeError("a defect")
    await stream.ask(call(2))
    error = (await stream.answers(1))[2].value
    assert (error.code, "a defect" in error.message) == (13, False)
    assert server.ingress.answers.by_code() == {"OK": 0, "RESOURCE_EXHAUSTED": 1, "INTERNAL": 1}


async def test_a_used_idempotency_key_names_its_invocation(stream: Stream, engine: Any) -> None:
    known = invocation_id_text(KNOWN)
    metadata = {"restate-invocation-id": known}
    engine.error = TerminalError("another request", code=StatusCode.ALREADY_EXISTS, metadata=metadata)
    await stream.ask(call(1))
    error = (await stream.answers(1))[1].value
    assert (error.code, error.invocation_id) == (6, known)


async def test_a_timeout_ends_the_wait_and_not_the_invocation(stream: Stream, engine: Any) -> None:
    engine.answer = waits
    await stream.ask(call(1, timeout_ms=1), call(2, timeout_ms=0))
    found: dict[int, Any] = {}
    while len(found) < 2:
        message = await stream.message()
        assert message is not None
        found.update(
            {
                one.id: one.answer.value
                for one in message.answers
                if one.answer is not None and one.answer.field == "error"
            }
        )
    assert (found[1].code, found[2].code) == (4, 4)
    assert found[1].invocation_id.startswith("inv_")
    assert "nothing was started" in found[2].message
    assert await engine.closed.get() == (1).to_bytes(16, "big")
    assert len(engine.submissions) == 1


async def test_a_drop_frees_the_credit_and_has_no_answer(stream: Stream, engine: Any) -> None:
    engine.answer = waits
    await stream.ask(*(call(number) for number in range(1, CREDITS + 1)), drop(1), drop(99), call(CREDITS + 1))
    assert await engine.closed.get() == (1).to_bytes(16, "big")
    answers = await stream.answers(CREDITS)
    assert 1 not in answers
    assert {one.field for one in answers.values()} == {"accepted"}


async def test_an_ask_without_a_request_is_answered(stream: Stream) -> None:
    await stream.ask(pb.SessionAsk(id=1), call(2))
    answers = await stream.answers(2)
    assert (answers[1].field, answers[1].value.code) == ("error", 3)
    assert answers[2].field == "call"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff", "not a valid restate.ingress.v1.SessionRequest"),
        (pb.SessionRequest(asks=[call(0)]).to_binary(), "the request has the id 0"),
        (b"\x0a\x02\x08\x01" * 10_001, "the message has 10001 asks; at most 10000 are taken at once"),
        (pb.SessionRequest(asks=[call(2), call(2)]).to_binary(), "ids begin at 1 and grow, and 2 was used"),
    ],
    ids=["no message", "id 0", "too many", "an id again"],
)
async def test_what_no_answer_can_tell_ends_the_stream(stream: Stream, engine: Any, data: bytes, text: str) -> None:
    engine.answer = waits
    await stream.call.write(data)
    assert await stream.ended()
    assert await stream.call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in await stream.call.details()
    assert dict(await stream.call.trailing_metadata())["restate-error-source"] == "ingress"
    for _ in engine.submissions:
        await engine.closed.get()


@pytest.mark.parametrize("name", ["idempotency_key", "restate_send", "restate_delay"])
async def test_metadata_of_a_single_call_is_refused(channel: grpc.aio.Channel, name: str) -> None:
    stream = Stream(channel, **{name: "true"})
    with pytest.raises(grpc.aio.AioRpcError, match="a session carries many"):
        await stream.message()


async def test_a_caller_that_goes_drops_its_waits(stream: Stream, server: Server, engine: Any) -> None:
    engine.answer = waits
    await stream.ask(call(1), call(2))
    await stream.answers(2)
    assert len(server.ingress.sessions) == 1
    stream.call.cancel()
    assert {await engine.closed.get() for _ in range(2)} == {number.to_bytes(16, "big") for number in (1, 2)}
    await until(lambda: not len(server.ingress.sessions))


async def test_a_caller_that_asks_no_more_gets_its_answers(stream: Stream, engine: Any) -> None:
    engine.answer = waits
    await stream.ask(call(1))
    assert (await stream.answers(1))[1].field == "accepted"
    await stream.call.done_writing()
    engine.askers[(1).to_bytes(16, "big")].resolved(Value(b"r"))
    assert (await stream.answers(1))[1].value.response == Oneof("payload", b"r")
    assert await stream.message() is None
    assert await stream.call.code() is grpc.StatusCode.OK


async def test_a_runtime_that_stops_says_so_answers_what_waits_and_ends(
    stream: Stream, server: Server, engine: Any
) -> None:
    engine.answer = waits
    await stream.ask(call(1), call(2))
    await stream.answers(2)
    stopping = asyncio.ensure_future(server.ingress.stop(20))
    while not stream.draining:
        assert await stream.message() is not None
    await stream.ask(call(3))
    refused = (await stream.answers(1))[3].value
    assert (refused.code, "nothing was started" in refused.message) == (14, True)
    engine.askers[(1).to_bytes(16, "big")].resolved(Value(b"r"))
    assert (await stream.answers(1))[1].field == "call"
    server.waiting.send_away()
    away = (await stream.answers(1))[2].value
    assert (away.code, away.invocation_id) == (14, invocation_id_text((2).to_bytes(16, "big")))
    assert await stream.message() is None
    await stopping
    assert len(engine.submissions) == 2


async def test_a_slow_reader_is_not_read_from(stream: Stream, server: Server, engine: Any) -> None:
    big = Value(b"x" * (3 * BUFFER_BYTES))
    engine.answer = lambda submission: big

    async def ask_much() -> None:
        for number in range(1, 401):
            await stream.ask(call(number))

    asking = asyncio.ensure_future(ask_much())
    [session] = server.ingress.sessions.open_sessions()
    await until(lambda: session.outbox.held_bytes > BUFFER_BYTES)
    for _ in range(200):
        await asyncio.sleep(0)
    # Each answer is over the limit, so no request is read while one waits.
    assert session.outbox.held_bytes < 2 * len(big.data) + 1_000
    begun = len(engine.submissions)
    assert begun < 400
    assert set(await stream.answers(400)) == set(range(1, 401))
    await asking
