"""Timers in memory: no more than a limit of them, none lost, none fired that was deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from restate_runtime.core.decision import DeleteTimer, PutTimer
from restate_runtime.core.records import Timer, TimerKind
from restate_runtime.engine.timers import Timers
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Clock, until


def timer(due_ms: int, kind: TimerKind = TimerKind.DEADLINE) -> Timer:
    return Timer(due_ms, b"x" * 16, 0, kind)


class Bench:
    """Timers with room for two, over a store; what fired is deleted, as the core does."""

    def __init__(self) -> None:
        self.clock, self.store, self.fired = Clock(), MemoryStore(), list[int]()
        self.deleted: list[Timer] = []
        self.timers = Timers(self.store, self.clock, self._fire, asyncio.get_running_loop().create_task, 2)
        self.clock.now_ms = 0

    def _fire(self, one: Timer) -> None:
        self.fired.append(one.due_ms)
        self.deleted.append(one)

    async def put(self, *due_ms: int) -> None:
        for due in due_ms:
            await self.store.commit([PutTimer(timer(due))])
            self.timers.arm(timer(due))

    async def delete(self, due_ms: int) -> None:
        await self.store.commit([DeleteTimer(timer(due_ms))])
        self.timers.disarm(timer(due_ms))

    async def at(self, now_ms: int) -> list[int]:
        """What has fired by then."""
        self.clock.now_ms = now_ms
        self.timers.look()
        await self.store.commit([DeleteTimer(one) for one in self.deleted])
        due = len([one for one in await self.store.timers(None, 99) if one.due_ms <= now_ms])
        await until(lambda: len(self.deleted) >= due)
        for _ in range(20):
            self.timers.look()
            await asyncio.sleep(0)
        return self.fired


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.store.open()
    await made.timers.open()
    yield made
    made.timers.close()


async def test_timers_fire_in_order_and_never_early(bench: Bench) -> None:
    await bench.put(30, 10, 20)
    assert await bench.at(9) == []
    assert await bench.at(20) == [10, 20]
    assert await bench.at(30) == [10, 20, 30]


async def test_those_that_memory_has_no_room_for_are_read_in_their_turn(bench: Bench) -> None:
    await bench.put(*range(10, 0, -1))
    assert await bench.at(10) == list(range(1, 11))


@pytest.mark.parametrize("room", ["in memory", "in the store"])
async def test_a_deleted_timer_does_not_fire(bench: Bench, room: str) -> None:
    await bench.put(*range(1, 4 if room == "in memory" else 10))
    await bench.delete(3)
    assert 3 not in await bench.at(9)
    await bench.put(3)
    assert bench.fired.count(3) == 0
    assert (await bench.at(10)).count(3) == 1, "one that is put again is another"


async def test_what_was_deleted_is_forgotten_with_the_memory_it_was_in(bench: Bench) -> None:
    await bench.put(7, 8)
    await bench.delete(8)
    await bench.put(1, 2, 3)  # no room for 7 and 8 any more
    await bench.put(8)
    assert await bench.at(8) == [1, 2, 3, 7, 8]


async def test_the_next_one_due_is_known(bench: Bench) -> None:
    assert bench.timers.next_due_ms() is None
    await bench.put(5)
    bench.timers.arm(timer(4, TimerKind.RETRY))
    assert bench.timers.next_due_ms() == 4
