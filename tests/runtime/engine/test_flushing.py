"""The group commit, on a disk whose commits end when the test says so: what is performed when, who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_runtime.core.turn import Turn
from restate_runtime.core.world import World
from restate_runtime.engine.flushing import Flusher
from restate_runtime.store.base import StoreError, StoreUnavailable

from tests.runtime.engine.harness import until

NEVER_MS = 3_600_000


class Disk:
    """Commits that end by hand."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.under_way: asyncio.Future[None] | None = None
        self.commits = 0

    def commit(self, writes: Sequence[Any]) -> Awaitable[None]:
        assert self.under_way is None, "two commits at once"
        self.log.append("commit " + "".join(writes))
        self.under_way = asyncio.get_running_loop().create_future()
        self.commits += 1
        return self.under_way

    def end(self, error: StoreError | None = None) -> None:
        assert self.under_way is not None
        done, self.under_way = self.under_way, None
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


class Rig:
    """A flusher, and what it did, in order."""

    def __init__(self, gather_ms: int = NEVER_MS) -> None:
        self.log: list[str] = []
        self.disk = Disk(self.log)
        store: Any = self.disk
        resolve: Any = None
        self.turn = Turn(World(), 0, resolve)
        self.flusher = Flusher(store, self.turn, self._perform, self._landed, self._performed, gather_ms)
        self.task = asyncio.get_running_loop().create_task(self.flusher.run())

    def _perform(self, effect: Any, _batch: int) -> None:
        self.log.append(f"perform {effect}")

    def _landed(self, writes: Sequence[Any]) -> None:
        self.log.append("landed " + "".join(writes))

    def _performed(self, batch: int) -> None:
        self.log.append(f"over {batch}")

    def decide(self, *names: str) -> None:
        """Events, each with one write and one effect."""
        for name in names:
            write: Any = name
            self.turn.write(write)
            self.turn.effect(write)
            self.flusher.decided()

    def not_durable(self) -> str:
        """The names of writes that may not be durable."""
        return "".join(map(str, self.flusher.not_durable()))

    def quiet(self) -> bool:
        return self.flusher.quiet

    async def committing(self, count: int) -> None:
        await until(lambda: self.disk.commits == count and self.disk.under_way is not None)

    async def batch_of(self, events: int) -> None:
        """One batch of so many events, committed and performed; the log starts anew."""
        before = self.disk.commits
        self.decide(*("." * events))
        await self.committing(before + 1)
        self.disk.end()
        await until(lambda: bool(self.log) and self.log[-1].startswith("over"))
        self.log.clear()


async def test_effects_wait_for_their_commit() -> None:
    rig = Rig()
    rig.decide("a", "b")
    await rig.committing(1)
    assert rig.log == ["commit ab"]
    assert rig.not_durable() == "ab"
    rig.disk.end()
    await until(rig.quiet)
    assert rig.log == ["commit ab", "landed ab", "perform a", "perform b", "over 1"]
    assert rig.not_durable() == ""


async def test_the_next_commit_begins_before_effects_of_the_last_are_performed() -> None:
    rig = Rig()
    rig.decide("a")
    await rig.committing(1)
    rig.decide("b", "c")
    assert rig.not_durable() == "abc"
    rig.disk.end()
    await rig.committing(2)
    assert rig.log == ["commit a", "landed a", "commit bc", "perform a", "over 1"]


async def test_what_a_failed_commit_holds_is_not_acted_on() -> None:
    rig = Rig()
    rig.decide("a")
    await rig.committing(1)
    rig.decide("b")
    rig.disk.end()
    await rig.committing(2)
    rig.decide("c")
    rig.disk.end(StoreUnavailable("the disk is full"))
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await rig.task
    assert rig.log == ["commit a", "landed a", "commit b", "perform a", "over 1"]
    assert rig.not_durable() == "bc"


async def test_effects_alone_need_no_commit() -> None:
    rig = Rig()
    effect: Any = "a"
    rig.turn.effect(effect)
    assert rig.quiet()
    rig.flusher.wake()
    assert not rig.quiet()
    await until(rig.quiet)
    assert rig.log == ["perform a", "over 1"]


async def test_effects_alone_wait_for_those_before_them() -> None:
    rig = Rig()
    rig.decide("a")
    await rig.committing(1)
    effect: Any = "b"
    rig.turn.effect(effect)
    rig.flusher.wake()
    rig.disk.end()
    await until(rig.quiet)
    assert rig.log == ["commit a", "landed a", "perform a", "over 1", "perform b", "over 2"]


async def test_after_a_small_batch_nothing_waits() -> None:
    rig = Rig()
    await rig.batch_of(7)
    rig.decide("a")
    await rig.committing(2)


async def test_after_a_large_batch_a_commit_waits_for_nearly_as_many() -> None:
    rig = Rig()
    await rig.batch_of(10)
    rig.decide(*"abc")
    await until(lambda: rig.flusher._gathering.enough == 8)
    rig.decide(*"defg")
    for _ in range(10):
        await asyncio.sleep(0)
    assert rig.log == []
    rig.decide("h")
    await rig.committing(2)
    assert rig.log == ["commit abcdefgh"]


async def test_nothing_waits_for_more_than_share_the_cost_well() -> None:
    rig = Rig()
    await rig.batch_of(100)
    rig.decide(*"a" * 23)
    await until(lambda: rig.flusher._gathering.enough == 24)
    assert rig.log == []
    rig.decide("a")
    await rig.committing(2)


async def test_who_waits_for_company_performs_first_what_is_due() -> None:
    rig = Rig()
    await rig.batch_of(1)
    rig.decide(*"0123456789")
    await rig.committing(2)
    rig.decide("a")
    rig.disk.end()
    await until(lambda: rig.log[-1] == "over 2")
    assert "commit a" not in rig.log
    assert rig.disk.under_way is None


async def test_nobody_waits_for_longer_than_is_granted() -> None:
    rig = Rig(gather_ms=1)
    await rig.batch_of(10)
    rig.decide("a")
    await rig.committing(2)
    assert rig.log == ["commit a"]


async def test_without_the_setting_nothing_waits() -> None:
    rig = Rig(gather_ms=0)
    await rig.batch_of(10)
    rig.decide("a")
    await rig.committing(2)


@pytest.mark.parametrize("events", [0, 1, 3])
async def test_a_stop_commits_and_performs_what_is_decided(events: int) -> None:
    rig = Rig()
    await rig.batch_of(10)
    rig.decide(*"abc"[:events])
    if events:
        await until(lambda: rig.flusher._gathering.enough == 8)
    rig.flusher.stop()
    if events:
        await rig.committing(2)
        rig.disk.end()
    await rig.task
    assert [line for line in rig.log if line.startswith("perform")] == [f"perform {name}" for name in "abc"[:events]]


@given(st.lists(st.sampled_from(["decide", "end", "turn"]), max_size=60))
def test_in_any_order_effects_follow_their_commits_and_each_other(moves: list[str]) -> None:
    async def play() -> list[str]:
        rig = Rig(gather_ms=0)
        for number, move in enumerate(moves):
            if move == "decide":
                rig.decide(chr(0x100 + number))
            elif move == "end" and rig.disk.under_way is not None:
                rig.disk.end()
            else:
                await asyncio.sleep(0)
        rig.flusher.stop()
        while not rig.task.done():
            if rig.disk.under_way is not None:
                rig.disk.end()
            await asyncio.sleep(0)
        await rig.task
        return rig.log

    log = asyncio.run(play())
    names = [chr(0x100 + number) for number, move in enumerate(moves) if move == "decide"]
    assert "".join(line[7:] for line in log if line.startswith("commit ")) == "".join(names)
    assert [line[8:] for line in log if line.startswith("perform ")] == names
    for name in names:
        landed = next(at for at, line in enumerate(log) if line.startswith("landed ") and name in line)
        assert landed < log.index(f"perform {name}")
