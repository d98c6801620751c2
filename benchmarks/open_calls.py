"""Measures a runtime with thousands of open calls: `python -m benchmarks.open_calls [--calls 5000]`.

So many callers each wait, on the gRPC ingress, for a handler that awaits an awakeable; their invocations are suspended
meanwhile. Then all awakeables are resolved, and every caller gets its answer, or the figures do not count. Before the
calls, while they are open, and while they are answered, unrelated calls measure what everybody else notices of it.

Runtime and endpoint are processes of their own, with the durable defaults but for the inactivity timeout. Memory is
the runtime's resident memory, CPU its user and system time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from protobuf import Oneof
from restate_protocol import ids
from restate_protocol.gen.restate.ingress.v1 import ingress_pb

from benchmarks.run import TEXT, Rig, cpu_s, rig

WAIT = "/load.v1.Load/Wait"
ECHO = "/load.v1.Load/Echo"
RESOLVE = "/restate.ingress.v1.Ingress/ResolveAwakeable"
ECHO_BODY = b"\x0a" + bytes([len(TEXT)]) + TEXT.encode()

#: How many calls go over one connection.
CALLS_PER_CHANNEL = 500
#: How many awakeables are resolved at once.
RESOLVERS = 64
#: How many callers make unrelated calls.
OTHERS = 4
#: How long unrelated calls are measured where nothing else says when to stop, in seconds.
QUIET_S = 3.0

SETTINGS = {"RESTATE_DEFAULT_INACTIVITY_TIMEOUT_MS": "100", "RESTATE_MAX_WAITING_CALLERS": "1000000"}


@dataclass(frozen=True, slots=True)
class Phase:
    """Unrelated calls during one phase. Times in milliseconds, CPU of the runtime as a share of one core."""

    name: str
    seconds: float
    others: int
    p50_ms: float
    p99_ms: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. Rates per second, memory in MiB, `kib_per_call` of the runtime."""

    calls: int
    open_rate: float
    answer_rate: float
    memory_before_mib: float
    memory_open_mib: float
    memory_after_mib: float
    kib_per_call: float
    phases: list[Phase]


class Others:
    """Callers who have nothing to do with it."""

    def __init__(self, call: Callable[[bytes], Awaitable[bytes]], pid: int) -> None:
        self._call = call
        self._pid = pid
        self.phases: list[Phase] = []

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """Measures while the block runs."""
        times: list[float] = []
        cpu, began = cpu_s(self._pid), time.perf_counter()
        callers = [asyncio.create_task(self._forever(times)) for _ in range(OTHERS)]
        try:
            yield
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
        for caller in callers:
            if not caller.cancelled():
                await caller  # it failed
        seconds = time.perf_counter() - began
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
        used = (cpu_s(self._pid) - cpu) / seconds
        self.phases.append(Phase(name, seconds, len(times), cuts[49] * 1e3, cuts[98] * 1e3, used))

    async def _forever(self, times: list[float]) -> None:
        while True:
            began = time.perf_counter()
            await self._call(ECHO_BODY)
            times.append(time.perf_counter() - began)


def _memory_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def _opened(channels: list[grpc.aio.Channel], count: int) -> list[tuple[str, Any]]:
    """So many calls under way, each with the id of its invocation, which is durable.

    Called as streams, which is the same on the wire: of unary calls grpcio shows initial metadata only at the end.
    """
    methods: list[Any] = [channel.unary_stream(WAIT) for channel in channels]
    calls = [methods[number % len(methods)](b"") for number in range(count)]
    return [(await _invocation_id(call), call) for call in calls]


async def _invocation_id(call: Any) -> str:
    found = dict(await call.initial_metadata()).get("restate-invocation-id")
    if found is None:
        raise RuntimeError(f"a call was not accepted: {await call.code()}, {await call.details()}")
    return str(found)


async def _resolve_all(channels: list[grpc.aio.Channel], invocations: list[str]) -> None:
    left = iter(enumerate(invocations))
    methods: list[Any] = [channel.unary_unary(RESOLVE) for channel in channels]

    async def some() -> None:
        for number, text in left:
            id_ = ids.awakeable_id_text(ids.parse_invocation_id(text), 1)
            value: Any = Oneof("json", '"done"')
            request = ingress_pb.ResolveAwakeableRequest(awakeable_id=id_, value=value)
            await methods[number % len(methods)](request.to_binary())

    await asyncio.gather(*(some() for _ in range(RESOLVERS)))


async def _all_suspended(one: Rig, count: int) -> None:
    while one.with_status("suspended") < count:  # noqa: ASYNC110 (another process knows)
        await asyncio.sleep(0.1)


async def measure(one: Rig, count: int, quiet_s: float = QUIET_S) -> Figures:
    """Opens the calls, waits until their invocations are suspended, resolves them, and takes every answer.

    Raises:
        RuntimeError: a call is not accepted, or an answer is not the one that was given.
    """
    pid = one.runtime.running.pid
    local = [("grpc.use_local_subchannel_pool", 1)]
    address = f"127.0.0.1:{one.port}"
    channels = [grpc.aio.insecure_channel(address, options=local) for _ in range(1 + -(-count // CALLS_PER_CHANNEL))]
    echo: Any = channels.pop().unary_unary(ECHO)
    others = Others(echo, pid)
    try:
        async with others.phase("before"):
            await asyncio.sleep(quiet_s)
        before = _memory_mib(pid)
        began = time.perf_counter()
        async with others.phase("opening"):
            calls = await _opened(channels, count)
            opened_s = time.perf_counter() - began
            await _all_suspended(one, count)
        async with others.phase("open"):
            await asyncio.sleep(quiet_s)
        open_mib = _memory_mib(pid)
        began = time.perf_counter()
        async with others.phase("answering"):
            await _resolve_all(channels, [text for text, _ in calls])
            answers = await asyncio.gather(*(call.read() for _, call in calls))
        answered_s = time.perf_counter() - began
    finally:
        for channel in channels:
            await channel.close()
    if set(answers) != {b"\x0a\x04done"}:
        raise RuntimeError("a caller got an answer that nobody gave")
    per_call = (open_mib - before) * 1024 / count
    after = _memory_mib(pid)
    return Figures(count, count / opened_s, count / answered_s, before, open_mib, after, per_call, others.phases)


def report(figures: Figures) -> str:
    """The figures for people."""
    lines = [
        f"{figures.calls:,} open calls: opened at {figures.open_rate:,.0f}/s, answered at {figures.answer_rate:,.0f}/s",
        f"memory of the runtime: {figures.memory_before_mib:,.0f} MiB before, {figures.memory_open_mib:,.0f} MiB open "
        f"({figures.kib_per_call:.1f} KiB each), {figures.memory_after_mib:,.0f} MiB after",
        f"{'unrelated calls':<16}{'seconds':>9}{'calls':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU of the runtime':>21}",
    ]
    for one in figures.phases:
        times = f"{one.p50_ms:>9.2f}{one.p99_ms:>9.2f}"
        lines.append(f"{one.name:<16}{one.seconds:>9.1f}{one.others:>8,}{times}{one.cpu:>20.0%}")
    return "\n".join(lines)


def main() -> None:
    """Prints the figures, or JSON for machines with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000, help="how many calls are open at once")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with rig(SETTINGS) as one:
        figures = asyncio.run(measure(one, options.calls))
    print(json.dumps(asdict(figures)) if options.json else report(figures))


if __name__ == "__main__":
    main()
