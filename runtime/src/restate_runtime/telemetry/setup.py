"""Puts telemetry together from the settings: OTLP where an endpoint is given, the console where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from restate_runtime.config import Settings
from restate_runtime.core.decision import Report
from restate_runtime.store.base import Store

from .console import ConsoleTraces
from .exporter import TraceExporter
from .ports import SpanSource

_log = structlog.get_logger("restate.telemetry")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Telemetry:
    """Everything that hears of reports. The engine calls `report`; `server.py` starts and stops it.

    Start it before the engine recovers, stop it after the engine.
    """

    def __init__(self, exporter: TraceExporter | None, console: ConsoleTraces | None) -> None:
        self._exporter = exporter
        self._console = console

    def report(self, report: Report) -> None:
        """Passes a report on."""
        if report.kind == "paused":
            _log.warning("invocation paused", invocation_id=report.invocation_id, reason=report.detail)
        for one in (self._exporter, self._console):
            if one is not None:
                one.report(report)

    def start(self) -> None:
        """Starts the tasks. Needs a running loop and an open store."""
        for one in (self._exporter, self._console):
            if one is not None:
                one.start()

    async def stop(self) -> None:
        """Exports and prints what waits, within a few seconds. Needs the store to be open."""
        if self._console is not None:
            await self._console.stop()
        if self._exporter is not None:
            await self._exporter.stop()


def open_telemetry(
    settings: Settings,
    environ: Mapping[str, str],
    store: Store,
    source: SpanSource,
    clock: Callable[[], int],
) -> Telemetry:
    """Telemetry as the settings want it.

    Args:
        environ: for OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SDK_DISABLED; the exporter itself reads more of OTEL_….
        clock: milliseconds since the Unix epoch.
    """
    endpoint = settings.otlp_endpoint or next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    exporter = None
    if endpoint and environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        exporter = _exporter(endpoint, settings, store, source, clock)
    console = ConsoleTraces(store, source) if settings.trace_console == "on" else None
    return Telemetry(exporter, console)


def _exporter(
    endpoint: str, settings: Settings, store: Store, source: SpanSource, clock: Callable[[], int]
) -> TraceExporter:
    from .otel import OtlpTarget  # loading OpenTelemetry takes a while, and most runtimes do without

    return TraceExporter(
        store,
        source,
        OtlpTarget(endpoint),
        clock,
        queue_limit=settings.trace_queue,
        reexport_ms=settings.trace_reexport_ms,
    )
