"""Attempts that wait for an endpoint: in order, outside of memory, and none lost whatever becomes of them meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_runtime.core.records import Status
from restate_runtime.deployments.backlog import Window
from restate_runtime.store.base import Store
from restate_runtime.store.memory import MemoryStore
from restate_runtime.store.sqlite import SqliteStore

from tests.runtime.engine.harness import Rig, rig, until

SMALL = Window(attempts=3)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "test.db")
    yield made
    await made.close()


async def _away(one: Rig) -> None:
    """The services are known, and their endpoint is away."""
    endpoint = await one.endpoint()
    endpoint.hang_up()
    await until(lambda: not one.dispatcher.all_sessions())


async def _done(one: Rig) -> None:
    """Nothing is in memory any more."""
    await until(lambda: one.engine.quiet and not one.engine.world.invocations)


async def _sent(one: Rig, count: int, **target: str) -> list[bytes]:
    sent = [(await one.submit(wait=False, **target)).invocation_id for _ in range(count)]
    await until(lambda: one.engine.quiet)
    return sent


async def test_what_waits_for_an_absent_endpoint_is_not_in_memory(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        sent = await _sent(one, 50)
        assert one.engine.world.invocations == {}
        assert one.engine.world.held_bytes == 0
        assert sum(one.dispatcher.waiting().values()) == 50
        assert {one.engine.live_status(id_) for id_ in sent} == {"ready"}


async def test_it_starts_in_order_when_the_endpoint_comes_back(store: Store) -> None:
    async with rig(store, window=SMALL) as one:
        await _away(one)
        sent = await _sent(one, 20)
        endpoint = await one.endpoint(credits=2)
        seen: list[bytes] = []
        for _ in sent:
            start = await endpoint.started()
            assert start.entries == [row.entry for row in await store.journal(start.invocation_id)]
            seen.append(start.invocation_id)
            endpoint.end(start)
        assert seen == sent
        await _done(one)
        assert one.dispatcher.waiting() == {}
        assert one.engine.world.held_bytes == 0


async def test_no_more_is_held_ready_than_the_window_says(store: Store) -> None:
    async with rig(store, window=SMALL) as one:
        endpoint = await one.endpoint(credits=1)
        sent = await _sent(one, 20)
        assert len(one.engine.world.invocations) == 1 + SMALL.attempts  # one runs
        for id_ in sent:
            start = await endpoint.started()
            assert start.invocation_id == id_
            await until(lambda: one.engine.quiet)
            assert len(one.engine.world.invocations) <= 1 + SMALL.attempts
            endpoint.end(start)


async def test_bytes_close_the_window_too(store: Store) -> None:
    async with rig(store, window=Window(attempts=100, payload_bytes=1)) as one:
        endpoint = await one.endpoint(credits=1)
        sent = await _sent(one, 5)
        assert len(one.engine.world.invocations) == 2  # one runs, one is held alone
        for id_ in sent:
            start = await endpoint.started()
            assert start.invocation_id == id_
            endpoint.end(start)


async def test_what_is_held_ready_is_let_go_when_the_last_session_ends(store: Store) -> None:
    async with rig(store, window=SMALL) as one:
        endpoint = await one.endpoint(credits=1)
        sent = await _sent(one, 10)
        running = await endpoint.next(pb.Start)
        assert running.invocation_id == sent[0]
        endpoint.hang_up()
        await until(lambda: not one.dispatcher.all_sessions())
        await until(lambda: one.engine.quiet)
        assert one.engine.world.invocations == {}
        again = await one.endpoint()
        for _ in sent:
            again.end(await again.started())
        await _done(one)
        records = [await store.invocation(id_) for id_ in sent]
        assert {record.status for record in records if record} == {Status.COMPLETED}


async def test_what_is_told_meanwhile_is_in_the_journal_it_starts_with(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        [id_] = await _sent(one, 1)
        await one.engine.send_signal(id_, "go", j.Value(b"told"))
        await one.engine.cancel(id_)
        await until(lambda: one.engine.quiet)
        assert one.engine.world.invocations == {}
        endpoint = await one.endpoint()
        start = await endpoint.started()
        assert [type(j.decode(entry)) for entry in start.entries] == [j.Input, j.Signal, j.Cancelled]
        assert start.journal_length == 3


@pytest.mark.parametrize("verb", ["kill", "pause"])
async def test_what_is_stopped_meanwhile_never_starts(store: Store, verb: str) -> None:
    async with rig(store, window=SMALL) as one:
        await _away(one)
        sent = await _sent(one, 6)
        for id_ in sent[:5]:
            await getattr(one.engine, verb)(id_)
        assert one.dispatcher.waiting() != {}
        endpoint = await one.endpoint()
        start = await endpoint.started()
        assert start.invocation_id == sent[5]
        endpoint.end(start)
        await until(lambda: one.dispatcher.running == 0 and one.engine.quiet)
        assert one.dispatcher.waiting() == {}
        assert endpoint.inbox.empty()


async def test_one_that_is_paused_and_resumed_starts_once(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        [id_] = await _sent(one, 1)
        await one.engine.pause(id_)
        await one.engine.resume(id_)
        await until(lambda: one.engine.quiet)
        endpoint = await one.endpoint()
        start = await endpoint.started()
        assert (start.invocation_id, start.epoch) == (id_, 2)
        endpoint.end(start)
        await _done(one)
        assert endpoint.inbox.empty()


async def test_objects_are_parked_before_their_state_is_read(store: Store) -> None:
    async with rig(store, window=SMALL) as one:
        await _away(one)
        sent = [await _sent(one, 1, service="Object", key=f"k{number}") for number in range(8)]
        assert one.engine.world.invocations == {}
        endpoint = await one.endpoint(credits=1)
        for [id_] in sent:
            start = await endpoint.started()
            assert start.invocation_id == id_
            endpoint.end(start)


async def test_a_caller_who_waits_hears_the_result(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        accepted = await one.submit()
        assert accepted.result is not None
        attached = await one.engine.attach(accepted.invocation_id)
        assert attached.result is not None
        endpoint = await one.endpoint()
        endpoint.end(await endpoint.started())
        assert await accepted.result == await attached.result == j.Value(b"out")


async def test_a_caller_who_goes_away_leaves_nothing_in_memory(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        accepted = await one.submit()
        assert list(one.engine.world.invocations) == [accepted.invocation_id]
        accepted.close()
        await until(lambda: one.engine.quiet)
        assert one.engine.world.invocations == {}


async def test_a_restart_finds_what_waited(store: Store) -> None:
    async with rig(store) as one:
        await _away(one)
        sent = await _sent(one, 10)
    async with rig(store) as one:
        await until(lambda: one.engine.quiet)
        assert one.engine.world.invocations == {}
        endpoint = await one.endpoint()
        seen = set()
        for _ in sent:
            start = await endpoint.started()
            seen.add(start.invocation_id)
            endpoint.end(start)
        assert seen == set(sent)


async def test_one_deployment_waits_for_no_other(store: Store) -> None:
    async with rig(store, window=SMALL) as one:
        old = await one.endpoint(label="v1")
        old.hang_up()
        await until(lambda: not one.dispatcher.all_sessions())
        waiting = await _sent(one, 30)
        new = await one.endpoint(label="v2")
        accepted = await one.submit()
        start = await new.started()
        assert start.invocation_id == accepted.invocation_id
        new.end(start)
        assert accepted.result is not None
        assert await accepted.result == j.Value(b"out")
        assert sum(one.dispatcher.waiting().values()) == len(waiting)
