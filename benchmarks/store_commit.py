"""How fast the SQLite store commits: rows a second, latency, bytes of log, with the event loop idle and busy.

    python benchmarks/store_commit.py [--seconds 3] [--folder DIR]

Every commit is fsynced. `entries n` is n journal entries spread over 128 invocations; `call` is what one invocation
costs: created with its first entry, then saved as completed with its last. A busy loop is one that computes for
200 microseconds, looks for events, and goes on, as a loaded runtime does.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import AppendEntry, CreateInvocation, SaveInvocation, Write
from restate_runtime.core.records import Invocation, Status
from restate_runtime.store.sqlite import SqliteStore
from restate_runtime.store.sqlite.batch import statements

NOW_MS = 1_780_000_000_000
ENTRY = b"x" * 60
LIVE = 128
JOURNAL = 22


def record(number: int) -> Invocation:
    digest = hashlib.sha256(number.to_bytes(8, "big")).digest()[:16]
    return Invocation(digest, "bench.v1.Bench", "Work", None, HandlerMode.SERVICE, NOW_MS, traceparent="00-" + "0" * 52)


def entries(size: int) -> Iterator[list[Write]]:
    """Commits of `size` entries for 128 invocations in turn; each is replaced once its journal is long enough."""
    numbers = itertools.count()
    live = [(record(next(numbers)), itertools.count()) for _ in range(LIVE)]
    fresh = set(range(LIVE))
    slots = itertools.cycle(range(LIVE))
    while True:
        writes: list[Write] = []
        for slot in itertools.islice(slots, size):
            invocation, indexes = live[slot]
            index = next(indexes)
            if slot in fresh:
                fresh.discard(slot)
                writes.append(CreateInvocation(invocation))
            writes.append(AppendEntry(invocation.id, index, NOW_MS, ENTRY))
            if index == JOURNAL - 1:
                live[slot] = (record(next(numbers)), itertools.count())
                fresh.add(slot)
        yield writes


def calls(size: int) -> Iterator[list[Write]]:
    """Commits that accept `size` invocations each, and commits that complete them, in turn."""
    numbers = itertools.count()
    while True:
        records = [record(next(numbers)) for _ in range(size)]
        yield [
            write
            for invocation in records
            for write in (CreateInvocation(invocation), AppendEntry(invocation.id, 0, NOW_MS, ENTRY))
        ]
        for invocation in records:
            invocation.status = Status.COMPLETED
            invocation.epoch, invocation.deployment_id = 1, "dep_" + "0" * 26
            invocation.completed_ms, invocation.expires_ms, invocation.result = NOW_MS, NOW_MS, ENTRY
        yield [
            write
            for invocation in records
            for write in (AppendEntry(invocation.id, 1, NOW_MS, ENTRY), SaveInvocation(invocation))
        ]


async def keep_busy(stop: asyncio.Event) -> None:
    while not stop.is_set():
        end = time.perf_counter() + 200e-6
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(0)


@asynccontextmanager
async def busy_loop(busy: bool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(keep_busy(stop)) if busy else None
    yield
    stop.set()
    if task:
        await task


async def measure(name: str, folder: Path, work: Iterator[list[Write]], busy: bool, seconds: float) -> None:
    path = folder / f"{name}-{busy}.db".replace(" ", "-")
    store = SqliteStore(path)
    await store.open()
    latencies: list[float] = []
    rows = 0
    async with busy_loop(busy):
        start = time.perf_counter()
        cpu = time.process_time()
        while time.perf_counter() - start < seconds:
            writes = next(work)
            begin = time.perf_counter()
            await store.commit(writes)
            latencies.append(time.perf_counter() - begin)
            rows += len(writes)
        elapsed = time.perf_counter() - start
        cpu = time.process_time() - cpu
    await store.close()
    latencies.sort()
    points = [latencies[int(len(latencies) * q)] * 1e6 for q in (0.5, 0.9, 0.99)]
    print(
        f"{name:<11} loop {'busy' if busy else 'idle'}  {rows / elapsed:>9,.0f} rows/s  "
        f"{len(latencies) / elapsed:>6,.0f} commits/s  p50 {points[0]:>6.0f}  p90 {points[1]:>6.0f}  "
        f"p99 {points[2]:>6.0f}  max {latencies[-1] * 1e6:>7.0f} us"
        + ("" if busy else f"  cpu {cpu / rows * 1e6:5.1f} us/row")
    )


def measure_conversion(name: str, work: Iterator[list[Write]]) -> None:
    """The share of a commit that is on the event loop."""
    batches = list(itertools.islice(work, 500))
    begin = time.perf_counter()
    for writes in batches:
        statements(writes)
    print(f"{name:<11} on the loop: {(time.perf_counter() - begin) / len(batches) * 1e6:.0f} us a commit")


async def measure_log(name: str, folder: Path, work: Iterator[list[Write]]) -> None:
    """What a commit adds to the write-ahead log, before the log is first copied into the file."""
    path = folder / f"{name}-log.db".replace(" ", "-")
    store = SqliteStore(path)
    await store.open()
    empty = log_bytes(path)
    for writes in itertools.islice(work, 200):
        await store.commit(writes)
    print(f"{name:<11} log: {(log_bytes(path) - empty) / 200 / 1024:.1f} KiB a commit")
    await store.close()


def log_bytes(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to put the databases; default: a temporary one"
    )
    options = parser.parse_args()
    kinds: list[tuple[str, Callable[[], Iterator[list[Write]]]]] = [
        ("entries 3", lambda: entries(3)),
        ("entries 64", lambda: entries(64)),
        ("call 1", lambda: calls(1)),
        ("call 32", lambda: calls(32)),
    ]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, work in kinds:
            for busy in (False, True):
                await measure(name, Path(folder), work(), busy, options.seconds)
            measure_conversion(name, work())
            await measure_log(name, Path(folder), work())


if __name__ == "__main__":
    uvloop.run(main())
