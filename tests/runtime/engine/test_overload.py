"""The bounds on work from outside: refused before anything is journaled, counted for each service alone."""

from __future__ import annotations

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode
from restate_runtime.core.records import Status
from restate_runtime.engine.api import Accepted
from restate_runtime.engine.overload import Bound, LoadLimits, Overloaded
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Rig, rig, until


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def _away(one: Rig, label: str = "v1") -> None:
    endpoint = await one.endpoint(label=label)
    endpoint.hang_up()
    await until(lambda: not one.dispatcher.all_sessions())


async def _refused(one: Rig, service: str = "Plain", key: str | None = None, *, wait: bool = True) -> Overloaded:
    """The error of one more submission, which leaves nothing."""
    before = await one.store.counts()
    with pytest.raises(Overloaded) as caught:
        await one.submit(service, key=key, wait=wait)
    await until(lambda: one.engine.quiet)
    assert await one.store.counts() == before
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.retry_after_ms > 0
    assert caught.value.bound.setting in caught.value.message
    return caught.value


async def test_callers_who_wait_are_bounded(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(waiting_callers=3)) as one:
        await one.endpoint()
        waiting = [await one.submit() for _ in range(2)]
        waiting.append(await one.engine.attach(waiting[0].invocation_id))
        assert one.engine.load().waiting_callers == 3
        assert (await _refused(one)).bound is Bound.WAITING_CALLERS
        with pytest.raises(Overloaded):
            await one.engine.attach(waiting[0].invocation_id)
        waiting.pop().close()
        await one.submit()


async def test_callers_of_a_service_that_does_not_keep_up_leave_half_of_the_places(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(waiting_callers=6)) as one:
        endpoint = await one.endpoint()
        for _ in range(3):
            await one.submit("Object", key="k")  # the first runs, the others wait for its key
        error = await _refused(one, "Object", "k")
        assert error.bound is Bound.WAITING_CALLERS
        assert "the other half of the limit of 6" in error.message
        for _ in range(3):
            await one.submit("Plain")
        assert (await _refused(one, "Plain")).bound is Bound.WAITING_CALLERS
        endpoint.end(await endpoint.started())


async def test_a_send_waits_only_until_it_is_durable(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(waiting_callers=1)) as one:
        await _away(one)
        for _ in range(5):
            await one.submit(wait=False)
        assert one.engine.load().waiting_callers == 0


async def test_who_has_the_answer_waits_no_more(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(waiting_callers=1)) as one:
        endpoint = await one.endpoint()
        for _ in range(3):
            accepted = await one.submit()
            endpoint.end(await endpoint.started())
            assert accepted.result is not None
            await accepted.result


async def test_what_waits_for_an_absent_endpoint_is_bounded(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(queued_invocations=3)) as one:
        await _away(one)
        for _ in range(3):
            await one.submit(wait=False)
        await until(lambda: one.engine.quiet)
        assert one.engine.load().queued_invocations == 3
        error = await _refused(one, wait=False)
        assert error.bound is Bound.QUEUED_INVOCATIONS
        assert "bench.v1.Plain" in error.message


async def test_a_new_deployment_takes_what_the_old_one_cannot(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(queued_invocations=3)) as one:
        await _away(one, "v1")
        for _ in range(3):
            await one.submit(wait=False)
        await _refused(one, wait=False)
        endpoint = await one.endpoint(label="v2")
        accepted = await one.submit()
        endpoint.end(await endpoint.started(accepted.invocation_id))
        assert accepted.result is not None
        assert await accepted.result == j.Value(b"out")


async def test_what_waits_for_a_key_is_bounded_for_its_service_alone(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(queued_invocations=2)) as one:
        endpoint = await one.endpoint()
        held = await one.submit("Object", key="k", wait=False)
        for _ in range(2):
            await one.submit("Object", key="k", wait=False)
        assert one.engine.load().queued_invocations == 2
        assert (await _refused(one, "Object", "other", wait=False)).bound is Bound.QUEUED_INVOCATIONS
        await one.submit("Plain", wait=False)
        endpoint.end(await endpoint.started(held.invocation_id))
        await until(lambda: one.engine.load().queued_invocations == 1)
        await one.submit("Object", key="other", wait=False)


async def test_what_is_due_later_waits_in_no_queue(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(queued_invocations=1)) as one:
        await _away(one)
        await one.submit(wait=False)
        await _refused(one, wait=False)
        later = await one.submit(wait=False, delay_ms=60_000)
        record = await store.invocation(later.invocation_id)
        assert record is not None
        assert record.status is Status.SCHEDULED


async def test_journals_in_memory_are_bounded(store: MemoryStore) -> None:
    async with rig(store, load_limits=LoadLimits(bytes_in_flight=5)) as one:
        endpoint = await one.endpoint()
        first = await one.submit()  # taken whatever its size: there is nothing else
        assert one.engine.load().bytes_in_flight > 0
        error = await _refused(one)
        assert error.bound is Bound.BYTES_IN_FLIGHT
        endpoint.end(await endpoint.started())
        assert first.result is not None
        await first.result
        await until(lambda: one.engine.load().bytes_in_flight == 0)
        await one.submit()


async def test_the_bytes_in_memory_add_up_whatever_happens(store: MemoryStore) -> None:
    async with rig(store) as one:
        endpoint = await one.endpoint()
        accepted: list[Accepted] = [await one.submit("Object", key="k", wait=False) for _ in range(4)]
        await one.engine.kill(accepted[2].invocation_id)
        start = await endpoint.started()
        endpoint.command(start, j.Sleep(one.clock() + 1_000))
        await one.engine.send_signal(start.invocation_id, "go", j.Value(b"12345"))
        await until(lambda: one.engine.quiet)
        assert one.engine.world.held_bytes == sum(hot.size for hot in one.engine.world.invocations.values())
        endpoint.end(start)
        for _ in range(2):
            endpoint.end(await endpoint.started())
        await until(lambda: one.engine.quiet and not one.engine.world.invocations)
        assert one.engine.world.held_bytes == 0
        assert one.engine.world.queued_of == {}


async def test_what_a_handler_asks_for_is_never_refused(store: MemoryStore) -> None:
    limits = LoadLimits(waiting_callers=1, queued_invocations=1, bytes_in_flight=1)
    async with rig(store, load_limits=limits) as one:
        endpoint = await one.endpoint(credits=1)
        await one.submit()
        start = await endpoint.started()
        sent = [ids.child_invocation_id(start.invocation_id, number) for number in range(1, 6)]
        for id_ in sent:
            endpoint.command(start, j.Send("bench.v1.Plain", "Do", None, b"p", id_))
        endpoint.end(start)
        for _ in sent:
            endpoint.end(await endpoint.started())
        await until(lambda: one.engine.quiet and not one.engine.world.invocations)
        records = [await one.store.invocation(id_) for id_ in sent]
        assert [record and record.status for record in records] == [Status.COMPLETED] * 5
