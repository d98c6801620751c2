"""The HTTP ingress over a real socket: ports, hanging up, draining."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import Value
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.errors import ListenError, PortInUse
from restate_runtime.ingress.http import HttpIngress
from restate_runtime.ingress.waiting import Waiting

SAY = "/shop.v1.Echo/Say"
FIRST = (1).to_bytes(16, "big")


@pytest.fixture
def ingress(routes: Any, engine: Any) -> HttpIngress:
    return HttpIngress(Admission(routes, Limits(max_message_bytes=100_000)), engine, Waiting())


@pytest.fixture
async def port(ingress: HttpIngress) -> AsyncIterator[int]:
    yield await ingress.start("127.0.0.1", 0)
    await ingress.stop(0)


@pytest.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


async def test_a_call_over_the_wire(client: httpx.AsyncClient) -> None:
    for _ in range(2):  # the second on the same connection
        reply = await client.post(SAY, json={"text": "hi"})
        assert (reply.status_code, reply.json()) == (200, {"text": "hi"})
        assert "date" in reply.headers


async def test_a_body_in_parts_is_put_together(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"text":'
        yield b'"hi"}'

    reply = await client.post(SAY, content=parts(), headers={"content-type": "application/json"})
    assert reply.json() == {"text": "hi"}


async def test_a_body_in_parts_has_the_same_limit(client: httpx.AsyncClient, engine: Any) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"a" * 10_000

    reply = await client.post(SAY, content=parts(), headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (413, "resource_exhausted")
    assert engine.submissions == []


async def test_a_caller_that_hangs_up_is_released(port: int, engine: Any) -> None:
    engine.answer = lambda _: None
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % SAY.encode())
    writer.write(b"content-length: 2\r\n\r\n{}")
    await engine.accepted.get()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert await engine.closed.get() == FIRST
    assert await reader.read() == b""


async def test_a_stop_awaits_what_is_in_flight(ingress: HttpIngress, client: httpx.AsyncClient, engine: Any) -> None:
    engine.answer = lambda _: None
    call = asyncio.create_task(client.post(SAY, json={}))
    accepted = await engine.accepted.get()
    stopping = asyncio.create_task(ingress.stop(20))
    await asyncio.sleep(0)
    accepted.result.set_result(Value(b""))
    assert (await call).status_code == 200
    await stopping
    with pytest.raises(httpx.ConnectError):
        await client.post(SAY, json={})


async def test_a_stop_ends_what_lasts_longer_than_the_grace(
    ingress: HttpIngress, client: httpx.AsyncClient, engine: Any
) -> None:
    engine.answer = lambda _: None
    call = asyncio.create_task(client.post(SAY, json={}))
    await engine.accepted.get()
    await ingress.stop(0)
    with pytest.raises(httpx.TransportError):
        await call
    assert await engine.closed.get() == FIRST


async def test_idle_connections_do_not_hold_up_a_stop(ingress: HttpIngress, client: httpx.AsyncClient) -> None:
    await client.post(SAY, json={})
    await ingress.stop(20)


async def test_a_taken_port_is_a_clear_error(port: int, routes: Any, engine: Any) -> None:
    other = HttpIngress(Admission(routes, Limits()), engine, Waiting())
    with pytest.raises(PortInUse, match=f"the HTTP ingress cannot listen on 127.0.0.1:{port}: the port is in use"):
        await other.start("127.0.0.1", port)


async def test_an_address_of_another_machine_is_a_clear_error(routes: Any, engine: Any) -> None:
    other = HttpIngress(Admission(routes, Limits()), engine, Waiting())
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:0: "):
        await other.start("192.0.2.1", 0)


async def test_no_signal_handler_is_installed(ingress: HttpIngress) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    await ingress.start("127.0.0.1", 0)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    await ingress.stop(0)


async def test_the_id_reaches_the_caller_in_a_header(client: httpx.AsyncClient) -> None:
    reply = await client.post(SAY, json={})
    assert reply.headers["restate-invocation-id"] == invocation_id_text(FIRST)
