"""Measures the Python client's ways to call: `python -m benchmarks.clients`.

Each round is a process of its own with so many callers, each of which calls an echo handler again and again: tasks
over a session, tasks that make a gRPC call each, or threads on a blocking connection. Runtime and endpoint are those of
`benchmarks.run`: processes of their own, fsync before anything is acknowledged. CPU is user and system time of each
process during the round, start and warm-up of the client left out; figures are medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import restate_client
from restate_client import sync

from benchmarks.run import TEXT, Rig, rig

WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Round:
    """One round. Rates are per second, CPU is microseconds per call."""

    way: str
    callers: int
    rate: float
    client_us: float
    runtime_us: float
    endpoint_us: float


def tasks(address: str, callers: int, calls: int, begin: Callable[[], None], *, session: bool) -> None:
    """So many tasks of one event loop share the calls."""
    import uvloop

    async def main() -> None:
        async with restate_client.connect(address, session=session) as restate:
            await _share(restate, callers, max(WARM_UP, callers))
            begin()
            await _share(restate, callers, calls)

    uvloop.run(main())


async def _share(restate: restate_client.Connection, callers: int, calls: int) -> None:
    client, request = _echo(restate)
    left = iter(range(calls))

    async def call() -> None:
        for _ in left:
            await client.echo(request)

    await asyncio.gather(*(call() for _ in range(callers)))


def threads(address: str, callers: int, calls: int, begin: Callable[[], None]) -> None:
    """So many threads share the calls."""
    with sync.connect(address) as restate:
        client, request = _echo(restate)

        def share(count: int) -> None:
            left, lock = iter(range(count)), threading.Lock()

            def call() -> None:
                while True:
                    with lock:
                        if next(left, None) is None:
                            return
                    client.echo(request)

            running = [threading.Thread(target=call) for _ in range(callers)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()

        share(max(WARM_UP, callers))
        begin()
        share(calls)


def _echo(restate: Any) -> tuple[Any, Any]:
    from gen.load.v1.load_pb import EchoRequest  # type: ignore[import-not-found]
    from gen.load.v1.load_restate import LoadClient  # type: ignore[import-not-found]

    return LoadClient(restate), EchoRequest(text=TEXT)


def client(way: str, address: str, callers: int, calls: int) -> None:
    """One round's client: says when it begins and what it took."""
    began: list[float] = []

    def begin() -> None:
        print("begin", flush=True)
        sys.stdin.readline()
        began.extend((time.perf_counter(), time.process_time()))

    if way == "threads":
        threads(address, callers, calls, begin)
    else:
        tasks(address, callers, calls, begin, session=way == "session")
    print(json.dumps([time.perf_counter() - began[0], time.process_time() - began[1]]), flush=True)


def measure(one: Rig, way: str, callers: int, calls: int) -> Round:
    """One round."""
    address = f"127.0.0.1:{one.port}"
    command = [sys.executable, "-m", "benchmarks.clients", "--client", way, "--address", address]
    command += ["--callers", str(callers), "--calls", str(calls)]
    env = {"PYTHONPATH": f"{one.folder}:."}
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert running.stdin is not None
    assert running.stdout is not None
    with running:
        if running.stdout.readline() != "begin\n":
            raise RuntimeError(f"the client {way} did not begin")
        before = one.cpu_s()
        running.stdin.write("go\n")
        running.stdin.flush()
        wall_s, cpu_s = json.loads(running.stdout.readline())
        after = one.cpu_s()
    micros = 1e6 / calls
    runtime_us, endpoint_us = ((now - then) * micros for now, then in zip(after, before, strict=True))
    return Round(way, callers, calls / wall_s, cpu_s * micros, runtime_us, endpoint_us)


def report(rounds: list[Round]) -> str:
    """The medians, as a table."""
    lines = [
        f"{'callers':>7}  {'way':8} {'calls/s':>8}   CPU us per call: {'client':>6} {'runtime':>8} {'endpoint':>8}"
    ]
    for callers, way in dict.fromkeys((one.callers, one.way) for one in rounds):
        some = [one for one in rounds if (one.callers, one.way) == (callers, way)]
        rate, *cpu = (
            statistics.median(getattr(one, name) for one in some)
            for name in ("rate", "client_us", "runtime_us", "endpoint_us")
        )
        lines.append(f"{callers:>7}  {way:8} {rate:>8.0f}{'':20}{cpu[0]:>6.0f} {cpu[1]:>8.0f} {cpu[2]:>8.0f}")
    return "\n".join(lines)


def main() -> None:
    """Runs all rounds and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", default="1,32,128,1000", help="numbers of callers, commas between")
    parser.add_argument("--ways", default="session,unary,threads", help="which ways, commas between")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the median counts")
    parser.add_argument("--calls", type=int, default=6000, help="calls in a round; a tenth of it with one caller")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        client(args.client, args.address, int(args.callers), args.calls)
        return
    rounds: list[Round] = []
    with rig() as one:
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds} …", file=sys.stderr)
            for callers in map(int, args.callers.split(",")):
                calls = args.calls if callers > 1 else args.calls // 10
                rounds += [
                    measure(one, way, callers, calls)
                    for way in args.ways.split(",")
                    if callers < 500 or way != "threads"
                ]
    print(report(sorted(rounds, key=lambda one: one.callers)))


if __name__ == "__main__":
    main()
