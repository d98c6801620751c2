"""Spans over OTLP to a collector in this process: ids, times, parents, links, resources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from restate_protocol.ids import invocation_id_text
from restate_runtime.config import load
from restate_runtime.core.decision import Report
from restate_runtime.core.spans import Link, Span, SpanKind
from restate_runtime.telemetry.otel import OtlpTarget, readable
from restate_runtime.telemetry.traces import Traces

from tests.runtime.telemetry.conftest import World


class Collector:
    """Remembers what it gets."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.got = asyncio.Event()
        self.address = ""

    async def export(self, data: bytes, _: Any) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.spans += [(names["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        self.got.set()
        return ExportTraceServiceResponse().SerializeToString()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    one = Collector()
    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Export": grpc.unary_unary_rpc_method_handler(one.export)}
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    one.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield one
    await server.stop(None)


def span(**changes: Any) -> Span:
    values: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "parent_id": "00f067aa0ba902b7",
        "name": "run charge",
        "kind": SpanKind.PRODUCER,
        "start_ms": 1_000,
        "end_ms": 2_000,
        "attributes": {"rpc.service": "shop.v1.Cart", "restate.attempt.epoch": 2, "flag": True},
        "error": "UNKNOWN: boom",
        "links": (Link("1" * 32, "2" * 16),),
    }
    return Span(**{**values, **changes})


async def test_a_span_reaches_the_collector_as_it_is(collector: Collector) -> None:
    target = OtlpTarget(collector.address)
    assert await target.export([span()])
    await target.close()
    ((service, got),) = collector.spans
    assert service == "shop.v1.Cart"
    assert (got.trace_id.hex(), got.span_id.hex(), got.parent_span_id.hex()) == (
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
        "00f067aa0ba902b7",
    )
    assert (got.start_time_unix_nano, got.end_time_unix_nano) == (1_000_000_000, 2_000_000_000)
    assert (got.status.message, got.kind, got.links[0].span_id.hex()) == ("UNKNOWN: boom", 4, "2" * 16)
    assert {one.key for one in got.attributes} == {"rpc.service", "restate.attempt.epoch", "flag"}


async def test_the_settings_lead_from_a_report_to_the_collector(collector: Collector, world: World) -> None:
    one = await world.put(1)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
    telemetry = Traces(world.store, load({}, {}), lambda: 10_000, environ)
    await telemetry.start()
    telemetry.report(Report("suspended", one.id))
    await collector.got.wait()
    await telemetry.stop()
    assert [got.name for _, got in collector.spans] == ["attempt 1", "run charge"]


async def test_without_an_endpoint_nothing_is_exported_and_nothing_is_needed(world: World) -> None:
    for environ in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "true"}):
        telemetry = Traces(world.store, load({}, {}), lambda: 10_000, environ)
        await telemetry.start()
        assert telemetry.endpoint() == ""
        telemetry.report(Report("completed", bytes(16)))
        await telemetry.stop()


async def test_the_console_is_a_setting(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    one = await world.put(1)
    await world.complete(one)
    telemetry = Traces(world.store, load({"trace_console": "on"}, {}), lambda: 10_000, {})
    await telemetry.start()
    telemetry.report(Report("completed", one.id))
    await telemetry.stop()
    assert "run charge" in capsys.readouterr().err


async def test_a_pause_is_logged_with_the_way_out(world: World) -> None:
    telemetry = Traces(world.store, load({}, {}), lambda: 10_000, {})
    with structlog.testing.capture_logs() as logs:
        telemetry.report(Report("paused", bytes(16), "boom"))
    (line,) = logs
    assert (line["log_level"], line["reason"]) == ("warning", "boom")
    assert line["resume"] == f"restate-cli invocations resume {invocation_id_text(bytes(16))}"


def test_a_span_that_lasts_cannot_be_exported() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        readable(span(end_ms=None))


def test_a_root_has_no_parent_and_success_no_status() -> None:
    one = readable(span(parent_id="", error=""))
    assert one.parent is None
    assert one.status.is_unset
