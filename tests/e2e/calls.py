"""Calls of the test app that outlive a killed runtime: the same idempotency key until there is an answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import restate_client
from restate_client.errors import IngressError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb

from tests.e2e.processes import PATIENCE_S, World


async def persist(world: World, client_name: str, method: str, request: Any, idempotency_key: str | None) -> Any:
    """Calls until the answer is there, whatever dies meanwhile.

    Raises:
        TerminalError: the handler said so.
        AssertionError: there was no answer in time.
    """
    from gen.bench.v1 import bench_restate  # type: ignore[import-not-found]

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            async with restate_client.connect(f"127.0.0.1:{world.ingress}") as connection:
                client = getattr(bench_restate, client_name)(connection)
                return await getattr(client, method)(request, idempotency_key=idempotency_key)
        except IngressError as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"no answer in {PATIENCE_S:g} s") from error
            await asyncio.sleep(0.05)


async def plain(world: World, text: str, count: int = 0, key: str = "only") -> Any:
    """Plain.Do with an idempotency key."""
    from gen.bench.v1.bench_pb import DoRequest  # type: ignore[import-not-found]

    return await persist(world, "PlainClient", "do", DoRequest(text=text, count=count), key)


async def add(world: World, object_key: str, key: str) -> Any:
    """Object.Do, one more, with an idempotency key."""
    from gen.bench.v1.bench_pb import KeyedRequest

    request = KeyedRequest(key=object_key, text="add", count=1)
    return await persist(world, "ObjectClient", "do", request, key)


async def start_flow(world: World, key: str) -> str:
    """Sends Flow.Run and gives its invocation id."""
    from gen.bench.v1.bench_pb import KeyedRequest
    from gen.bench.v1.bench_restate import FlowClient  # type: ignore[import-not-found]

    async with restate_client.connect(f"127.0.0.1:{world.ingress}") as connection:
        handle = await FlowClient(connection).run.send(KeyedRequest(key=key))
        return str(handle.invocation_id)


async def tell(world: World, key: str, text: str) -> None:
    """Resolves the promise of a flow."""
    from gen.bench.v1.bench_pb import KeyedRequest

    await persist(world, "FlowClient", "tell", KeyedRequest(key=key, text=text), "tell")


async def attach(world: World, invocation_id: str) -> str:
    """The text that a flow ends with, by the plain gRPC method that any client has."""
    from gen.bench.v1.bench_pb import DoResponse

    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.ingress}") as channel:
        call: Any = channel.unary_unary("/restate.ingress.v1.Ingress/Attach")
        request = ingress_pb.AttachRequest(invocation_id=invocation_id).to_binary()
        response = ingress_pb.AttachResponse.from_binary(await call(request))
        return str(DoResponse.from_binary(response.payload).text)
