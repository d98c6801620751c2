"""Lists of invocations: what is active, who holds a key, what expired, what operators ask for. In every store."""

from __future__ import annotations

from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import CreateInvocation, PurgeInvocation, SaveInvocation
from restate_runtime.core.records import Invocation, Status
from restate_runtime.store.base import InvocationFilter, KeyHolder, Store

from .samples import NOW_MS, id_of, record


async def create(store: Store, *records: Invocation) -> None:
    await store.commit([CreateInvocation(one) for one in records])


async def test_active_invocations_come_by_id_page_by_page(store: Store) -> None:
    numbers = [5, 1, 4, 2]
    await create(store, *(record(number) for number in numbers), record(3, status=Status.SUSPENDED))
    assert [one.id for one in await store.active_invocations(None, 3)] == [id_of(1), id_of(2), id_of(4)]
    assert await store.active_invocations(id_of(4), 3) == [record(5)]
    assert await store.active_invocations(id_of(5), 3) == []


async def test_an_invocation_is_active_as_long_as_its_status_says_so(store: Store) -> None:
    one = record(1, status=Status.QUEUED)
    await create(store, one)
    assert await store.active_invocations(None, 9) == []
    one.status = Status.ACTIVE
    await store.commit([SaveInvocation(one)])
    assert await store.active_invocations(None, 9) == [one]
    one.status = Status.COMPLETED
    await store.commit([SaveInvocation(one)])
    assert await store.active_invocations(None, 9) == []


async def test_key_holders_are_the_live_exclusive_ones_holders_first_then_the_queue(store: Store) -> None:
    def exclusive(number: int, status: Status, queue_seq: int | None) -> Invocation:
        return record(number, key=f"k{number}", mode=HandlerMode.EXCLUSIVE, status=status, queue_seq=queue_seq)

    await create(
        store,
        exclusive(1, Status.QUEUED, 1),
        exclusive(2, Status.QUEUED, 0),
        exclusive(3, Status.ACTIVE, 9),
        exclusive(4, Status.SUSPENDED, 8),
        exclusive(5, Status.PAUSED, 10),
        exclusive(6, Status.SCHEDULED, 2),
        exclusive(7, Status.COMPLETED, 3),
        exclusive(8, Status.ACTIVE, 8),
        exclusive(12, Status.PAUSED, None),
        record(9, key="k9", mode=HandlerMode.SHARED),
        record(10, key="k10", mode=HandlerMode.RUN),
        record(11),
    )
    expected = [
        (4, Status.SUSPENDED, 8),
        (8, Status.ACTIVE, 8),
        (3, Status.ACTIVE, 9),
        (5, Status.PAUSED, 10),
        (2, Status.QUEUED, 0),
        (1, Status.QUEUED, 1),
    ]
    assert await store.key_holders() == [
        KeyHolder("shop.v1.Cart", f"k{number}", id_of(number), status, place) for number, status, place in expected
    ]


async def test_expired_are_the_completed_whose_time_has_come_oldest_first(store: Store) -> None:
    def completed(number: int, expires: int | None) -> Invocation:
        return record(number, status=Status.COMPLETED, expires_ms=None if expires is None else NOW_MS + expires)

    await create(
        store,
        completed(1, 3),
        completed(2, 1),
        completed(3, 4),
        completed(4, None),
        record(5, expires_ms=NOW_MS),
    )
    assert await store.expired(NOW_MS, 9) == []
    assert await store.expired(NOW_MS + 3, 9) == [id_of(2), id_of(1)]
    assert await store.expired(NOW_MS + 9, 2) == [id_of(2), id_of(1)]
    await store.commit([PurgeInvocation(id_of(2)), PurgeInvocation(id_of(1))])
    assert await store.expired(NOW_MS + 9, 2) == [id_of(3)]


async def test_lists_are_newest_first_filtered_and_limited(store: Store) -> None:
    statuses = list(Status)
    records = [
        record(100 - number, service=("a.v1.A", "b.v1.B")[number % 2], status=statuses[number % 3 + number % 4])
        for number in range(40)
    ]
    for one in records:
        await create(store, one)
    newest = list(reversed(records))
    for service in (None, "a.v1.A", "b.v1.B", "c.v1.C"):
        for status in (None, *Status):
            for limit in (3, 100):
                expected = [one for one in newest if service in (None, one.service) and status in (None, one.status)][
                    :limit
                ]
                assert await store.list_invocations(InvocationFilter(service, status, limit)) == expected
    assert {one.status for one in records} == set(Status)


async def test_lists_are_filtered_by_handler_and_key(store: Store) -> None:
    for number in range(12):
        named, at_key = ("Add", "Get")[number % 2], ("ada", "bob", None)[number // 2 % 3]
        stored = (Status.SUSPENDED, Status.COMPLETED, Status.ACTIVE)[number % 3]
        await create(store, record(number, handler=named, key=at_key, status=stored))
    everything = await store.list_invocations(InvocationFilter())
    for handler in (None, "Add", "Nope"):
        for key in (None, "ada"):
            for status in (None, Status.SUSPENDED, Status.COMPLETED, Status.ACTIVE):
                expected = [
                    one
                    for one in everything
                    if handler in (None, one.handler) and key in (None, one.key) and status in (None, one.status)
                ]
                assert await store.list_invocations(InvocationFilter(None, status, 100, handler, key)) == expected


async def test_what_is_not_completed_is_counted_by_status(store: Store) -> None:
    assert await store.counts() == {}
    statuses = [Status.PAUSED, Status.ACTIVE, Status.COMPLETED, Status.PAUSED, Status.SCHEDULED]
    for number, status in enumerate(statuses):
        await create(store, record(number, status=status))
    assert await store.counts() == {Status.PAUSED: 2, Status.ACTIVE: 1, Status.SCHEDULED: 1}
