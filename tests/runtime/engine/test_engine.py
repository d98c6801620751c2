"""The engine on a store with a scripted endpoint: commit before act, loading, sessions, recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_protocol.status import StatusCode
from restate_runtime.core.decision import Write
from restate_runtime.core.records import Status
from restate_runtime.engine.api import Submission
from restate_runtime.store.base import StoreUnavailable
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Clock, Rig, rig, until


class GatedStore(MemoryStore):
    """A memory store whose commits wait at a gate, or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def commit(self, writes: Sequence[Write]) -> None:
        await self.gate.wait()
        if self.broken:
            raise StoreUnavailable("the disk is gone")
        await super().commit(writes)


async def _status(one: Rig, invocation_id: bytes) -> Status | None:
    record = await one.store.invocation(invocation_id)
    return None if record is None else record.status


async def test_a_call_goes_to_the_endpoint_and_its_result_to_the_caller() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        start = await endpoint.started()
        assert (start.service, start.handler, start.epoch, start.journal_length) == ("bench.v1.Plain", "Do", 1, 1)
        endpoint.end(start, j.Value(b"reply"))
        assert accepted.result is not None
        assert await accepted.result == j.Value(b"reply")
        assert await one.journal(accepted.invocation_id) == [j.Input(b"in"), j.Output(j.Value(b"reply"))]


async def test_nothing_leaves_before_its_commit() -> None:
    store = GatedStore()
    async with rig(store) as one:
        endpoint = await one.endpoint()
        store.gate.clear()
        submitting = asyncio.create_task(one.submit())
        await until(lambda: bool(one.engine.world.invocations))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not submitting.done()
        assert endpoint.inbox.empty()
        store.gate.set()
        await submitting
        start = await endpoint.started()
        endpoint.command(start, j.Run("step"))
        store.gate.clear()
        endpoint.say(
            pb.RunProposal(invocation_id=start.invocation_id, epoch=1, command=1, result=j.result_to_pb(j.Value(b"1")))
        )
        await until(lambda: 1 in one.engine.world.invocations[start.invocation_id].done)
        for _ in range(20):
            await asyncio.sleep(0)
        assert endpoint.inbox.empty()
        store.gate.set()
        assert (await endpoint.next(RunAck)).command == 1


async def test_a_failed_commit_acknowledges_nothing_and_stops_the_engine() -> None:
    store = GatedStore()
    async with rig(store) as one:
        await one.endpoint()
        store.broken = True
        with pytest.raises(TerminalError, match="the disk is gone") as caught:
            await one.submit()
        assert caught.value.code is StatusCode.UNAVAILABLE
        with pytest.raises(StoreUnavailable):
            await one.engine.failed
        with pytest.raises(TerminalError, match="stopping"):
            await one.submit()


async def test_work_waits_for_an_endpoint_and_for_credit() -> None:
    async with rig(MemoryStore()) as one:
        first = await one.endpoint(credits=1)
        accepted = [await one.submit() for _ in range(3)]
        start = await first.started()
        assert first.inbox.empty()
        assert one.engine.live_status(accepted[0].invocation_id) == "running"
        assert one.engine.live_status(accepted[1].invocation_id) == "ready"
        first.end(start)
        second = await first.started()
        first.hang_up()
        await until(lambda: not one.dispatcher.all_sessions())
        assert one.engine.live_status(accepted[1].invocation_id) == "backing-off"
        other = await one.endpoint()
        third = await other.started()
        assert third.invocation_id == accepted[2].invocation_id
        one.clock.now_ms += 500
        again = await other.started(second.invocation_id)
        assert (again.epoch, again.retry_count) == (2, 1)


async def test_an_attempt_that_was_not_confirmed_goes_to_the_next_session_at_once() -> None:
    async with rig(MemoryStore()) as one:
        first = await one.endpoint()
        await one.submit()
        await first.next(pb.Start)
        first.hang_up()
        await until(lambda: not one.dispatcher.all_sessions())
        second = await one.endpoint()
        assert (await second.started()).retry_count == 0


async def test_a_suspended_invocation_leaves_memory_and_comes_back_when_it_is_due() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.Sleep(one.clock.now_ms + 100))
        endpoint.suspend(start, aw.OnCommand(1))
        await until(lambda: not one.engine.world.invocations)
        assert await _status(one, accepted.invocation_id) is Status.SUSPENDED
        one.clock.now_ms += 100
        again = await endpoint.started()
        assert [j.decode(entry) for entry in again.entries][-1] == j.Completion(1, j.Void())
        endpoint.end(again)
        await until(lambda: not one.engine.world.invocations)
        assert await _status(one, accepted.invocation_id) is Status.COMPLETED


async def test_timers_beyond_those_in_memory_fire_too() -> None:
    async with rig(MemoryStore(), timers_in_memory=1) as one:
        endpoint = await one.endpoint()
        for delay in (30, 10, 50, 20, 40):
            await one.submit(wait=False, delay_ms=delay)
        started = []
        for _ in range(5):
            one.clock.now_ms += 10
            start = await endpoint.started()
            started.append(start.invocation_id)
            endpoint.end(start)
        assert len(set(started)) == 5


async def test_state_reaches_the_next_handler_of_the_key() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit("Object", "Do", "k")
        await one.submit("Object", "Do", "k")
        first = await endpoint.started()
        assert first.state == []
        endpoint.command(first, j.SetState(1, b"\x08\x05"))
        endpoint.command(first, j.SetState(2, b""))
        endpoint.command(first, j.ClearState(2))
        endpoint.end(first)
        second = await endpoint.started()
        assert [(state.number, state.value) for state in second.state] == [(1, b"\x08\x05")]
        endpoint.command(second, j.ClearAllState())
        await one.submit("Object", "Look", "k")
        look = await endpoint.started()
        assert look.handler == "Look"
        assert look.state == []


async def test_a_notification_that_comes_before_the_start_left_is_in_its_journal() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint(credits=1)
        await one.submit()
        busy = await endpoint.started()
        waiting = await one.submit(wait=False)
        await one.engine.complete_awakeable(ids.awakeable_id_text(waiting.invocation_id, 1), j.Value(b"v"))
        endpoint.end(busy)
        start = await endpoint.started(waiting.invocation_id)
        assert start.journal_length == 2
        assert j.decode(start.entries[1]) == j.Signal(1, j.Value(b"v"))


async def test_what_an_awakeable_was_made_for_is_known_once_it_is_recorded() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        name = ids.awakeable_id_text(accepted.invocation_id, 1)
        assert await one.engine.awakeable_type(name) is None
        start = await endpoint.started()
        endpoint.command(start, j.Awakeable(1, "bench.v1.DoRequest"))
        endpoint.end(start)
        assert accepted.result is not None
        await accepted.result
        known = await one.engine.awakeable_type(name)
        assert known == (one.registry.deployments()[0].id, "bench.v1.DoRequest")
        with pytest.raises(TerminalError, match="not an awakeable id"):
            await one.engine.awakeable_type("awk_nonsense")


async def test_an_attempt_that_nobody_confirms_in_time_counts_as_tried() -> None:
    async with rig(MemoryStore(), delivery_timeout_s=0.0) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        await endpoint.next(pb.Start)
        await until(lambda: one.engine.live_status(accepted.invocation_id) == "backing-off")
        record = one.engine.world.invocations[accepted.invocation_id].record
        assert record.retry_count == 1
        assert b"were not confirmed" in (record.last_failure or b"")


async def test_a_long_journal_comes_in_parts() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit()
        start = await endpoint.started()
        for number in range(1, 6):
            endpoint.command(start, j.Run("big"))
            endpoint.say(
                pb.RunProposal(
                    invocation_id=start.invocation_id,
                    epoch=1,
                    command=number,
                    result=j.result_to_pb(j.Value(b"x" * 400_000)),
                )
            )
        endpoint.fail(start, retry_after_ms=0)
        again = await endpoint.started()
        assert again.journal_length == 11
        entries = list(again.entries)
        while len(entries) < again.journal_length:
            entries += (await endpoint.next(pb.JournalPart)).entries
        assert [type(j.decode(entry)) for entry in entries[1:]] == [j.Run, j.Completion] * 5


async def test_a_callee_completes_its_cold_caller() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        caller = await one.submit(wait=False)
        start = await endpoint.started()
        callee = ids.child_invocation_id(caller.invocation_id, 1)
        endpoint.command(start, j.Call("bench.v1.Plain", "Do", None, b"p", callee))
        endpoint.suspend(start, aw.OnCommand(1))
        child = await endpoint.started(callee)
        await until(lambda: caller.invocation_id not in one.engine.world.invocations)
        endpoint.end(child, j.Value(b"r"))
        again = await endpoint.started(caller.invocation_id)
        assert j.decode(again.entries[-1]) == j.Completion(1, j.Value(b"r"))


async def test_a_promise_wakes_a_cold_workflow() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        run = await one.submit("Flow", "Run", "k", wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.GetPromise(1))
        endpoint.suspend(start, aw.OnCommand(1))
        await until(lambda: not one.engine.world.invocations)
        one.engine.world.promises.clear()
        await one.submit("Flow", "Tell", "k")
        tell = await endpoint.started()
        endpoint.command(tell, j.CompletePromise(1, j.Value(b"v")))
        again = await endpoint.started(run.invocation_id)
        assert j.decode(again.entries[-1]) == j.Completion(1, j.Value(b"v"))


async def test_a_queue_of_cold_invocations_is_served_in_order() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        order = [(await one.submit("Object", "Do", "k", wait=False)).invocation_id for _ in range(4)]
        await until(lambda: len(one.engine.world.invocations) == 1)
        for expected in order:
            start = await endpoint.started()
            assert start.invocation_id == expected
            endpoint.end(start)


@pytest.mark.parametrize("twice", [True, False])
async def test_submissions_with_one_idempotency_key_share_an_invocation(twice: bool) -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        first, second = await asyncio.gather(
            one.submit(idempotency_key="k"), one.submit(idempotency_key="k", wait=twice)
        )
        assert first.invocation_id == second.invocation_id
        assert [first.new, second.new] == [True, False]
        start = await endpoint.started()
        endpoint.end(start, j.Value(b"once"))
        assert first.result is not None
        assert await first.result == j.Value(b"once")
        await until(lambda: not one.engine.world.invocations)
        later = await one.submit(idempotency_key="k")
        assert later.result is not None
        assert await later.result == j.Value(b"once")


async def test_attaching_before_and_after_the_end_gives_the_result() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        sent = await one.submit(wait=False)
        early = await one.engine.attach(sent.invocation_id)
        assert (await one.engine.known(sent.invocation_id)).result is None
        endpoint.end(await endpoint.started(), j.Value(b"r"))
        assert early.result is not None
        assert await early.result == j.Value(b"r")
        await until(lambda: not one.engine.world.invocations)
        late = await one.engine.attach(sent.invocation_id)
        assert late.result is not None
        assert await late.result == j.Value(b"r")
        assert (await one.engine.known(sent.invocation_id)).result == j.Value(b"r")
        with pytest.raises(TerminalError, match="never was"):
            await one.engine.attach(b"?" * 16)


async def test_a_caller_that_leaves_lets_the_invocation_go_on() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        accepted.close()
        start = await endpoint.started()
        endpoint.end(start)
        await until(lambda: not one.engine.world.invocations)
        assert await _status(one, accepted.invocation_id) is Status.COMPLETED


async def test_a_restart_takes_up_what_was_going_on() -> None:
    store, clock = MemoryStore(), Clock()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        holder = await one.submit("Object", "Do", "k", wait=False)
        queued = await one.submit("Object", "Do", "k", wait=False)
        delayed = await one.submit(wait=False, delay_ms=100)
        start = await endpoint.started()
        endpoint.command(start, j.Run("step"))
        await until(lambda: one.engine.world.invocations[holder.invocation_id].commands == 2)
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        again = await endpoint.started()
        assert (again.invocation_id, again.epoch) == (holder.invocation_id, start.epoch + 1)
        assert [j.decode(entry) for entry in again.entries] == [j.Input(b"in"), j.Run("step")]
        endpoint.end(again)
        following = await endpoint.started()
        assert following.invocation_id == queued.invocation_id
        clock.now_ms += 100
        late = await endpoint.started()
        assert late.invocation_id == delayed.invocation_id


async def test_stale_frames_after_an_abort_are_refused() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        start = await endpoint.started()
        await one.engine.kill(accepted.invocation_id)
        assert (await endpoint.next(pb.Abort)).epoch == 1
        endpoint.end(start, j.Value(b"too late"))
        assert accepted.result is not None
        assert await accepted.result == j.Failure(StatusCode.ABORTED, "killed")
        assert await one.journal(accepted.invocation_id) == [j.Input(b"in")]


@pytest.mark.parametrize(
    "junk", [b"\xff\xff\xff", b"", pb.EndpointBatch(frames=[pb.EndpointFrame()]).to_binary()], ids=range(3)
)
async def test_a_malformed_message_ends_the_session_and_loses_nothing(junk: bytes) -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        await endpoint.started()
        endpoint.outbox.put_nowait(junk)
        if not junk:
            assert one.dispatcher.all_sessions()  # an empty batch says nothing, and breaks nothing
            return
        await until(lambda: not one.dispatcher.all_sessions())
        healthy = await one.endpoint()
        one.clock.now_ms += 500
        start = await healthy.started(accepted.invocation_id)
        healthy.end(start, j.Value(b"all the same"))
        assert accepted.result is not None
        assert await accepted.result == j.Value(b"all the same")


async def test_an_entry_that_is_none_ends_the_session() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit()
        start = await endpoint.started()
        endpoint.say(pb.Command(invocation_id=start.invocation_id, epoch=start.epoch, entry=b"\xff"))
        await until(lambda: not one.dispatcher.all_sessions())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"protocol_min": 7, "protocol_max": 9}, "speaks versions 7 to 9"),
        ({"capabilities": ["telepathy"]}, "telepathy"),
        ({"credits": 0}, "no credits"),
        ({"deployment_id": "dep_other"}, "its manifest is that of"),
    ],
)
async def test_an_endpoint_that_does_not_fit_is_told_why(change: dict[str, object], says: str) -> None:
    from tests.runtime.engine.harness import Scripted

    async with rig(MemoryStore()) as one:
        endpoint = Scripted()
        hello = endpoint.greeting()
        for name, value in change.items():
            setattr(hello, name, value)
        endpoint.hello = hello
        await endpoint.connect(one.deployments)
        assert endpoint.session is not None
        with pytest.raises(TerminalError, match=says):
            await endpoint.session


async def test_what_nobody_serves_is_unimplemented() -> None:
    async with rig(MemoryStore()) as one:
        with pytest.raises(TerminalError) as caught:
            await one.engine.submit(Submission("no.Such", "Thing", None, b""), wait=True)
        assert caught.value.code is StatusCode.UNIMPLEMENTED


async def test_a_paused_invocation_is_reported_and_resumes() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        start = await endpoint.started()
        endpoint.fail(start, "cannot go on", behavior=pb.Failed.Behavior.PAUSE)
        await until(lambda: any(report.kind == "paused" for report in one.reports))
        assert await _status(one, accepted.invocation_id) is Status.PAUSED
        await one.engine.resume(accepted.invocation_id)
        again = await endpoint.started()
        endpoint.end(again)
        assert accepted.result is not None
        assert await accepted.result == j.Value(b"out")


async def test_killing_kills_the_calls_that_are_awaited_and_not_what_was_sent() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        caller = await one.submit()
        start = await endpoint.started()
        called = ids.child_invocation_id(caller.invocation_id, 1)
        sent = ids.child_invocation_id(caller.invocation_id, 2)
        endpoint.command(start, j.Call("bench.v1.Plain", "Do", None, b"p", called))
        endpoint.command(start, j.Send("bench.v1.Plain", "Do", None, b"p", sent))
        for _ in range(2):
            await endpoint.started()
        await one.engine.kill(caller.invocation_id)
        await until(lambda: called not in one.engine.world.invocations)
        assert await _status(one, called) is Status.COMPLETED
        assert await _status(one, sent) is Status.ACTIVE


class UnreadableStore(MemoryStore):
    """A memory store whose reads of state fail."""

    async def state(self, service: str, key: str) -> dict[int, bytes]:
        raise StoreUnavailable("the disk cannot be read")


async def test_a_read_that_fails_stops_the_engine_and_is_not_swallowed() -> None:
    async with rig(UnreadableStore()) as one:
        await one.endpoint()
        accepted = await one.submit("Object", "Do", "k")
        with pytest.raises(StoreUnavailable):
            await one.engine.failed
        assert accepted.result is not None
        with pytest.raises(TerminalError, match="cannot be read"):
            await accepted.result
