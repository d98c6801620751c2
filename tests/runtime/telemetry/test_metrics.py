"""Metrics: what is counted from reports, what is read at a scrape, and that all of it is documented."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.config import Settings
from restate_runtime.core.decision import CreateInvocation, Report
from restate_runtime.core.records import Invocation, Status
from restate_runtime.core.world import Hot, Phase, World
from restate_runtime.engine.commit_times import CommitTimes
from restate_runtime.engine.overload import Load, LoadLimits
from restate_runtime.ingress.answers import Answers
from restate_runtime.ingress.errors import HANDLER, INGRESS, Answer
from restate_runtime.server import Server
from restate_runtime.store.memory import MemoryStore
from restate_runtime.telemetry.metrics import Metrics

REFERENCE = Path(__file__).parents[3] / "docs/reference/metrics.md"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def id_of(number: int) -> bytes:
    return bytes([number]) * 16


def record(number: int, **changes: Any) -> Invocation:
    one = Invocation(id_of(number), "shop.v1.Cart", "Add", None, HandlerMode.SERVICE, 1_000)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


class Rig:
    """Metrics over an engine and a dispatcher that are made up."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.world = World()
        self.times = CommitTimes()
        self.grpc = Answers()
        self.live: dict[bytes, str] = {}
        engine: Any = SimpleNamespace(
            world=self.world,
            commit_times=self.times,
            live_status=self.live.get,
            load=lambda: Load(waiting_callers=1, queued_invocations=2, bytes_in_flight=3),
            doorkeeper=SimpleNamespace(limits=LoadLimits(10, 20, 30)),
        )
        sessions = [SimpleNamespace(deployment_id="dep_1")] * 2
        self.parked: list[bytes] = []
        dispatcher: Any = SimpleNamespace(
            waiting=lambda: {"dep_2": 3}, all_sessions=lambda: sessions, parked=lambda: iter(self.parked)
        )
        self.metrics = Metrics(self.store, engine, dispatcher, {"grpc": self.grpc})

    def put(self, number: int, **changes: Any) -> Hot:
        hot = self.world.invocations[id_of(number)] = Hot(record(number, **changes), None)
        return hot

    def report(self, kind: str, number: int = 1) -> None:
        self.metrics.report(Report(kind, id_of(number)))

    async def samples(self) -> Samples:
        _, page = await self.metrics.page("")
        return samples_of(page.decode())


def samples_of(page: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def of(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.store.open()
    return rig


def encoded(result: j.Result) -> bytes:
    return j.result_to_pb(result).to_binary()


async def test_invocations_are_shown_by_status(rig: Rig) -> None:
    stored = [Status.PAUSED, Status.PAUSED, Status.SUSPENDED, Status.COMPLETED]
    await rig.store.commit([CreateInvocation(record(number, status=one)) for number, one in enumerate(stored)])
    for number, live in enumerate(["running", "running", "backing-off"], start=10):
        rig.put(number)
        rig.live[id_of(number)] = live
    rig.parked = [id_of(20)]
    rig.live[id_of(20)] = "ready"
    found = await rig.samples()
    expected = {"scheduled": 0, "queued": 0, "ready": 1, "running": 2, "backing-off": 1, "suspended": 1, "paused": 2}
    assert {status: found[of("restate_invocations", status=status)] for status in expected} == expected


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (j.Value(b""), "OK"),
        (j.Void(), "OK"),
        (j.Failure(1, "cancelled"), "CANCELLED"),
        (j.Failure(10, "killed"), "ABORTED"),
        (j.Failure(9, "sold out", "shop.v1.SoldOut", b"x"), "FAILED_PRECONDITION"),
    ],
)
async def test_completed_ones_are_counted_by_service_and_code(rig: Rig, result: j.Result, code: str) -> None:
    rig.put(1, status=Status.COMPLETED, result=encoded(result))
    rig.report("completed")
    rig.report("completed")
    key = of("restate_invocations_completed_total", service="shop.v1.Cart", code=code)
    assert (await rig.samples())[key] == 2


async def test_attempts_are_counted_by_how_they_ended(rig: Rig) -> None:
    rig.put(1, result=encoded(j.Value(b""))).output = j.Value(b"")
    rig.put(2, result=encoded(j.Failure(10, "killed")))
    for kind, number in [("suspended", 1), ("attempt_failed", 1), ("attempt_lost", 2), ("completed", 1)]:
        rig.report(kind, number)
    rig.report("completed", 2)  # killed: no attempt gave the output
    found = await rig.samples()
    outcomes = {"suspended": 1, "failed": 1, "lost": 1, "completed": 1}
    assert {one: found[of("restate_attempts_total", outcome=one)] for one in outcomes} == outcomes


async def test_what_is_tried_again_is_a_retry_and_what_pauses_is_not(rig: Rig) -> None:
    rig.put(1).phase = Phase.BACKING_OFF
    rig.put(2, status=Status.PAUSED)
    for kind, number in [("attempt_failed", 1), ("attempt_failed", 2), ("paused", 2), ("run_failed", 1)]:
        rig.report(kind, number)
    found = await rig.samples()
    assert found[of("restate_retries_total", of="attempt")] == 1
    assert found[of("restate_retries_total", of="run")] == 1
    assert found[of("restate_invocations_paused_total")] == 1


async def test_queues_and_sessions_are_shown_by_deployment(rig: Rig) -> None:
    rig.world.enqueue(("shop.v1.Cart", "ada"), id_of(1))
    found = await rig.samples()
    assert found[of("restate_keys_held")] == 1
    assert found[of("restate_attempts_waiting", deployment="dep_2")] == 3
    assert found[of("restate_attempts_waiting", deployment="dep_1")] == 0
    assert found[of("restate_sessions", deployment="dep_1")] == 2


async def test_commit_times_are_a_histogram(rig: Rig) -> None:
    for seconds in (0.0005, 0.0008, 30.0):
        rig.times.note(seconds)
    found = await rig.samples()
    assert [found[of("restate_commit_seconds_bucket", le=end)] for end in ("0.0005", "0.001", "2.5", "+Inf")] == [
        1.0,
        2.0,
        2.0,
        3.0,
    ]
    assert found[of("restate_commit_seconds_sum")] == pytest.approx(30.0013)


async def test_requests_are_counted_by_code_and_refusals_by_reason(rig: Rig) -> None:
    rig.grpc.ok = 5
    rig.grpc.note(Answer(INGRESS, StatusCode.INVALID_ARGUMENT, ""))
    rig.grpc.note(Answer(HANDLER, StatusCode.INVALID_ARGUMENT, ""))
    found = await rig.samples()
    assert found[of("restate_ingress_requests_total", protocol="grpc", code="OK")] == 5
    assert found[of("restate_ingress_requests_total", protocol="grpc", code="INVALID_ARGUMENT")] == 2
    assert found[of("restate_ingress_refusals_total", protocol="grpc", reason="invalid_request")] == 1


async def test_how_much_work_there_is_stands_beside_how_much_is_taken(rig: Rig) -> None:
    found = await rig.samples()
    for of_what, now, most in (("waiting_callers", 1, 10), ("queued_invocations", 2, 20), ("bytes_in_flight", 3, 30)):
        assert found[of("restate_load", of=of_what)] == now
        assert found[of("restate_load_limit", of=of_what)] == most


async def test_open_metrics_are_given_to_who_asks_for_them(rig: Rig) -> None:
    content_type, page = await rig.metrics.page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


async def test_a_runtime_serves_its_metrics(tmp_path: Path) -> None:
    ports: dict[str, Any] = {f"{name}_port": 0 for name in ("ingress_grpc", "ingress_http", "admin_grpc", "admin_http")}
    server = Server(replace(Settings(), db=str(tmp_path / "x.db"), drain_grace_ms=1, **ports), MemoryStore())
    try:
        bound = await asyncio.wait_for(server.start(), 60)
        async with httpx.AsyncClient() as client:
            await client.post(f"http://127.0.0.1:{bound.ingress_http}/no.v1.Service/Do", json={})
            page = (await client.get(f"http://127.0.0.1:{bound.admin_http}/metrics")).text
    finally:
        await server.stop()
    found = samples_of(page)
    assert found[of("restate_ingress_refusals_total", protocol="http", reason="unknown_service")] == 1
    assert found[of("restate_ingress_requests_total", protocol="http", code="UNIMPLEMENTED")] == 1


async def test_every_metric_is_in_the_reference_and_nothing_else(rig: Rig) -> None:
    _, page = await rig.metrics.page("")
    shown = {family.name for family in text_string_to_metric_families(page.decode())}
    ours = {name for name in shown if name.startswith("restate_")}
    described = set(re.findall(r"^\| `(restate_\w+)`", REFERENCE.read_text(), re.MULTILINE))
    assert {name.removesuffix("_total") for name in described} == ours
