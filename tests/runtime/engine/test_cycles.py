"""Attempts that may be part of a wait cycle are asked to suspend, if their endpoint knows how."""

from __future__ import annotations

import asyncio

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.frames import SUSPENDS
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_protocol.status import StatusCode
from restate_runtime.deployments.dispatch import Dispatcher
from restate_runtime.deployments.sessions import Session
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Scripted, rig


def calls_its_own_key(endpoint: Scripted, start: pb.Start) -> None:
    callee = ids.child_invocation_id(start.invocation_id, 1)
    endpoint.command(start, j.Call("bench.v1.Object", "Do", "k", b"in", callee))


@pytest.mark.parametrize("others", [(), ("something new",)])
async def test_an_endpoint_with_the_feature_is_asked_and_the_call_ends(others: tuple[str, ...]) -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint(features=(*others, SUSPENDS))
        await one.submit("Object", "Do", "k", wait=False)
        start = await endpoint.started()
        calls_its_own_key(endpoint, start)
        asked = await endpoint.next(pb.Suspend)
        assert (asked.invocation_id, asked.epoch) == (start.invocation_id, 1)
        endpoint.suspend(start, aw.OnCommand(1))
        again = await endpoint.started()
        completion = j.decode(again.entries[-1])
        assert isinstance(completion, j.Completion)
        assert isinstance(completion.result, j.Failure)
        assert completion.result.code == StatusCode.ABORTED


async def test_an_endpoint_without_the_feature_is_not_sent_what_it_does_not_know() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit("Object", "Do", "k", wait=False)
        start = await endpoint.started()
        calls_its_own_key(endpoint, start)
        endpoint.command(start, j.Run("later", j.Value(b"1")))
        await endpoint.next(RunAck)
        assert not any(isinstance(frame, pb.Suspend) for frame in endpoint.held)


@pytest.mark.parametrize("reads_state", [True, False])
async def test_one_that_no_endpoint_has_yet_suspends_whenever_it_waits(reads_state: bool) -> None:
    dispatcher = Dispatcher()
    dispatcher.use_clock(lambda: 0)
    frame = pb.Start(invocation_id=bytes(16), epoch=2, inactivity_timeout_ms=60_000)
    session = Session("dep_1", 0, dispatcher)
    dispatcher.opened(session)
    if reads_state:
        dispatcher.expect(frame.invocation_id, frame.epoch)
    else:
        dispatcher.start("dep_1", frame)
    dispatcher.suspend(frame.invocation_id, 1)
    dispatcher.suspend(frame.invocation_id, 2)
    if reads_state:
        dispatcher.start("dep_1", frame)
    written: asyncio.Queue[bytes] = asyncio.Queue()
    session.credits = 1
    dispatcher.pump("dep_1")
    assert dispatcher.is_running(frame.invocation_id)
    writer = asyncio.create_task(session.write_forever(written.put))
    await written.get()
    writer.cancel()
    assert frame.inactivity_timeout_ms == 0
