"""An endpoint that dials in and is refused asks again seldom, and says why once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from restate_sdk import Endpoint
from restate_sdk.session import Session
from restate_sdk.transport import dial
from restate_sdk.transport.options import RUNTIME_SESSION

from tests.sdk.handlers import Checkout


class _Refuses(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self.calls = 0
        self.called = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def refuse(_: Any, context: Any) -> None:
            self.calls += 1
            self.called.set()
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the deployment would break what is there")

        if handler_call_details.method != RUNTIME_SESSION:
            return None
        anything: Any = refuse
        return grpc.stream_stream_rpc_method_handler(anything)


async def _never_called(*_: Any) -> Any:
    raise AssertionError("no attempt is sent to a refused endpoint")


async def test_a_refused_endpoint_waits_long_and_says_why_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    async def note_and_go_on(wait: Any, seconds: float) -> None:
        task = asyncio.ensure_future(wait)
        waits.append(seconds)
        await asyncio.sleep(0)
        task.cancel()

    monkeypatch.setattr(dial, "_at_most", note_and_go_on)
    refusing = _Refuses()
    deployment = Endpoint(Checkout(_never_called)).deployment
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((refusing,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with caplog.at_level(logging.WARNING, logger="restate_sdk"):
        dialler = dial.Dialler(f"127.0.0.1:{port}", lambda: Session(deployment, speaks_first=True))
        while len(waits) < 3:
            await asyncio.sleep(0)
        await dialler.stop(0)
    await server.stop(None)
    assert all(seconds >= dial.LONGEST_WAIT / 2 for seconds in waits)
    assert len([record for record in caplog.records if "would break" in record.getMessage()]) == 1
