"""The log of a paused invocation says why in one line: the attempt that failed has told the whole report."""

from __future__ import annotations

from restate_runtime.config import load
from restate_runtime.core.decision import Report
from restate_runtime.store.memory import MemoryStore
from restate_runtime.telemetry.traces import Traces
from structlog.testing import capture_logs


def test_a_report_of_several_lines_is_not_told_again() -> None:
    traces = Traces(MemoryStore(), load({}, {}), lambda: 0, environ={})
    with capture_logs() as logs:
        traces.report(Report("paused", bytes(16), "journal mismatch at command 1\n  * x  1  2"))
    (paused,) = logs
    assert paused["reason"] == "journal mismatch at command 1"
    assert str(paused["resume"]).startswith("restate-cli invocations resume inv_")
