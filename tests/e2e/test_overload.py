"""An endpoint that hangs: what is for it waits within its bound, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import pytest
import restate_client
from restate_sdk import Endpoint

from tests.e2e.processes import World, wait_for
from tests.sdk.gen.shop.v1.shop_pb import PayRequest
from tests.sdk.gen.shop.v1.shop_restate import CheckoutClient
from tests.sdk.handlers import Checkout

pytestmark = pytest.mark.e2e

CREDITS, BOUND = 5, 20


async def _send(http: httpx.AsyncClient, number: int) -> httpx.Response:
    return await http.post("/bench.v1.Plain/Do", json={"text": str(number)}, headers={"restate-send": "true"})


async def _pay(ctx: Any) -> str:
    return await ctx.run("pay", lambda: "paid", returns=str)  # type: ignore[no-any-return]


async def test_an_endpoint_that_hangs_keeps_nobody_else_from_work(world: World) -> None:
    world.runtime(RESTATE_SESSION_CREDITS=str(CREDITS), RESTATE_MAX_QUEUED_INVOCATIONS=str(BOUND))
    hanging = world.endpoint()
    world.register()
    running = await Endpoint(Checkout(_pay)).dial_async(f"127.0.0.1:{world.admin}")
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{world.http}") as http,
            restate_client.connect(f"127.0.0.1:{world.ingress}") as caller,
        ):
            hanging.running.send_signal(signal.SIGSTOP)
            accepted: list[str] = []
            while (answer := await _send(http, len(accepted))).status_code == 200:
                accepted.append(answer.headers["restate-invocation-id"])
                assert (await CheckoutClient(caller).pay(PayRequest())).text == "paid"
            assert answer.status_code == 429
            assert "max_queued_invocations" in answer.json()["message"]
            assert int(answer.headers["retry-after"]) >= 1
            assert BOUND <= len(accepted) <= BOUND + CREDITS
            paid = await asyncio.gather(*(CheckoutClient(caller).pay(PayRequest()) for _ in range(100)))
            assert {one.text for one in paid} == {"paid"}
            hanging.running.send_signal(signal.SIGCONT)
            done = {f"leaf {number}" for number in range(len(accepted))}
            await asyncio.to_thread(wait_for, lambda: done <= set(world.marks()), "all that was accepted to run")
            assert (await _send(http, len(accepted))).status_code == 200
    finally:
        await running.stop(0)
