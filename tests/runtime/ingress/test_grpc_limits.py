"""What gRPC itself brings: compression, sizes, counts of messages, pings, draining. Real clients and raw sockets."""

from __future__ import annotations

import asyncio
import gzip
import struct
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from restate_protocol.journal import Value
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.grpc import SLACK_BYTES, GrpcIngress, Keepalive
from restate_runtime.ingress.waiting import Waiting

from tests.runtime.ingress.raw_grpc import Client, Reply, Server

SAY = "/shop.v1.Echo/Say"
LIMIT = 64 * 1024
LONG = b"\x0a\xe8\x07" + b"a" * 1_000  # text: 1,000 letters

Connect = Callable[..., Awaitable[tuple[GrpcIngress, int]]]


def reason(reply: Reply) -> str:
    """The word in the details that says why."""
    info = ErrorInfo()
    [found] = [one for one in reply.details().details if one.Unpack(info)]
    assert found is not None
    assert info.domain == "restate.ingress.v1"
    word: str = info.reason
    return word


# How many messages


async def test_a_call_without_a_message_is_answered(client: Client, server: Server, engine: Any) -> None:
    method: Any = client.channel.stream_unary(SAY)
    call = method()
    await call.done_writing()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "has no message" in (caught.value.details() or "")
    assert ("restate-error-source", "ingress") in tuple(caught.value.trailing_metadata())
    assert engine.submissions == []
    assert server.ingress.answers.refusals() == {"message_count": 1}


async def test_what_follows_the_first_message_starts_nothing(client: Client, engine: Any) -> None:
    method: Any = client.channel.stream_unary(SAY)
    call = method()
    for text in (b"a", b"b"):
        await call.write(b"\x0a\x01" + text)
    await call.done_writing()
    assert await call == b"\x0a\x01a"
    assert [one.payload for one in engine.submissions] == [b"\x0a\x01a"]


async def test_a_method_called_as_a_stream_of_responses_gives_its_one(client: Client) -> None:
    method: Any = client.channel.unary_stream(SAY)
    assert [one async for one in method(b"\x0a\x01a")] == [b"\x0a\x01a"]


# Compression


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_request_is_journaled_as_it_was_meant(client: Client, engine: Any, compression: Any) -> None:
    method: Any = client.channel.unary_unary(SAY)
    assert await method(LONG, compression=compression) == LONG
    assert engine.submissions[0].payload == LONG


async def test_the_limit_counts_what_comes_out(client: Client, engine: Any) -> None:
    method: Any = client.channel.unary_unary(SAY)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"\x0a\x80\x80\x08" + b"a" * 2 * LIMIT, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "setting max_message_bytes" in (caught.value.details() or "")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"a" * (LIMIT + SLACK_BYTES + 1), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert engine.submissions == []


@pytest.mark.parametrize("asked", ["gzip", "identity", ""])
async def test_a_response_is_compressed_for_who_asks(server: Server, asked: str) -> None:
    sent = await _raw_call(server.port, LONG, asked)
    if asked == "gzip":
        assert sent[0] == 1
        assert gzip.decompress(sent[5:]) == LONG
    else:
        assert sent[0] == 0
        assert sent[5:] == LONG


async def test_an_encoding_that_is_not_known_is_refused(client: Client, engine: Any) -> None:
    reply = await client.call(SAY, b"", restate_response_encoding="br")
    assert reply.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "gzip or identity" in reply.message
    assert reason(reply) == "BAD_HEADER"
    assert engine.submissions == []


async def test_a_deadline_that_has_passed_on_arrival_starts_nothing(
    server: Server, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = time.time() + 60  # when the call is looked at
    monkeypatch.setattr(time, "time", lambda: late)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(PREFACE + _request(b"", {"grpc-timeout": "30S"}))
    while True:
        kind, flags, _ = await _frame(reader)
        if kind == 4 and not flags & 1:
            writer.write(SETTINGS_ACK)
        elif kind == 3 or (kind == 1 and flags & 1):
            break  # the stream ended
    writer.close()
    assert engine.submissions == []


# Sizes


async def test_a_message_over_the_limit_names_limit_and_setting(client: Client, server: Server, engine: Any) -> None:
    reply = await client.call(SAY, b"\x0a\x80\x80\x04" + b"a" * LIMIT)
    assert reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "65540 bytes; the limit is 65536 (setting max_message_bytes)" in reply.message
    assert reply.trailing["restate-error-source"] == "ingress"
    assert reason(reply) == "TOO_LARGE"
    assert engine.submissions == []
    assert server.ingress.answers.refusals() == {"too_large": 1}


async def test_a_message_far_over_the_limit_is_not_even_read(client: Client, engine: Any) -> None:
    reply = await client.call(SAY, b"a" * (LIMIT + SLACK_BYTES + 1))
    assert reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert engine.submissions == []


async def test_a_long_response_has_no_limit_of_the_ingress(client: Client, engine: Any) -> None:
    long = b"\x0a\x80\x80\x40" + b"a" * (1 << 20)
    engine.answer = lambda _: Value(long)
    assert (await client.call(SAY)).payload == long


async def test_metadata_over_the_limit_names_limit_and_setting(client: Client, server: Server, engine: Any) -> None:
    reply = await client.call(SAY, b"", x_long="y" * 20_000)
    assert reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the limit is 16384 (setting max_metadata_bytes)" in reply.message
    assert reply.trailing["restate-error-source"] == "ingress"
    assert reason(reply) == "METADATA_TOO_LARGE"
    assert server.ingress.answers.refusals() == {"metadata_too_large": 1}
    far = await client.call(SAY, b"", x_long="y" * 60_000)
    assert far.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert engine.submissions == []


async def test_metadata_just_within_the_limit_is_taken(client: Client, engine: Any) -> None:
    assert (await client.call(SAY, b"", x_long="y" * 16_000)).code is grpc.StatusCode.OK
    assert dict(engine.submissions[0].headers)["x-long"] == b"y" * 16_000


async def test_thousands_of_calls_at_once_are_all_answered(client: Client, engine: Any) -> None:
    method: Any = client.channel.unary_unary(SAY)
    calls = [method(b"") for _ in range(3_500)]
    assert set(await asyncio.gather(*calls)) == {b""}
    assert len(engine.submissions) == 3_500


# Pings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)
PING = b"\x00\x00\x08\x06\x00" + bytes(4) + b"8 octets"
SETTINGS_ACK = b"\x00\x00\x00\x04\x01" + bytes(4)


@pytest.fixture
async def listening(routes: Any, engine: Any) -> AsyncIterator[Connect]:
    made: list[GrpcIngress] = []

    async def start(keepalive: Keepalive) -> tuple[GrpcIngress, int]:
        ingress = GrpcIngress(Admission(routes, Limits()), engine, Waiting(), keepalive)
        made.append(ingress)
        return ingress, await ingress.start("127.0.0.1", 0)

    yield start
    for ingress in made:
        await ingress.stop(0)


async def _frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Type, flags and payload of the next HTTP/2 frame."""
    head = await reader.readexactly(9)
    return head[3], head[4], await reader.readexactly(int.from_bytes(head[:3]))


async def _pinged(port: int, count: int) -> AsyncGenerator[str, None]:
    """What comes back for so many pings at once: `ack` for each, or why the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + PING * count)
    try:
        while True:
            kind, flags, payload = await _frame(reader)
            if kind == 7:
                yield payload[8:].decode()
            elif kind == 6 and flags & 1:
                yield "ack"
            elif kind == 4 and not flags & 1:
                writer.write(SETTINGS_ACK)
    finally:
        writer.close()


async def test_a_client_may_ping_as_often_as_the_setting_says(listening: Connect) -> None:
    _, port = await listening(Keepalive(min_client_interval_ms=0))
    seen = _pinged(port, 20)
    assert [await anext(seen) for _ in range(20)] == ["ack"] * 20
    await seen.aclose()


async def test_a_client_that_pings_much_more_often_is_sent_away(listening: Connect) -> None:
    _, port = await listening(Keepalive())
    seen = _pinged(port, 20)
    while (one := await anext(seen)) == "ack":
        pass
    assert "too_many_pings" in one
    await seen.aclose()


async def test_a_connection_on_which_nobody_answers_a_ping_is_closed(listening: Connect) -> None:
    _, port = await listening(Keepalive(interval_ms=1, timeout_ms=1))
    seen = _pinged(port, 0)
    assert await anext(seen) == "ping_timeout"
    await seen.aclose()


# Draining


async def test_while_draining_new_calls_hear_so_and_those_under_way_end(
    client: Client, server: Server, engine: Any
) -> None:
    engine.answer = lambda _: None
    call = asyncio.create_task(client.call(SAY))
    accepted = await engine.accepted.get()
    stub: Any = health_pb2_grpc.HealthStub(client.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="shop.v1.Cart")).__aiter__()
    assert (await anext(watch)).status == health_pb2.HealthCheckResponse.SERVING
    stopping = asyncio.create_task(server.ingress.stop(20))
    assert (await anext(watch)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    late = await client.call(SAY)
    assert late.code is grpc.StatusCode.UNAVAILABLE
    assert "the runtime stops" in late.message
    assert late.trailing["restate-error-source"] == "ingress"
    assert reason(late) == "STOPPING"
    accepted.result.set_result(Value(b"\x0a\x01a"))
    assert (await call).payload == b"\x0a\x01a"
    await stopping
    assert len(engine.submissions) == 1


# Health


async def test_health_lists_every_service(client: Client) -> None:
    method: Any = client.channel.unary_unary("/grpc.health.v1.Health/List")
    found = health_pb2.HealthListResponse.FromString(await method(b""))  # type: ignore[attr-defined]
    assert set(found.statuses) == {"", "shop.v1.Cart", "shop.v1.Checkout", "shop.v1.Counter", "shop.v1.Echo"}


async def test_health_of_an_unknown_service_is_not_found_and_says_which(client: Client) -> None:
    stub: Any = health_pb2_grpc.HealthStub(client.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "no.such.Service" in (caught.value.details() or "")


# The wire


async def _raw_call(port: int, payload: bytes, encoding: str) -> bytes:
    """The DATA of the response to a call by hand, which shows whether it is compressed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + _request(payload, {"restate-response-encoding": encoding} if encoding else {}))
    data = b""
    while True:
        kind, flags, part = await _frame(reader)
        if kind == 0:
            data += part
        elif kind == 4 and not flags & 1:
            writer.write(SETTINGS_ACK)
        elif kind == 1 and flags & 1:
            writer.close()
            return data


def _request(payload: bytes, more: dict[str, str]) -> bytes:
    """A call of SAY, as frames."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": SAY,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-accept-encoding": "gzip",
        **more,
    }
    block = b"".join(_literal(name, value) for name, value in headers.items())
    message = b"\x00" + struct.pack(">I", len(payload)) + payload
    return _framed(1, 0x4, block) + _framed(0, 0x1, message)


def _framed(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + (1).to_bytes(4) + payload


def _literal(name: str, value: str) -> bytes:
    """A header that enters no table, by HPACK."""
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
