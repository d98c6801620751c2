"""Measures a runtime with very many sleeping invocations: `python -m benchmarks.sleepers [--count 1000000]`.

How much memory it has resident, and how long it takes to be ready again after kill -9. Half of the sleepers are
invocations of a service, half are exclusive ones of an object, each on a key of its own. One of each kind falls
asleep in a real runtime; the others are copies of its rows, written through the store's contract, because a million
real ones take the better part of an hour. Some of the timers are due when the runtime starts: these sleepers have to
wake up and complete, on replay, or the figures do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from restate_protocol import ids
from restate_runtime.core.decision import AppendEntry, CreateInvocation, PutTimer, RecordAttempt, Write
from restate_runtime.core.records import Attempt, Invocation, JournalRow, Timer
from restate_runtime.store.base import Store
from restate_runtime.store.sqlite.store import SqliteStore
from restate_runtime.testing import Environment, Overrides, VirtualClock, environment
from restate_sdk import Endpoint
from restate_sdk.endpoint import RunningEndpoint

from tests.e2e.processes import Process, wait_for
from tests.sdk.gen.shop.v1.shop_pb import AddRequest, PayRequest
from tests.sdk.gen.shop.v1.shop_restate import CartClient, CheckoutClient
from tests.sdk.handlers import Cart, Checkout

#: How many sleepers one commit writes.
CHUNK = 5_000
YEAR = timedelta(days=365)
_READY = re.compile(r"ready .*admin_grpc=(\S+)")


@dataclass(frozen=True, slots=True)
class Asleep:
    """What the store has of one sleeper."""

    record: Invocation
    rows: list[JournalRow]
    attempts: list[Attempt]
    timers: list[Timer]


@dataclass(frozen=True, slots=True)
class Figure:
    """One life of the runtime. Memory is resident, in MiB: when ready, when the wakers are done, and the peak."""

    life: str
    ready_s: float
    memory_ready_mib: float
    memory_mib: float
    memory_peak_mib: float
    woke: int


def endpoint() -> Endpoint:
    """Handlers that sleep for a year."""

    async def pay(ctx: Any) -> str:
        await ctx.sleep(YEAR)
        return "rested"

    async def add(ctx: Any) -> list[str]:
        await ctx.sleep(YEAR)
        return ["rested"]

    return Endpoint(Checkout(pay), Cart(add=add, look=add))


# Filling the store


async def fill(path: Path, count: int, due: int) -> None:
    """Makes a database with `count` sleepers, of which `due` are due now."""
    clock = VirtualClock(datetime.now(UTC))
    suspend = Overrides(inactivity_timeout=timedelta())
    async with environment(endpoint(), store=path, skip_time=False, clock=clock, overrides=suspend) as env:
        plain = await CheckoutClient(env.connection).pay.send(PayRequest())
        keyed = await CartClient(env.connection).add.send(AddRequest(cart_id=1, item="book"))
        await env.settle()
        store = SqliteStore(str(path))
        models = [await _asleep(env, one.invocation_id) for one in (plain, keyed)]
    await store.open()
    try:
        await _copy(store, models, count, due)
    finally:
        await store.close()


async def _asleep(env: Environment, invocation_id: str) -> Asleep:
    id_ = ids.parse_invocation_id(invocation_id)
    store = env.store
    record = await store.invocation(id_)
    assert record is not None
    timers = [timer for timer in await store.timers(None, 10) if timer.invocation_id == id_]
    return Asleep(record, await store.journal(id_), await store.attempts(id_), timers)


async def _copy(store: Store, models: list[Asleep], count: int, due: int) -> None:
    for begin in range(0, count, CHUNK):
        writes: list[Write] = []
        for number in range(begin, min(begin + CHUNK, count)):
            writes += _writes(models[number % 2], number, is_due=number < 2 * due and number % 2 == 0)
        await store.commit(writes)
        print(f"\r{begin + CHUNK:>10,} asleep", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _writes(model: Asleep, number: int, *, is_due: bool) -> Iterator[Write]:
    record = model.record
    id_ = ids.fresh_invocation_id(record.created_ms, os.urandom(10))
    key, queue_seq = (None, None) if record.key is None else (str(number + 2), number + 2)
    yield CreateInvocation(replace(record, id=id_, key=key, queue_seq=queue_seq))
    for row in model.rows:
        yield AppendEntry(id_, row.index, row.at_ms, row.entry)
    for attempt in model.attempts:
        yield RecordAttempt(replace(attempt, invocation_id=id_))
    for timer in model.timers:
        yield PutTimer(replace(timer, invocation_id=id_, due_ms=record.created_ms if is_due else timer.due_ms + number))


# One life


def _memory_mib(pid: int, what: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024


def _completed(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
        found: int = connection.execute("SELECT count(*) FROM invocations WHERE status = 'completed'").fetchone()[0]
    return found


def _started(path: Path, log: Path) -> tuple[Process, str, float]:
    command = [str(Path(sys.executable).parent / "restate-runtime"), "start", "--db", str(path)]
    for port in ("ingress-grpc", "ingress-http", "admin-grpc", "admin-http"):
        command += [f"--{port}-port", "0"]
    process = Process(command, path.parent, log)
    began = time.monotonic()
    process.start()
    while not (found := _READY.search(log.read_text() if log.exists() else "")):
        assert process.alive(), log.read_text()
        time.sleep(0.005)
    return process, found[1], time.monotonic() - began


async def life(name: str, path: Path, wakes: int) -> Figure:
    """Starts the runtime, lets what is due wake up, measures, and kills it."""
    process, admin, ready_s = await asyncio.to_thread(_started, path, path.parent / f"{name}.log")
    running: RunningEndpoint | None = None
    try:
        pid = process.running.pid
        memory_ready = _memory_mib(pid, "VmRSS")
        running = await endpoint().dial_async(admin)
        await asyncio.to_thread(wait_for, lambda: _completed(path) >= wakes, f"{wakes} sleepers to complete")
        memory, peak = _memory_mib(pid, "VmRSS"), _memory_mib(pid, "VmHWM")
    finally:
        await asyncio.to_thread(process.kill)
        if running is not None:
            await running.stop(0)
    return Figure(name, ready_s, memory_ready, memory, peak, _completed(path))


async def measure(folder: Path, count: int, due: int) -> list[Figure]:
    """Fills a database and lives twice on it; the second life begins after kill -9."""
    path = folder / "sleepers.db"
    await fill(path, count, due)
    print(f"the database has {path.stat().st_size / 2**20:,.0f} MiB", file=sys.stderr)
    return [await life("first start", path, due), await life("after kill -9", path, due)]


def main() -> None:
    """Prints a table, and JSON for machines with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many invocations sleep")
    parser.add_argument("--due", type=int, default=1_000, help="how many of them are due at the first start")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sleepers-") as folder:
        figures = asyncio.run(measure(Path(folder), options.count, options.due))
    if options.json:
        print(json.dumps({"sleepers": options.count, "lives": [asdict(one) for one in figures]}))
        return
    print(f"{options.count:,} sleeping invocations")
    print(f"{'':<16}{'ready':>9}{'memory when ready':>20}{'after waking':>15}{'peak':>12}{'woke':>9}")
    for one in figures:
        memory = f"{one.memory_ready_mib:>16,.0f} MiB{one.memory_mib:>11,.0f} MiB{one.memory_peak_mib:>8,.0f} MiB"
        print(f"{one.life:<16}{one.ready_s:>7.2f} s{memory}{one.woke:>9,}")


if __name__ == "__main__":
    main()
