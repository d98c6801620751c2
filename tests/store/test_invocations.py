"""Invocations, their journals and their attempts, in every store."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import (
    AddPromiseWaiter,
    AddWaiter,
    AppendEntry,
    CreateInvocation,
    PurgeInvocation,
    PurgeJournal,
    PutPromise,
    PutState,
    RecordAttempt,
    SaveInvocation,
    Write,
)
from restate_runtime.core.records import Attempt, AttemptOutcome, Invocation, JournalRow, Promises, Status
from restate_runtime.store.base import InvocationFilter, Store, StoreInvalid, StoreUnavailable

from .samples import NOW_MS, id_of, record

FULL = Invocation(
    id=id_of(1),
    service="shop.v1.Cart",
    handler="Add",
    key="kl\u00e9\x00y",
    mode=HandlerMode.EXCLUSIVE,
    created_ms=NOW_MS,
    scheduled_for_ms=NOW_MS + 5,
    idempotency_key="",
    parent_id=id_of(2),
    parent_command=7,
    reply=True,
    traceparent="00-abc",
    tracestate="a=\u00fc",
    retention_ms=86_400_000,
    request_digest=b"\x00digest",
    status=Status.SUSPENDED,
    deployment_id="dep_1",
    queue_seq=0,
    epoch=3,
    attempt_started_ms=NOW_MS + 6,
    retry_count=2,
    next_retry_ms=NOW_MS + 7,
    awaiting=b"",
    last_failure=b"\x00\xff",
    completed_ms=NOW_MS + 8,
    result=b"\xff\x00",
    expires_ms=NOW_MS + 9,
)


def entry(number: int, index: int, data: bytes = b"entry") -> AppendEntry:
    return AppendEntry(id_of(number), index, NOW_MS + index, data)


def attempt(number: int, epoch: int) -> Attempt:
    return Attempt(id_of(number), epoch, NOW_MS, NOW_MS + 1, AttemptOutcome.FAILED, "dep_1", b"\x00why")


async def test_an_unknown_invocation_is_none_and_has_nothing(store: Store) -> None:
    assert await store.invocation(id_of(9)) is None
    assert await store.journal(id_of(9)) == []
    assert await store.attempts(id_of(9)) == []
    assert await store.waiters(id_of(9)) == []


async def test_every_field_of_a_record_comes_back(store: Store) -> None:
    await store.commit([CreateInvocation(FULL)])
    assert await store.invocation(FULL.id) == FULL


async def test_every_field_that_may_be_none_comes_back_as_none(store: Store) -> None:
    bare = record(1)
    await store.commit([CreateInvocation(bare)])
    assert await store.invocation(bare.id) == bare


async def test_a_save_changes_the_changeable_half_and_nothing_else(store: Store) -> None:
    before = record(1, key="k", parent_id=id_of(3))
    await store.commit([CreateInvocation(before)])
    await store.commit([SaveInvocation(dataclasses.replace(FULL, service="other.v1.Other"))])
    changed = {"status", "deployment_id", "queue_seq", "epoch", "attempt_started_ms", "retry_count", "next_retry_ms"}
    changed |= {"awaiting", "last_failure", "completed_ms", "result", "expires_ms"}
    expected = dataclasses.replace(before, **{name: getattr(FULL, name) for name in changed})
    assert await store.invocation(before.id) == expected


async def test_the_last_state_of_a_record_counts_and_it_is_read_before_commit_yields(store: Store) -> None:
    one = record(1)
    writes: list[Write] = [CreateInvocation(one), SaveInvocation(one)]
    one.epoch = 4
    commit = asyncio.ensure_future(store.commit(writes))
    await asyncio.sleep(0)
    one.epoch = 5
    await commit
    found = await store.invocation(one.id)
    assert found is not None
    assert found.epoch == 4


async def test_a_record_that_was_read_is_a_copy(store: Store) -> None:
    await store.commit([CreateInvocation(record(1))])
    found = await store.invocation(id_of(1))
    assert found is not None
    found.epoch = 99
    assert await store.invocation(id_of(1)) == record(1)


async def test_entries_come_back_in_order_byte_for_byte(store: Store) -> None:
    data = [b"", b"\x00", b"\xff\xfe", "\u00fc".encode(), b"x" * 100_000]
    await store.commit([CreateInvocation(record(1)), entry(1, 0, data[0]), entry(1, 1, data[1])])
    await store.commit([entry(1, index, data[index]) for index in (2, 3, 4)])
    rows = [JournalRow(index, NOW_MS + index, data[index]) for index in range(5)]
    assert await store.journal(id_of(1)) == rows
    assert await store.journal(id_of(1), 3) == rows[:3]
    assert await store.journal(id_of(1), 0) == []
    assert await store.journal(id_of(1), 50) == rows


@pytest.mark.parametrize("length", [63, 64, 65, 300])
async def test_long_journals_come_back_whole(store: Store, length: int) -> None:
    await store.commit([CreateInvocation(record(1)), *(entry(1, index, b"%d" % index) for index in range(length))])
    assert [row.entry for row in await store.journal(id_of(1))] == [b"%d" % index for index in range(length)]
    assert len(await store.journal(id_of(1), length - 1)) == length - 1


async def test_journals_of_several_invocations_stay_apart(store: Store) -> None:
    await store.commit([CreateInvocation(record(1)), CreateInvocation(record(2))])
    await store.commit([entry(1, 0, b"a"), entry(2, 0, b"b"), entry(1, 1, b"c"), entry(2, 1, b"d")])
    assert [row.entry for row in await store.journal(id_of(1))] == [b"a", b"c"]
    assert [row.entry for row in await store.journal(id_of(2))] == [b"b", b"d"]


async def test_attempts_come_back_in_order_of_their_epochs(store: Store) -> None:
    bare = Attempt(id_of(1), 1, NOW_MS, NOW_MS, AttemptOutcome.SUSPENDED)
    await store.commit([CreateInvocation(record(1)), RecordAttempt(attempt(1, 3)), RecordAttempt(bare)])
    await store.commit([RecordAttempt(attempt(1, 2))])
    assert await store.attempts(id_of(1)) == [bare, attempt(1, 2), attempt(1, 3)]


async def test_a_purge_removes_all_that_belongs_to_an_invocation(store: Store) -> None:
    await store.commit(
        [
            *(CreateInvocation(record(number)) for number in (1, 2)),
            *(entry(number, 0) for number in (1, 2)),
            *(RecordAttempt(attempt(number, 1)) for number in (1, 2)),
            *(AddWaiter(id_of(number), id_of(5), 1) for number in (1, 2)),
        ]
    )
    await store.commit([PurgeInvocation(id_of(1))])
    assert await store.invocation(id_of(1)) is None
    assert await store.journal(id_of(1)) == []
    assert await store.attempts(id_of(1)) == []
    assert await store.waiters(id_of(1)) == []
    assert await store.invocation(id_of(2)) == record(2)
    assert await store.journal(id_of(2)) == [JournalRow(0, NOW_MS, b"entry")]
    assert await store.attempts(id_of(2)) == [attempt(2, 1)]
    assert await store.waiters(id_of(2)) == [(id_of(5), 1)]


@pytest.mark.parametrize(
    ("mode", "kept"), [(HandlerMode.RUN, False), (HandlerMode.SHARED, True), (HandlerMode.EXCLUSIVE, True)]
)
async def test_only_a_purged_run_takes_state_and_promises_along(store: Store, mode: HandlerMode, kept: bool) -> None:
    await store.commit(
        [
            CreateInvocation(record(1, key="a", mode=mode)),
            *(PutState("shop.v1.Cart", key, 1, b"v") for key in ("a", "b")),
            *(PutPromise("shop.v1.Cart", key, 1, b"r") for key in ("a", "b")),
            *(AddPromiseWaiter("shop.v1.Cart", key, 2, id_of(5), 1) for key in ("a", "b")),
        ]
    )
    await store.commit([PurgeInvocation(id_of(1))])
    full = Promises({1: b"r"}, {2: [(id_of(5), 1)]})
    assert await store.state("shop.v1.Cart", "a") == ({1: b"v"} if kept else {})
    assert await store.promises("shop.v1.Cart", "a") == (full if kept else Promises())
    assert await store.state("shop.v1.Cart", "b") == {1: b"v"}
    assert await store.promises("shop.v1.Cart", "b") == full


async def test_a_purge_in_the_middle_of_a_commit_divides_what_was_before_from_what_comes_after(store: Store) -> None:
    old, new = record(1, key="a", mode=HandlerMode.RUN), record(1, key="a", mode=HandlerMode.RUN, epoch=7)
    await store.commit([CreateInvocation(old), entry(1, 0, b"old")])
    await store.commit(
        [
            PutState("shop.v1.Cart", "a", 1, b"old"),
            entry(1, 1, b"old"),
            PurgeInvocation(old.id),
            PurgeInvocation(id_of(2)),
            CreateInvocation(new),
            entry(1, 0, b"new"),
            PutState("shop.v1.Cart", "a", 2, b"new"),
        ]
    )
    assert await store.invocation(new.id) == new
    assert await store.journal(new.id) == [JournalRow(0, NOW_MS, b"new")]
    assert await store.state("shop.v1.Cart", "a") == {2: b"new"}


async def test_what_was_created_in_a_commit_may_be_purged_in_it(store: Store) -> None:
    await store.commit([CreateInvocation(record(1)), entry(1, 0), PurgeInvocation(id_of(1))])
    assert await store.invocation(id_of(1)) is None
    assert await store.journal(id_of(1)) == []


async def test_purging_an_unknown_invocation_is_fine(store: Store) -> None:
    await store.commit([PurgeInvocation(id_of(9)), PurgeJournal(id_of(9))])


async def test_a_purged_journal_leaves_the_record_and_all_else(store: Store) -> None:
    await store.commit(
        [
            *(CreateInvocation(record(number)) for number in (1, 2)),
            *(entry(number, 0) for number in (1, 2)),
            RecordAttempt(attempt(1, 1)),
        ]
    )
    await store.commit([entry(1, 1), PurgeJournal(id_of(1))])
    assert await store.journal(id_of(1)) == []
    assert await store.invocation(id_of(1)) == record(1)
    assert await store.attempts(id_of(1)) == [attempt(1, 1)]
    assert await store.journal(id_of(2)) == [JournalRow(0, NOW_MS, b"entry")]


async def test_a_journal_may_be_purged_and_then_all_of_it_in_one_commit(store: Store) -> None:
    await store.commit([CreateInvocation(record(1)), entry(1, 0)])
    await store.commit([PurgeJournal(id_of(1)), PurgeInvocation(id_of(1)), CreateInvocation(record(1)), entry(1, 0)])
    assert await store.journal(id_of(1)) == [JournalRow(0, NOW_MS, b"entry")]


EXISTING: list[Write] = [
    CreateInvocation(record(1)),
    entry(1, 0),
    RecordAttempt(attempt(1, 1)),
    PutPromise("w.v1.W", "k", 1, b"r"),
]

INVALID: dict[str, list[Write]] = {
    "create what exists": [CreateInvocation(record(1))],
    "create twice": [CreateInvocation(record(3)), CreateInvocation(record(3))],
    "create with a short id": [CreateInvocation(dataclasses.replace(record(3), id=b"short"))],
    "create after a save": [SaveInvocation(record(3)), CreateInvocation(record(3))],
    "create after an entry": [entry(3, 0), CreateInvocation(record(3))],
    "create what exists, after an entry": [entry(1, 1), CreateInvocation(record(1))],
    "save the unknown": [SaveInvocation(record(3))],
    "save the known and the unknown": [SaveInvocation(record(1)), SaveInvocation(record(3))],
    "save what was purged": [PurgeInvocation(id_of(1)), SaveInvocation(record(1))],
    "append to the unknown": [entry(3, 0)],
    "append far into the unknown": [entry(3, 1)],
    "append to what was purged": [PurgeInvocation(id_of(1)), entry(1, 1)],
    "go on with a purged journal": [PurgeJournal(id_of(1)), entry(1, 1)],
    "leave a gap": [entry(1, 2)],
    "leave a gap within a commit": [entry(1, 1), entry(1, 3)],
    "append at a taken index": [entry(1, 0)],
    "append twice at one index": [entry(1, 1), entry(1, 1)],
    "append out of order": [entry(1, 2), entry(1, 1)],
    "begin a journal at 1": [CreateInvocation(record(3)), entry(3, 1)],
    "an attempt of the unknown": [RecordAttempt(attempt(3, 1))],
    "an attempt that is recorded": [RecordAttempt(attempt(1, 1))],
    "an attempt twice": [RecordAttempt(attempt(1, 2)), RecordAttempt(attempt(1, 2))],
    "complete a completed promise": [PutPromise("w.v1.W", "k", 1, b"other")],
    "complete a promise twice": [PutPromise("w.v1.W", "k", 2, b"a"), PutPromise("w.v1.W", "k", 2, b"a")],
}


@pytest.mark.parametrize("what", INVALID)
async def test_an_invalid_commit_is_refused_and_leaves_nothing(store: Store, what: str) -> None:
    await store.commit(EXISTING)
    before: list[Write] = [CreateInvocation(record(2)), entry(2, 0), PutState("s", "k", 1, b"v")]
    after: list[Write] = [PutState("s", "k", 2, b"v")]
    with pytest.raises(StoreInvalid):
        await store.commit([*before, *INVALID[what], *after])
    assert await store.list_invocations(InvocationFilter()) == [record(1)]
    assert await store.journal(id_of(1)) == [JournalRow(0, NOW_MS, b"entry")]
    assert await store.attempts(id_of(1)) == [attempt(1, 1)]
    assert await store.promises("w.v1.W", "k") == Promises({1: b"r"})
    assert await store.state("s", "k") == {}
    await store.commit([entry(1, 1)])  # and the store goes on
    assert len(await store.journal(id_of(1))) == 2


async def test_an_invalid_commit_does_not_spoil_those_queued_beside_it(store: Store) -> None:
    await store.commit(EXISTING)
    outcomes = await asyncio.gather(
        store.commit([CreateInvocation(record(2)), entry(2, 0)]),
        store.commit([CreateInvocation(record(4)), entry(1, 5)]),
        store.commit([CreateInvocation(record(3)), entry(1, 1)]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreInvalid, type(None)]
    assert [one.id for one in await store.list_invocations(InvocationFilter())] == [id_of(3), id_of(2), id_of(1)]


async def test_commits_take_effect_in_the_order_of_their_calls(store: Store) -> None:
    await store.commit([CreateInvocation(record(1))])
    await asyncio.gather(*(store.commit([entry(1, index, b"%d" % index)]) for index in range(200)))
    assert [row.entry for row in await store.journal(id_of(1))] == [b"%d" % index for index in range(200)]


async def test_a_commit_of_nothing_is_fine(store: Store) -> None:
    await store.commit([])


async def test_what_was_committed_is_there_after_a_restart(store: Store) -> None:
    await store.commit([CreateInvocation(FULL), entry(1, 0)])
    await store.close()
    await store.close()  # twice is fine
    await store.open()
    assert await store.invocation(FULL.id) == FULL
    assert await store.journal(FULL.id) == [JournalRow(0, NOW_MS, b"entry")]


async def test_a_store_that_is_not_open_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable, match=r"not open.*open\(\)"):
        await store.commit([CreateInvocation(record(1))])
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.invocation(id_of(1))


async def test_close_waits_for_the_commits_under_way(store: Store) -> None:
    commits = [asyncio.ensure_future(store.commit([CreateInvocation(record(number))])) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*commits)
    await store.open()
    assert len(await store.list_invocations(InvocationFilter())) == 20


async def test_a_cancelled_caller_disturbs_nobody(store: Store) -> None:
    cancelled = asyncio.ensure_future(store.commit([CreateInvocation(record(1))]))
    await asyncio.sleep(0)
    cancelled.cancel()
    await store.commit([CreateInvocation(record(2))])
    assert await store.invocation(id_of(2)) == record(2)
