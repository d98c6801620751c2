"""Telemetry as the settings want it: OTLP where an endpoint is given, the console where it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import structlog
from restate_protocol.ids import invocation_id_text

from restate_runtime.config import Settings
from restate_runtime.core.decision import Report
from restate_runtime.deployments.contracts import Contracts
from restate_runtime.deployments.stored_traces import StoredTraces
from restate_runtime.store.base import Store

from .console import ConsoleTraces
from .exporter import TraceExporter

_log = structlog.get_logger("restate.telemetry")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Traces:
    """A TelemetrySink. Start it before the engine recovers, stop it after the engine and before the store.

    Args:
        clock: milliseconds since the Unix epoch.
        environ: for OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SDK_DISABLED; the exporter itself reads more of OTEL_….
    """

    def __init__(
        self, store: Store, settings: Settings, clock: Callable[[], int], environ: Mapping[str, str] | None = None
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._exporter: TraceExporter | None = None
        self._console: ConsoleTraces | None = None

    def report(self, report: Report) -> None:
        """Takes note of a report; the work is done later, by tasks of their own."""
        if report.kind == "paused":
            how = f"restate-cli invocations resume {invocation_id_text(report.invocation_id)}"
            reason = report.detail.partition("\n")[0]  # the attempt that failed has told all of it
            _log.warning("paused", invocation_id=report.invocation_id, reason=reason, resume=how)
        if self._exporter is not None:
            self._exporter.report(report)
        if self._console is not None:
            self._console.report(report)

    async def start(self) -> None:
        """Starts the tasks. The store must be open."""
        source = StoredTraces(self._store, Contracts(self._store))
        endpoint = self.endpoint()
        if endpoint:
            from .otel import OtlpTarget  # loading OpenTelemetry takes a while, and most runtimes do without

            self._exporter = TraceExporter(
                self._store,
                source,
                OtlpTarget(endpoint),
                self._clock,
                queue_limit=self._settings.trace_queue,
                reexport_ms=self._settings.trace_reexport_ms,
            )
            self._exporter.start()
        if self._settings.trace_console == "on":
            self._console = ConsoleTraces(self._store, source)
            self._console.start()

    async def stop(self) -> None:
        """Exports and prints what waits, within a few seconds."""
        if self._console is not None:
            await self._console.stop()
        if self._exporter is not None:
            await self._exporter.stop()

    def endpoint(self) -> str:
        """Where spans go; empty: nowhere."""
        if self._environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return ""
        given = (self._environ.get(name, "") for name in _ENDPOINTS)
        return self._settings.otlp_endpoint or next(filter(None, given), "")
