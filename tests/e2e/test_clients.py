"""The typed client outlives the runtime it calls: killed or stopped, and started again. Nobody calls twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import pytest
import restate_client
from restate_client import RetryPolicy, sync

from tests.e2e.processes import World, wait_for

pytestmark = pytest.mark.e2e

#: A runtime on a busy machine may take a while to be there again.
PATIENT = RetryPolicy(max_duration=timedelta(seconds=60))

Call: TypeAlias = Callable[[Callable[[Any], Any]], Awaitable[Any]]


@pytest.fixture(params=["session", "unary", "threads"])
async def call(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Call]:
    """Does something with a connection: one of each kind in turn."""
    address = f"127.0.0.1:{world.ingress}"
    async with AsyncExitStack() as stack:
        if request.param == "threads":
            blocking = stack.enter_context(sync.connect(address, retry=PATIENT))
            yield lambda work: asyncio.to_thread(work, blocking)
        else:
            session = request.param == "session"
            yield _awaited(
                await stack.enter_async_context(restate_client.connect(address, retry=PATIENT, session=session))
            )


def _awaited(connection: restate_client.Connection) -> Call:
    async def call(work: Callable[[Any], Any]) -> Any:
        return await work(connection)

    return call


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_calls_that_wait_finish_after_the_runtime_is_back(world: World, call: Call, end: str) -> None:
    from gen.bench.v1.bench_pb import DoRequest, KeyedRequest  # type: ignore[import-not-found]
    from gen.bench.v1.bench_restate import FlowClient, ObjectClient, PlainClient  # type: ignore[import-not-found]

    runtime = world.runtime()
    world.endpoint()
    world.register()
    run = asyncio.ensure_future(call(lambda on: FlowClient(on).run(KeyedRequest(key="f"))))
    nap = DoRequest(text="sleep", count=1500)
    naps = [
        asyncio.ensure_future(call(partial(lambda key, on: PlainClient(on).do(nap, idempotency_key=key), str(number))))
        for number in range(5)
    ]
    await asyncio.to_thread(wait_for, lambda: world.marks().count("end 0") == 5, "all calls to be on their way")
    await asyncio.to_thread(wait_for, lambda: "run" in world.marks(), "the workflow to run")
    await asyncio.to_thread(getattr(runtime, end))
    adding = asyncio.ensure_future(
        call(lambda on: ObjectClient(on).do(KeyedRequest(key="o", text="add", count=1), idempotency_key="o"))
    )
    await asyncio.to_thread(world.runtime)
    tell = KeyedRequest(key="f", text="hello")
    assert (await call(lambda on: FlowClient(on).tell(tell, idempotency_key="t"))).text == "ok"
    assert (await run).text == "hello"
    assert [(await one).count for one in naps] == [1500] * 5
    assert (await adding).count == 1
    assert world.marks().count("end 1") == 5


@pytest.mark.parametrize("call", ["unary", "threads"], indirect=True)
async def test_a_call_without_any_key_whose_invocation_is_known_is_attached_to(world: World, call: Call) -> None:
    """gRPC keeps what a call said before its connection was lost. Over a session the same comes as `accepted`."""
    from gen.bench.v1.bench_pb import DoRequest
    from gen.bench.v1.bench_restate import PlainClient

    runtime = world.runtime()
    world.endpoint()
    world.register()
    nap = DoRequest(text="sleep", count=1000)
    calling = asyncio.ensure_future(call(lambda on: PlainClient(on).do(nap)))
    await asyncio.to_thread(wait_for, lambda: "end 0" in world.marks(), "the call to be on its way")
    await asyncio.to_thread(runtime.kill)
    await asyncio.to_thread(world.runtime)
    assert (await calling).count == 1000
    listed = json.loads(world.cli("invocations", "list", "--json").stdout)
    assert len(listed) == 1, "it was called again, not attached to"


async def test_handles_by_key_find_what_somebody_else_started(world: World, call: Call) -> None:
    from gen.bench.v1.bench_pb import KeyedRequest
    from gen.bench.v1.bench_restate import FlowClient, ObjectClient

    world.runtime()
    world.endpoint()
    world.register()
    sent = await call(lambda on: FlowClient(on).run.send(KeyedRequest(key="f")))
    by_key = await call(_handle(lambda on: FlowClient(on).run.handle(key="f")))
    assert by_key.invocation_id is None
    assert (await call(lambda on: by_key.lookup())).invocation_id == sent.invocation_id
    assert await call(lambda on: by_key.output()) is None
    await call(lambda on: FlowClient(on).tell(KeyedRequest(key="f", text="hello")))
    assert (await call(lambda on: by_key.attach())).text == "hello"
    await call(lambda on: ObjectClient(on).do(KeyedRequest(key="o", text="add", count=2), idempotency_key="1"))
    added = await call(_handle(lambda on: ObjectClient(on).do.handle(key="o", idempotency_key="1")))
    assert (await call(lambda on: added.attach())).count == 2
    found = await call(lambda on: added.lookup())
    assert (found.service, found.handler, found.key, found.completed) == ("bench.v1.Object", "Do", "o", True)
    with pytest.raises(restate_client.AlreadyCompleted):
        await call(lambda on: added.cancel())


def _handle(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Making a handle asks nobody: there is nothing to await, on any connection."""

    async def given(handle: Any) -> Any:
        return handle

    def call(on: Any) -> Any:
        return make(on) if isinstance(on, sync.BlockingConnection) else given(make(on))

    return call
