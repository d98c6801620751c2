"""Connections over TLS. The certificate is the tests' own, for the name runtime.test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import restate_client
from protobuf.wkt.google.protobuf.wrappers_pb import StringValue
from restate_client import Tls, sync

from tests.client.fake_ingress import SESSION

HERE = Path(__file__).parent / "tls"
CERTIFICATE = (HERE / "cert.pem").read_bytes()
KEY = (HERE / "key.pem").read_bytes()


async def echo(data: bytes, context: object) -> bytes:
    return data


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method == SESSION:
            return None
        behaviour: Any = echo
        return grpc.unary_unary_rpc_method_handler(behaviour)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    number = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(KEY, CERTIFICATE)]))
    await server.start()
    yield number
    await server.stop(None)


async def test_a_trusted_runtime_is_called_over_tls(port: int, echo_client: Any) -> None:
    tls = Tls(root_certificates=CERTIFICATE, server_name="runtime.test")
    async with restate_client.connect(f"127.0.0.1:{port}", tls=tls) as connection:
        assert await echo_client(connection).say(StringValue(value="hi")) == StringValue(value="hi")
    with sync.connect(f"127.0.0.1:{port}", tls=tls) as blocking:
        reply = await asyncio.to_thread(echo_client(blocking).say, StringValue(value="hi"))
    assert reply == StringValue(value="hi")


@pytest.fixture
async def mutual_port() -> AsyncIterator[int]:
    """A server that wants to know its callers."""
    credentials = grpc.ssl_server_credentials([(KEY, CERTIFICATE)], CERTIFICATE, require_client_auth=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    number = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield number
    await server.stop(None)


async def test_a_client_shows_its_certificate(mutual_port: int, echo_client: Any) -> None:
    known = Tls(CERTIFICATE, private_key=KEY, certificate_chain=CERTIFICATE, server_name="runtime.test")
    async with restate_client.connect(f"127.0.0.1:{mutual_port}", tls=known) as connection:
        assert await echo_client(connection).say(StringValue(value="hi")) == StringValue(value="hi")
    stranger = Tls(CERTIFICATE, server_name="runtime.test")
    async with restate_client.connect(f"127.0.0.1:{mutual_port}", tls=stranger, retry=None) as connection:
        with pytest.raises(restate_client.ConnectionFailed):
            await echo_client(connection).say(StringValue())


async def test_a_certificate_for_another_name_is_refused(port: int, echo_client: Any) -> None:
    tls = Tls(CERTIFICATE, server_name="elsewhere.test")
    async with restate_client.connect(f"127.0.0.1:{port}", tls=tls) as connection:
        with pytest.raises(restate_client.ConnectionFailed, match=r"Hostname Verification Check failed") as caught:
            await echo_client(connection).say(StringValue())
    assert caught.value.tries == 1


def test_half_a_client_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="both private_key and certificate_chain"):
        Tls(private_key=KEY)


async def test_a_runtime_that_is_not_trusted_is_not_called(port: int, echo_client: Any) -> None:
    async with restate_client.connect(f"127.0.0.1:{port}", tls=Tls(server_name="runtime.test")) as connection:
        with pytest.raises(restate_client.ConnectionFailed, match=r"(?i)certificate"):
            await echo_client(connection).say(StringValue())


def test_keys_are_not_printed() -> None:
    assert "PRIVATE" not in repr(Tls(private_key=KEY, certificate_chain=CERTIFICATE))
