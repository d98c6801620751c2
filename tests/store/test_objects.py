"""State, promises, waiters, timers and deployments, in every store."""

from __future__ import annotations

from restate_runtime.core.decision import (
    AddPromiseWaiter,
    AddWaiter,
    ClearState,
    DeleteTimer,
    PutDeployment,
    PutDescriptorSet,
    PutPromise,
    PutState,
    PutTimer,
    RemovePromiseWaiters,
    RemoveWaiters,
)
from restate_runtime.core.records import Deployment, Promises, Timer, TimerKind
from restate_runtime.store.base import Store

from .samples import NOW_MS, id_of


def put(number: int, value: bytes | None, key: str = "k") -> PutState:
    return PutState("s.v1.S", key, number, value)


def timer(due: int, number: int = 1, command: int = 0, kind: TimerKind = TimerKind.SLEEP) -> Timer:
    return Timer(NOW_MS + due, id_of(number), command, kind)


async def test_state_comes_back_ascending_by_number(store: Store) -> None:
    await store.commit([put(3, b"c"), put(1, b""), put(2, b"\x00\xff")])
    assert list((await store.state("s.v1.S", "k")).items()) == [(1, b""), (2, b"\x00\xff"), (3, b"c")]
    assert await store.state("s.v1.S", "other") == {}


async def test_state_of_keys_and_services_stays_apart(store: Store) -> None:
    keys = ["", "k", "K", "k\x00", "k\u00e9", "ke\u0301"]
    await store.commit([put(1, key.encode() + b"!", key) for key in keys])
    await store.commit([ClearState("s.v1.S", "k"), PutState("s.v1.SS", "k", 1, b"other")])
    found = {key: (await store.state("s.v1.S", key)).get(1) for key in keys}
    assert found == {key: None if key == "k" else key.encode() + b"!" for key in keys}
    assert await store.state("s.v1.SS", "k") == {1: b"other"}


async def test_entries_and_their_numbers_are_read_one_by_one(store: Store) -> None:
    await store.commit([put(3, b"c"), put(1, b""), put(2, b"b"), put(2, None), put(1, b"other", "other")])
    assert [await store.state_entry("s.v1.S", "k", number) for number in (1, 2, 3)] == [b"", None, b"c"]
    assert await store.state_numbers("s.v1.S", "k") == [1, 3]
    assert await store.state_numbers("s.v1.S", "none") == []


async def test_the_last_write_to_a_state_entry_counts(store: Store) -> None:
    await store.commit([put(1, b"a"), put(2, b"a"), put(3, None)])
    await store.commit([put(1, b"b"), put(1, None), put(2, None), put(2, b"c"), put(4, b"d")])
    assert await store.state("s.v1.S", "k") == {2: b"c", 4: b"d"}


async def test_clearing_removes_what_was_put_before_and_not_what_is_put_after(store: Store) -> None:
    await store.commit([put(1, b"a"), put(2, b"a")])
    await store.commit([put(3, b"b"), ClearState("s.v1.S", "k"), put(2, b"c"), put(1, None)])
    assert await store.state("s.v1.S", "k") == {2: b"c"}


async def test_timers_come_in_order_page_by_page(store: Store) -> None:
    timers = [
        timer(1, 2, 0, TimerKind.START),
        timer(1, 2, 1),
        timer(1, 3, 0),
        timer(2, 1, 0, TimerKind.SLEEP),
        timer(2, 1, 0, TimerKind.RETRY),
    ]
    await store.commit([PutTimer(one) for one in reversed(timers)])
    assert await store.timers(None, 100) == timers
    assert await store.timers(None, 2) == timers[:2]
    assert await store.timers(timers[1], 2) == timers[2:4]
    assert await store.timers(timers[-1], 2) == []
    assert await store.timers(timer(1, 2, 5), 1) == [timers[2]]


async def test_a_timer_may_be_put_twice_and_deleted_when_absent(store: Store) -> None:
    await store.commit([PutTimer(timer(1)), PutTimer(timer(1)), DeleteTimer(timer(9))])
    await store.commit([PutTimer(timer(1))])
    assert await store.timers(None, 9) == [timer(1)]


async def test_the_last_word_on_a_timer_in_a_commit_counts(store: Store) -> None:
    await store.commit([PutTimer(timer(1)), PutTimer(timer(2))])
    await store.commit(
        [
            PutTimer(timer(1)),
            DeleteTimer(timer(1)),
            DeleteTimer(timer(2)),
            PutTimer(timer(2)),
            PutTimer(timer(3)),
            DeleteTimer(timer(3)),
        ]
    )
    assert await store.timers(None, 9) == [timer(2)]


async def test_promises_have_results_and_waiters_in_the_order_they_came(store: Store) -> None:
    await store.commit(
        [
            AddPromiseWaiter("w.v1.W", "k", 2, id_of(3), 1),
            AddPromiseWaiter("w.v1.W", "k", 2, id_of(1), 9),
            AddPromiseWaiter("w.v1.W", "k", 2, id_of(3), 1),
            PutPromise("w.v1.W", "k", 1, b""),
        ]
    )
    await store.commit(
        [AddPromiseWaiter("w.v1.W", "k", 2, id_of(2), 0), AddPromiseWaiter("w.v1.W", "other", 1, id_of(2), 0)]
    )
    expected = Promises({1: b""}, {2: [(id_of(3), 1), (id_of(1), 9), (id_of(2), 0)]})
    assert await store.promises("w.v1.W", "k") == expected
    assert await store.promises("w.v1.W", "absent") == Promises()


async def test_removing_promise_waiters_leaves_those_of_other_promises_and_those_who_come_after(store: Store) -> None:
    await store.commit([AddPromiseWaiter("w.v1.W", "k", number, id_of(1), 1) for number in (1, 2)])
    await store.commit(
        [
            AddPromiseWaiter("w.v1.W", "k", 1, id_of(2), 1),
            RemovePromiseWaiters("w.v1.W", "k", 1),
            AddPromiseWaiter("w.v1.W", "k", 1, id_of(3), 1),
            RemovePromiseWaiters("w.v1.W", "k", 9),
        ]
    )
    assert (await store.promises("w.v1.W", "k")).waiters == {1: [(id_of(3), 1)], 2: [(id_of(1), 1)]}


async def test_waiters_come_in_the_order_they_were_added(store: Store) -> None:
    await store.commit([AddWaiter(id_of(1), id_of(9), 2), AddWaiter(id_of(1), id_of(5), 1)])
    await store.commit([AddWaiter(id_of(1), id_of(9), 1), AddWaiter(id_of(1), id_of(9), 2)])
    assert await store.waiters(id_of(1)) == [(id_of(9), 2), (id_of(5), 1), (id_of(9), 1)]


async def test_removing_waiters_leaves_those_of_others_and_those_who_come_after(store: Store) -> None:
    await store.commit([AddWaiter(id_of(target), id_of(9), 1) for target in (1, 2)])
    await store.commit(
        [AddWaiter(id_of(1), id_of(8), 1), RemoveWaiters(id_of(1)), AddWaiter(id_of(1), id_of(7), 1)],
    )
    assert await store.waiters(id_of(1)) == [(id_of(7), 1)]
    assert await store.waiters(id_of(2)) == [(id_of(9), 1)]


async def test_deployments_come_in_order_of_revision_and_are_replaced_by_id(store: Store) -> None:
    first = Deployment("dep_b", "host:1", "", "aa", ("s.v1.S", "t.v1.T"), NOW_MS, 1)
    second = Deployment("dep_a", "", "v2", "bb", (), NOW_MS + 1, 2, dev_name="app")
    await store.commit([PutDeployment(second), PutDeployment(first)])
    assert await store.deployments() == [first, second]
    again = Deployment("dep_b", "host:2", "", "aa", ("s.v1.S",), NOW_MS, 3)
    await store.commit([PutDeployment(again)])
    assert await store.deployments() == [second, again]


async def test_descriptor_sets_are_found_by_hash(store: Store) -> None:
    await store.commit([PutDescriptorSet("aa", b"\x00\xff"), PutDescriptorSet("bb", b"")])
    await store.commit([PutDescriptorSet("aa", b"\x00\xff")])
    assert await store.descriptor_set("aa") == b"\x00\xff"
    assert await store.descriptor_set("bb") == b""
    assert await store.descriptor_set("cc") is None
