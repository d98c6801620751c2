"""Time in the engine: stalled attempts, execution timeouts, retries of runs, and what a restart makes of them."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode
from restate_runtime.core.records import Status
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Clock, Rig, Scripted, rig, until

BOOM = j.Failure(2, "boom")


def fail_run(endpoint: Scripted, start: pb.Start, retry_at_ms: int, *, durable: bool) -> None:
    endpoint.say(
        pb.RunFailure(
            invocation_id=start.invocation_id,
            epoch=start.epoch,
            command=1,
            failure=j.failure_to_pb(BOOM),
            first_try_at_ms=1,
            retry_at_ms=retry_at_ms,
            durable_timer=durable,
        )
    )


async def told(endpoint: Scripted, start: pb.Start) -> j.Entry:
    return j.decode((await endpoint.next(pb.Notify, start.invocation_id)).entry)


def pass_time(one: Rig, ms: int) -> None:
    one.clock.now_ms += ms
    one.engine.clock_moved()


async def test_a_failed_run_is_committed_before_the_endpoint_hears_that_it_may_try_again() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit()
        start = await endpoint.started()
        endpoint.command(start, j.Run("step"))
        for failures in (1, 2):
            fail_run(endpoint, start, one.clock.now_ms + 10, durable=False)
            assert await told(endpoint, start) == j.RunFailed(1, failures, BOOM, 1, one.clock.now_ms + 10)
        assert len(await one.journal(accepted.invocation_id)) == 4
        assert await one.store.timers(None, 10) == []


async def test_the_wait_of_a_run_goes_on_over_suspension_and_restart() -> None:
    store, clock = MemoryStore(), Clock()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        await one.submit(wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.Run("step"))
        fail_run(endpoint, start, clock.now_ms + 60_000, durable=True)
        counted = await told(endpoint, start)
        endpoint.suspend(start, aw.OnCommand(1))
        await until(lambda: not one.engine.world.invocations)
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        pass_time(one, 59_999)
        assert not one.engine.world.invocations
        pass_time(one, 1)
        again = await endpoint.started()
        assert [j.decode(entry) for entry in again.entries[1:]] == [j.Run("step"), counted, j.RunDue(1, 1)]


async def test_a_failure_of_no_run_or_without_a_reason_ends_what_said_it() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit()
        start = await endpoint.started()
        fail_run(endpoint, start, 1, durable=False)
        assert "not a run" in (await endpoint.next(pb.Abort)).reason
        other = await one.submit()
        start = await endpoint.started(other.invocation_id)
        endpoint.say(pb.RunFailure(invocation_id=start.invocation_id, epoch=start.epoch, command=1))
        await until(lambda: not one.dispatcher.all_sessions())


async def test_an_attempt_that_says_nothing_is_aborted_and_tried_again() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        await one.submit("Tuned", "Watched", "k")  # 2 s and then 3 s
        start = await endpoint.started()
        one.clock.now_ms += 4_000
        endpoint.command(start, j.Run("progress"))
        await until(lambda: one.engine.world.invocations[start.invocation_id].commands == 2)
        one.clock.now_ms += 4_999
        await one.engine.sweep()
        assert one.engine.live_status(start.invocation_id) == "running"
        one.clock.now_ms += 1
        await one.engine.sweep()
        assert "abort_timeout (3 s)" in (await endpoint.next(pb.Abort)).reason
        assert one.engine.live_status(start.invocation_id) == "backing-off"
        pass_time(one, 500)
        assert (await endpoint.started()).epoch == 2


async def test_attempts_that_wait_for_an_endpoint_are_not_aborted() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint(credits=1)
        await one.submit("Tuned", "Watched", "busy")
        waiting = await one.submit("Tuned", "Watched", "waiting")
        first = await endpoint.started()
        one.clock.now_ms += 3_600_000
        endpoint.end(first)
        second = await endpoint.started(waiting.invocation_id)
        await one.engine.sweep()
        assert one.engine.live_status(second.invocation_id) == "running"


async def test_an_overdue_invocation_is_told_and_killed_when_it_does_not_end() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit("Tuned", "Bounded", "k")  # 10 s and then 3 s
        start = await endpoint.started()
        pass_time(one, 10_000)
        cancelled = await told(endpoint, start)
        assert isinstance(cancelled, j.Cancelled)
        assert cancelled.code == StatusCode.DEADLINE_EXCEEDED
        await until(lambda: one.engine.quiet)
        pass_time(one, 3_000)
        await endpoint.next(pb.Abort)
        assert accepted.result is not None
        result = await accepted.result
        assert isinstance(result, j.Failure)
        assert result.code == StatusCode.DEADLINE_EXCEEDED


async def test_a_deadline_passes_while_the_runtime_is_down() -> None:
    store, clock = MemoryStore(), Clock()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit("Tuned", "Bounded", "k", wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.Sleep(10**12))
        endpoint.suspend(start, aw.OnCommand(1))
        await until(lambda: not one.engine.world.invocations)
    clock.now_ms += 3_600_000
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        start = await endpoint.started(accepted.invocation_id)
        assert isinstance(j.decode(start.entries[-1]), j.Cancelled)
        endpoint.end(start)
        await until(lambda: not one.engine.world.invocations)
        record = await store.invocation(accepted.invocation_id)
        assert record is not None
        assert record.status is Status.COMPLETED


async def test_what_ends_in_time_leaves_no_timer_behind() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit("Tuned", "Bounded", "k")
        assert len(await one.store.timers(None, 10)) == 1
        endpoint.end(await endpoint.started())
        assert accepted.result is not None
        await accepted.result
        assert await one.store.timers(None, 10) == []
        pass_time(one, 10_000)
        assert one.engine.quiet  # it did not fire: nothing is read, nothing decided


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_journal_goes_before_the_result_that_it_led_to(restarts: bool) -> None:
    store, clock = MemoryStore(), Clock()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit("Tuned", "Kept", "k", idempotency_key="i")  # journal 5 s, result 20 s
        endpoint.end(await endpoint.started(), j.Value(b"r"))
        assert accepted.result is not None
        await accepted.result
        if not restarts:
            await _retire(one, accepted.invocation_id)
    if restarts:
        async with rig(store, clock) as one:
            await one.endpoint()
            await _retire(one, accepted.invocation_id)


async def _retire(one: Rig, invocation_id: bytes) -> None:
    for passes_ms, entries, known in ((4_999, 2, True), (1, 0, True), (14_999, 0, True), (1, 0, False)):
        one.clock.now_ms += passes_ms
        await one.engine.sweep()
        await until(lambda: one.engine.quiet)
        assert len(await one.journal(invocation_id)) == entries
        assert (await one.store.invocation(invocation_id) is not None) is known
        if known:
            again = await one.submit("Tuned", "Kept", "k", idempotency_key="i")
            assert again.result is not None
            assert await again.result == j.Value(b"r")


async def test_state_and_promises_of_a_workflow_go_with_it_and_those_of_an_object_stay() -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        for service, handler in (("Flow", "Run"), ("Object", "Do")):
            accepted = await one.submit(service, handler, "k")
            start = await endpoint.started()
            endpoint.command(start, j.SetState(1, b"kept"))
            if service == "Flow":
                endpoint.command(start, j.CompletePromise(1, j.Value(b"told")))
            endpoint.end(start)
            assert accepted.result is not None
            await accepted.result
        for passes_ms, there in ((86_399_999, True), (1, False)):
            one.clock.now_ms += passes_ms
            await one.engine.sweep()
            await until(lambda: one.engine.quiet)
            assert bool(await one.store.state("bench.v1.Flow", "k")) is there
            assert bool((await one.store.promises("bench.v1.Flow", "k")).results) is there
        assert await one.store.state("bench.v1.Object", "k") == {1: b"kept"}
        await one.submit("Flow", "Run", "k", wait=False)
        assert (await endpoint.started()).state == []
