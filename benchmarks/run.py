"""Measures the runtime under closed-loop callers: `make bench`.

Runtime and endpoint are processes of their own, on a fresh SQLite file with the durable defaults (fsync before
anything is acknowledged). Load comes from h2load (Debian package nghttp2-client), which speaks gRPC with a prepared
body. Figures are medians over interleaved rounds; CPU is user and system time of each process during the round. A
round counts only if the database has as many successful invocations more as were called.

In the same rounds runs `bare.py`, the same shape without any rules: `of bare` is our rate as a share of its rate, and
means more than the rates themselves on a machine whose speed drifts. It may drift within a round too, so each is cut
into slices, in which the two take turns; the share is the median over all pairs of slices.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

from tests.e2e.processes import Process, free_port, listens, wait_for

HERE = Path(__file__).parent
DATABASE = "restate.db"
SLICES = 4  # of a round
TICKS = os.sysconf("SC_CLK_TCK")
TEXT = "fifty bytes of payload, as a small request has them"


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of call."""

    name: str
    path: str
    body: bytes
    steps: int
    floor: bool  # whether bare.py does it too


@dataclass(frozen=True, slots=True)
class Figure:
    """What one slice gave, or their medians. Rates are per second, times milliseconds, CPU microseconds per call."""

    work: str
    callers: int
    calls: int
    rate: float
    steps_rate: float
    mean_ms: float
    cpu_runtime_us: float
    cpu_endpoint_us: float
    cpu_load_us: float
    of_bare: float = float("nan")


def works() -> list[Work]:
    """What is measured."""
    text = TEXT.encode()
    echo = b"\x0a" + bytes([len(text)]) + text
    steps = b"\x08\x0a\x12" + bytes([len(text)]) + text
    add = b"\x0a\x03one\x10\x01"
    return [
        Work("W1 echo", "/load.v1.Load/Echo", echo, 0, True),
        Work("W2 ten steps", "/load.v1.Load/Steps", steps, 10, True),
        Work("W3 counter, one key", "/load.v1.Counter/Add", add, 0, False),
    ]


@dataclass
class Rig:
    """A runtime and an endpoint, with their database in the folder."""

    folder: Path
    runtime: Process
    endpoint: Process
    port: int

    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds so far: runtime, endpoint."""
        return cpu_s(self.runtime.running.pid), cpu_s(self.endpoint.running.pid)

    def completed(self) -> int:
        """How many invocations have completed."""
        return self.with_status("completed")

    def with_status(self, status: str) -> int:
        """How many invocations have this status, as stored."""
        with sqlite3.connect(f"file:{self.folder / DATABASE}?mode=ro", uri=True) as db:
            (count,) = db.execute("SELECT count(*) FROM invocations WHERE status = ?", (status,)).fetchone()
        return int(count)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextmanager
def started(runtime: Process, endpoint: Process, ports: list[int]) -> Iterator[None]:
    """Both processes, listening; gone at the end, with their folder."""
    try:
        for process, port in zip((endpoint, runtime, runtime), ports, strict=False):
            if process.popen is None:
                process.start()
            wait_for(lambda p=process, n=port: listens(n) or not p.alive(), "a process to listen")  # type: ignore[misc]
            assert process.alive(), process.log.read_text()
        yield
    finally:
        for process in (runtime, endpoint):
            if process.popen is not None:
                process.kill()
        shutil.rmtree(runtime.folder, ignore_errors=True)


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR")))


@contextmanager
def rig(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Rig]:
    """The runtime and an endpoint, registered.

    Args:
        settings: of the runtime, by environment variable.
    """
    folder, ingress, admin, service = _folder(), free_port(), free_port(), free_port()
    env = {
        "RESTATE_INGRESS_GRPC_PORT": str(ingress),
        "RESTATE_INGRESS_HTTP_PORT": "0",
        "RESTATE_ADMIN_GRPC_PORT": str(admin),
        "RESTATE_ADMIN_HTTP_PORT": "0",
        **settings,
    }
    protos = HERE / "protos"
    subprocess.run([_script("restate-codegen"), "generate", str(protos), "--out", "gen"], cwd=folder, check=True)
    runtime = Process([_script("restate-runtime"), "start", "--db", DATABASE], folder, folder / "runtime.log", env)
    endpoint = Process([sys.executable, str(HERE / "app.py"), str(service)], folder, folder / "endpoint.log")
    with started(runtime, endpoint, [service, ingress, admin]):
        register = ["--admin", f"127.0.0.1:{admin}", "deployments", "register", f"127.0.0.1:{service}"]
        subprocess.run([_script("restate-cli"), *register], check=True, stdout=subprocess.DEVNULL)
        yield Rig(folder, runtime, endpoint, ingress)


@contextmanager
def bare_rig() -> Iterator[Rig]:
    """The floor."""
    folder, ingress, service = _folder(), free_port(), free_port()
    program = [sys.executable, str(HERE / "bare.py")]
    runtime_args = ["runtime", str(ingress), str(service), DATABASE]
    runtime = Process([*program, *runtime_args], folder, folder / "runtime.log")
    endpoint = Process([*program, "endpoint", str(service)], folder, folder / "endpoint.log")
    with started(runtime, endpoint, [service, ingress]):
        yield Rig(folder, runtime, endpoint, ingress)


def measure(one: Rig, work: Work, callers: int, calls: int) -> Figure:
    """One slice of a round.

    Raises:
        RuntimeError: not every call led to a completed invocation.
    """
    body = one.folder / "body.bin"
    body.write_bytes(b"\x00" + len(work.body).to_bytes(4, "big") + work.body)
    connections = max(1, min(callers, 8)) if callers > 1 else 1
    command = ["h2load", "-n", str(calls), "-c", str(connections), "-m", str(max(1, callers // connections))]
    command += ["-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    command.append(f"http://127.0.0.1:{one.port}{work.path}")
    before, cpu, load = one.completed(), one.cpu_s(), os.times().children_user + os.times().children_system
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after, cpu_after = one.completed(), one.cpu_s()
    load_after = os.times().children_user + os.times().children_system
    if after - before != calls:
        raise RuntimeError(f"{calls} calls, but {after - before} completed invocations:\n{out}")
    rate, mean_ms = _parse(out)
    micros = 1e6 / calls
    return Figure(
        work.name,
        callers,
        calls,
        rate,
        rate * work.steps,
        mean_ms,
        (cpu_after[0] - cpu[0]) * micros,
        (cpu_after[1] - cpu[1]) * micros,
        (load_after - load) * micros,
    )


def _parse(out: str) -> tuple[float, float]:
    finished = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", out)
    times = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", out)
    if finished is None or times is None or " 0 failed, 0 errored" not in out:
        raise RuntimeError(f"h2load did not do what it should:\n{out}")
    return float(finished.group(1)), _ms(times.group(1))


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def medians(figures: list[Figure]) -> Figure:
    """The median of each figure over the slices."""
    rows = [asdict(one) for one in figures]
    names = [name for name, value in rows[0].items() if isinstance(value, float) and name != "of_bare"]
    return Figure(**{**rows[0], **{name: statistics.median(row[name] for row in rows) for name in names}})


def report(figures: list[Figure]) -> str:
    """The table."""
    head = f"{'work':22} {'callers':>7} {'calls/s':>9} {'steps/s':>9} {'mean ms':>8} {'of bare':>8}   CPU us per call: "
    lines = [head + f"{'runtime':>8} {'endpoint':>8} {'load':>6}"]
    for one in figures:
        lines.append(
            f"{one.work:22} {one.callers:>7} {one.rate:>9.0f} {one.steps_rate:>9.0f} {one.mean_ms:>8.2f}"
            f" {one.of_bare:>8.2f}{'':20}{one.cpu_runtime_us:>8.0f} {one.cpu_endpoint_us:>8.0f} {one.cpu_load_us:>6.0f}"
        )
    return "\n".join(lines)


def compared(cases: list[tuple[Work, int, int]], rounds: int) -> list[Figure]:
    """Medians of all slices: ours, with their share of the floor's where it knows the work."""
    ours: dict[tuple[str, int], list[Figure]] = {}
    floor: dict[tuple[str, int], list[Figure]] = {}
    with rig() as one, bare_rig() as bare:
        for number in range(rounds + 1):
            print(f"round {number} of {rounds} …" if number else "warming up …", file=sys.stderr)
            for work, callers, calls in cases:
                turns = [(ours, one), (floor, bare)] if work.floor else [(ours, one)]
                for _ in range(SLICES if number else 1):
                    for some, where in turns:
                        figure = measure(where, work, callers, max(callers, calls // SLICES))
                        if number:
                            some.setdefault((work.name, callers), []).append(figure)
                    turns.reverse()  # who is first in a pair is second in the next
    return [_with_share(figures, floor.get(place, [])) for place, figures in ours.items()]


def _with_share(figures: list[Figure], floor: list[Figure]) -> Figure:
    shares = [one.rate / bare.rate for one, bare in zip(figures, floor, strict=False)]
    return replace(medians(figures), of_bare=statistics.median(shares)) if shares else medians(figures)


def main() -> None:
    """Runs all rounds and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", default="1,32,128", help="numbers of closed-loop callers, commas between")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help="how many calls, as a multiple of the default")
    parser.add_argument("--only", default="", help="only works whose name contains this")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    args = parser.parse_args()
    if shutil.which("h2load") is None:
        sys.exit("h2load is missing: apt-get install nghttp2-client")
    cases = [
        (work, int(callers), int((400 + 60 * min(int(callers), 100)) * args.scale / (2 if work.steps else 1)))
        for work in works()
        if args.only in work.name
        for callers in args.callers.split(",")
    ]
    figures = compared(cases, args.rounds)
    print(report(figures))
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
