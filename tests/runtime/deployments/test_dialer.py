"""Dialling endpoints: addresses that are none, peers that are none, and going on whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from restate_protocol.status import StatusCode
from restate_runtime.deployments import dialer
from restate_runtime.deployments.dialer import Dialer, Write, check_address, dial
from restate_runtime.deployments.errors import DeploymentError


@pytest.mark.parametrize("address", ["", "nonsense", "localhost:", ":9080", "localhost:99999", "http://localhost:9080"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(DeploymentError, match="give host:port") as caught:
        check_address(address)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("address", ["localhost:9080", "127.0.0.1:1", "[::1]:9080"])
def test_an_address_is_taken(address: str) -> None:
    check_address(address)


async def test_a_server_that_is_no_endpoint_is_told_apart() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with pytest.raises(DeploymentError, match="no service endpoint"):
        await _listen(f"127.0.0.1:{port}")
    await server.stop(None)


async def _listen(address: str) -> None:
    async with dial(address) as (_, messages):
        async for _ in messages:
            raise AssertionError("it says nothing")


async def test_whatever_breaks_the_dialler_dials_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "BACK_OFF_MIN_S", 0.0)
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    talks: asyncio.Queue[None] = asyncio.Queue()

    async def talk(_write: Write, _messages: AsyncIterator[bytes]) -> None:
        talks.put_nowait(None)
        raise KeyError("a bug")

    one = Dialer(f"127.0.0.1:{port}", talk)
    one.start()
    for _ in range(3):
        await talks.get()
    assert "a bug" in one.last_error
    await one.stop()
    await server.stop(None)
