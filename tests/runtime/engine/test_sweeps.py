"""Looking for what is past its time, again and again, without being told to."""

from __future__ import annotations

import asyncio

from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import CreateInvocation
from restate_runtime.core.records import Invocation, Status
from restate_runtime.engine.sweeps import EXPIRED_MAX, SweepTimes
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import rig, until

OFTEN = SweepTimes(retention_s=0.001, abort_s=0.001)


def old(number: int) -> Invocation:
    return Invocation(
        number.to_bytes(16, "big"),
        "bench.v1.Plain",
        "Do",
        None,
        HandlerMode.SERVICE,
        1,
        status=Status.COMPLETED,
        completed_ms=1,
        result=j.result_to_pb(j.Void()).to_binary(),
        expires_ms=1,
    )


async def test_what_is_past_its_retention_goes_by_itself_however_much_it_is() -> None:
    store = MemoryStore()
    await store.open()
    await store.commit([CreateInvocation(old(number)) for number in range(2 * EXPIRED_MAX + 1)])
    async with rig(store, sweep_times=OFTEN) as one:
        while await one.store.expired(one.clock.now_ms, 1):
            await asyncio.sleep(0)
        await until(lambda: not one.engine.world.invocations)


async def test_what_stands_still_is_found_by_itself() -> None:
    async with rig(MemoryStore(), sweep_times=OFTEN) as one:
        endpoint = await one.endpoint()
        await one.submit("Tuned", "Watched", "k")
        start = await endpoint.started()
        (session,) = one.dispatcher.all_sessions()
        await until(lambda: session.attempts[start.invocation_id].delivered)
        one.clock.now_ms += 5_000
        assert "abort_timeout" in (await endpoint.next(pb.Abort)).reason
