"""Timers in memory: the next ones, read from the store in turn, whatever is armed while a read is under way."""

from __future__ import annotations

import asyncio

from restate_runtime.core.decision import PutTimer
from restate_runtime.core.records import Timer, TimerKind
from restate_runtime.engine.timers import Timers
from restate_runtime.store.memory import MemoryStore

from tests.runtime.engine.harness import Clock, until


def timer(due_ms: int) -> Timer:
    return Timer(due_ms, due_ms.to_bytes(16, "big"), 1, TimerKind.SLEEP)


class SlowStore(MemoryStore):
    """Answers a question about timers with what it had when it was asked, once it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answer = asyncio.Event()
        self.answer.set()

    async def timers(self, after: Timer | None, limit: int) -> list[Timer]:
        found = await super().timers(after, limit)
        self.asked += 1
        await self.answer.wait()
        return found


class Bench:
    """Timers over a slow store."""

    def __init__(self, in_memory_max: int) -> None:
        self.clock = Clock()
        self.clock.now_ms = 0
        self.store = SlowStore()
        self.fired: list[int] = []
        self.timers = Timers(self.store, self.clock, self._fire, self._spawn, in_memory_max)

    def _fire(self, timer: Timer) -> None:
        self.fired.append(timer.due_ms)

    def _spawn(self, work: object) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]

    async def put(self, *due_ms: int) -> None:
        await self.store.commit([PutTimer(timer(one)) for one in due_ms])

    def at(self, now_ms: int) -> None:
        self.clock.now_ms = now_ms
        self.timers.look()

    async def all_by(self, now_ms: int) -> list[int]:
        """What has fired once everything is read that is due by then."""
        self.at(now_ms)
        for _ in range(20):
            await asyncio.sleep(0)
            self.timers.look()
        self.timers.close()
        return sorted(set(self.fired))


async def test_a_timer_armed_while_the_next_ones_are_read_is_not_lost() -> None:
    bench = Bench(in_memory_max=1)
    await bench.store.open()
    await bench.put(10, 20)
    await bench.timers.open()
    bench.store.answer.clear()
    bench.at(10)
    await until(lambda: bench.store.asked == 2)
    await bench.put(30, 15)  # the read under way does not see them
    bench.timers.arm(timer(30))
    bench.timers.arm(timer(15))
    bench.store.answer.set()
    assert await bench.all_by(40) == [10, 15, 20, 30]


async def test_a_horizon_that_comes_nearer_during_a_read_loses_nothing() -> None:
    bench = Bench(in_memory_max=1)
    await bench.store.open()
    await bench.put(100, 200)
    await bench.timers.open()
    bench.store.answer.clear()
    bench.at(100)
    await until(lambda: bench.store.asked == 2)
    bench.clock.now_ms = 0
    for due_ms in (40, 30, 20, 10):  # more than may be kept
        await bench.put(due_ms)
        bench.timers.arm(timer(due_ms))
    bench.store.answer.set()
    assert await bench.all_by(300) == [10, 20, 30, 40, 100, 200]
