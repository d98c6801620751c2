"""Steering invocations through the engine: what is cold is loaded, what was answered survives a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_protocol.status import StatusCode
from restate_runtime.core.records import Status
from restate_runtime.store.base import Store
from restate_runtime.store.memory import MemoryStore
from restate_runtime.store.sqlite import SqliteStore

from tests.runtime.engine.harness import Clock, Rig, Scripted, rig, until

OBJECT = "bench.v1.Object"
KILLED = j.Failure(StatusCode.ABORTED, "killed")
CANCELLED = j.Cancelled(StatusCode.CANCELLED, "cancelled")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "test.db")
    yield made
    await made.close()


async def _status(one: Rig, invocation_id: bytes) -> Status | None:
    record = await one.store.invocation(invocation_id)
    return None if record is None else record.status


async def _cold(one: Rig, *invocation_ids: bytes) -> None:
    """Waits until none of them is in memory."""
    await until(lambda: not any(found in one.engine.world.invocations for found in invocation_ids))


async def _registered(one: Rig) -> None:
    """The services are known, and no endpoint is there."""
    endpoint = await one.endpoint()
    endpoint.hang_up()
    await until(lambda: not one.dispatcher.all_sessions())


async def _call(
    endpoint: Scripted, start: pb.Start, number: int, key: str | None = None, *, await_it: bool = True
) -> bytes:
    """The attempt calls and suspends on the call; gives the callee's id."""
    callee = ids.child_invocation_id(start.invocation_id, number)
    service = "bench.v1.Plain" if key is None else OBJECT
    endpoint.command(start, j.Call(service, "Do", key, b"p", callee))
    if await_it:
        endpoint.suspend(start, aw.OnCommand(number))
    return callee


async def _refused(asked: Awaitable[object]) -> StatusCode:
    with pytest.raises(TerminalError) as caught:
        await asked
    return caught.value.code


async def test_a_cold_call_tree_is_killed_as_a_whole(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        root = await one.submit()
        found = [root.invocation_id]
        for _ in range(3):
            found.append(await _call(endpoint, await endpoint.started(found[-1]), 1))
        endpoint.suspend(await endpoint.started(found[-1]), aw.OnSignal("never"))
        await _cold(one, *found[1:])
        await one.engine.kill(root.invocation_id)
        assert [await _status(one, each) for each in found] == [Status.COMPLETED] * 4
        assert root.result is not None
        assert await root.result == KILLED


async def test_a_killed_tree_lets_go_of_its_key_also_where_a_call_waits_behind_its_own_caller(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        root = await one.submit(wait=False)
        holder = await _call(endpoint, await endpoint.started(root.invocation_id), 1, "k")
        start = await endpoint.started(holder)
        inner = await _call(endpoint, start, 1, "k", await_it=False)
        endpoint.suspend(start, aw.Group(aw.Combinator.FIRST_COMPLETED, (aw.OnCommand(1), aw.OnSignal("x"))))
        await _cold(one, root.invocation_id, holder, inner)
        stranger = await one.submit("Object", "Do", "k", wait=False)
        await one.engine.kill(root.invocation_id)
        endpoint.end(await endpoint.started(stranger.invocation_id))
        await until(lambda: one.engine.world.queues == {})
        assert await _status(one, inner) is Status.COMPLETED


async def test_a_cancellation_wakes_what_sleeps_and_stays_over_a_restart(store: Store) -> None:
    clock = Clock()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.Sleep(clock.now_ms + 10_000))
        endpoint.suspend(start, aw.OnCommand(1))
        await _cold(one, accepted.invocation_id)
        await one.engine.cancel(accepted.invocation_id)
        await endpoint.started()
    async with rig(store, clock) as one:
        endpoint = await one.endpoint()
        again = await endpoint.started()
        assert [j.decode(entry) for entry in again.entries][-1] == CANCELLED


async def test_a_running_attempt_is_notified_of_cancellations_and_signals(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(wait=False)
        await endpoint.started()
        await one.engine.cancel(accepted.invocation_id)
        assert j.decode((await endpoint.next(pb.Notify)).entry) == CANCELLED
        for value in (b"1", b"2"):
            await one.engine.send_signal(accepted.invocation_id, "go", j.Value(value))
            assert j.decode((await endpoint.next(pb.Notify)).entry) == j.Signal("go", j.Value(value))


async def test_a_signal_that_came_before_anybody_waits_is_kept(store: Store) -> None:
    async with rig(store) as one:
        await _registered(one)
        accepted = await one.submit(wait=False)
        await one.engine.send_signal(accepted.invocation_id, "go", j.Value(b"early"))
    async with rig(store) as one:
        endpoint = await one.endpoint()
        start = await endpoint.started()
        assert [j.decode(entry) for entry in start.entries] == [j.Input(b"in"), j.Signal("go", j.Value(b"early"))]


async def test_a_paused_invocation_stays_so_over_a_restart_and_resumes(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit("Object", "Do", "k", wait=False)
        start = await endpoint.started()
        endpoint.command(start, j.Run("a", j.Value(b"v")))
        await endpoint.next(RunAck)
        await one.engine.pause(accepted.invocation_id)
        assert (await endpoint.next(pb.Abort)).invocation_id == accepted.invocation_id
        await one.engine.pause(accepted.invocation_id)
    async with rig(store) as one:
        endpoint = await one.endpoint()
        assert await _status(one, accepted.invocation_id) is Status.PAUSED
        other = await one.submit("Object", "Do", "k", wait=False)
        await one.engine.resume(accepted.invocation_id)
        start = await endpoint.started()
        assert start.invocation_id == accepted.invocation_id
        assert [j.decode(entry) for entry in start.entries][1:] == [j.Run("a", j.Value(b"v"))]
        endpoint.end(start)
        assert (await endpoint.started()).invocation_id == other.invocation_id


async def test_one_that_was_paused_in_its_queue_holds_nobody_up_after_a_restart(store: Store) -> None:
    async with rig(store) as one:
        await _registered(one)
        holder = await one.submit("Object", "Do", "k", wait=False)
        paused = await one.submit("Object", "Do", "k", wait=False)
        await one.engine.pause(paused.invocation_id)
    async with rig(store) as one:
        endpoint = await one.endpoint()
        start = await endpoint.started()
        assert start.invocation_id == holder.invocation_id
        endpoint.end(start)
        await until(lambda: one.engine.world.queues == {})
        await one.engine.resume(paused.invocation_id)
        endpoint.end(await endpoint.started(paused.invocation_id))
        await until(lambda: one.engine.world.queues == {})


async def test_an_invocation_goes_on_with_another_deployment(store: Store) -> None:
    async with rig(store) as one:
        old = await one.endpoint()
        accepted = await one.submit(wait=False)
        start = await old.started()
        old.command(start, j.Run("a", j.Value(b"v")))
        old.fail(start, behavior=1)
        await until(lambda: bool(one.reports))
        new = await one.endpoint(label="v2")
        wanted = new.greeting().deployment_id
        assert await _refused(one.engine.resume(accepted.invocation_id, "dep_none")) is StatusCode.FAILED_PRECONDITION
        await one.engine.resume(accepted.invocation_id, wanted)
        again = await new.started()
        assert again.invocation_id == accepted.invocation_id
        assert again.journal_length == 2
        record = await store.invocation(accepted.invocation_id)
        assert record is not None
        assert record.deployment_id == wanted


async def test_a_completed_invocation_restarts_from_its_journal_with_its_seed(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(idempotency_key="once")
        first = await endpoint.started()
        endpoint.command(first, j.Run("a", j.Value(b"v")))
        endpoint.end(first, j.Failure(2, "no"))
        assert accepted.result is not None
        await accepted.result
        for entries, length in ((0, 1), (1, 1), (2, 2)):
            new_id = await one.engine.restart(accepted.invocation_id, entries)
            again = await endpoint.started(new_id)
            assert again.random_seed == first.random_seed
            assert list(again.entries) == [row.entry for row in await store.journal(accepted.invocation_id)][:length]
            endpoint.end(again)
            await _cold(one, new_id)
        assert await _refused(one.engine.restart(accepted.invocation_id, 3)) is StatusCode.INVALID_ARGUMENT
        assert (await one.engine.known(new_id)).result == j.Value(b"out")


async def test_what_is_purged_is_gone_and_its_idempotency_key_is_free(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(idempotency_key="once")
        endpoint.end(await endpoint.started())
        assert accepted.result is not None
        await accepted.result
        await one.engine.purge_journal(accepted.invocation_id)
        assert await store.journal(accepted.invocation_id) == []
        assert not (await one.submit(wait=False, idempotency_key="once")).new
        assert (await one.engine.known(accepted.invocation_id)).result == j.Value(b"out")
        assert await _refused(one.engine.restart(accepted.invocation_id)) is StatusCode.FAILED_PRECONDITION
        await one.engine.purge(accepted.invocation_id)
        assert await store.invocation(accepted.invocation_id) is None
        await _cold(one, accepted.invocation_id)
        assert (await one.submit(wait=False, idempotency_key="once")).new


async def test_a_purged_workflow_may_run_again(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        run = await one.submit("Flow", "Run", "k", wait=False)
        endpoint.end(await endpoint.started())
        await _cold(one, run.invocation_id)
        assert await _refused(one.engine.restart(run.invocation_id)) is StatusCode.FAILED_PRECONDITION
        await one.engine.purge(run.invocation_id)
        await _cold(one, run.invocation_id)
        assert (await one.submit("Flow", "Run", "k", wait=False)).new


async def test_a_wait_cycle_of_cold_invocations_is_found_and_named(store: Store) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        first = await one.submit("Object", "Do", "a", wait=False)
        second = await _call(endpoint, await endpoint.started(), 1, "b")
        await _cold(one, first.invocation_id)
        start = await endpoint.started(second)
        closing = await _call(endpoint, start, 1, "a")
        again = await endpoint.started(second)
        failure = j.decode(again.entries[-1])
        assert isinstance(failure, j.Completion)
        assert isinstance(failure.result, j.Failure)
        assert failure.result.code == StatusCode.ABORTED
        for invocation_id in (first.invocation_id, second, closing):
            assert ids.invocation_id_text(invocation_id) in failure.result.message
        assert await _status(one, closing) is Status.COMPLETED
        endpoint.end(again)
        endpoint.end(await endpoint.started(first.invocation_id))
        await until(lambda: one.engine.world.queues == {})


VERBS: dict[str, Callable[[Rig, bytes], Awaitable[object]]] = {
    "cancel": lambda one, found: one.engine.cancel(found),
    "kill": lambda one, found: one.engine.kill(found),
    "pause": lambda one, found: one.engine.pause(found),
    "resume": lambda one, found: one.engine.resume(found),
    "restart": lambda one, found: one.engine.restart(found),
    "purge": lambda one, found: one.engine.purge(found),
    "purge_journal": lambda one, found: one.engine.purge_journal(found),
    "send_signal": lambda one, found: one.engine.send_signal(found, "go", j.Void()),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_says_what_it_cannot_be_done_to(verb: str) -> None:
    async with rig(MemoryStore()) as one:
        endpoint = await one.endpoint()
        accepted = await one.submit(wait=False)
        start = await endpoint.started()
        assert await _refused(VERBS[verb](one, bytes(16))) is StatusCode.NOT_FOUND
        if verb in ("cancel", "kill", "pause", "send_signal"):
            endpoint.end(start)
            await _cold(one, accepted.invocation_id)
        assert await _refused(VERBS[verb](one, accepted.invocation_id)) is StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("name", ["", "restate.cancel"])
async def test_a_signal_needs_a_name_of_its_own(name: str) -> None:
    async with rig(MemoryStore()) as one:
        await _registered(one)
        accepted = await one.submit(wait=False)
        signal = one.engine.send_signal(accepted.invocation_id, name, j.Void())
        assert await _refused(signal) is StatusCode.INVALID_ARGUMENT
