"""The background task in real processes: the worker dies in its middle, the runtime before a delayed one is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_a_task_is_finished_by_another_worker_and_its_result_is_fetched_from_elsewhere(example: Example) -> None:
    runtime, worker = example.start(EXAMPLE_PAUSE_AT="render q3 costs")
    accepted, report = example.client("submit", "q3", "sales", "costs")[0].split()
    assert accepted == "ACCEPTED"
    example.until_effect("render q3 costs")
    example.until_effect("render q3 sales")
    # Both sections are invocations of their own; that of the sales is done.
    example.until_journaled(report, "call", "call", "completion")
    worker.kill()
    example.start_endpoint()

    assert example.client("result", "q3", "sales", "costs") == ["sales of q3", "costs of q3"]
    assert sorted(example.effects()) == ["render q3 costs", "render q3 costs", "render q3 sales"]

    [submitted] = example.client("submit-in", "2", "q4", "sales")
    runtime.kill()
    example.start_runtime()
    assert example.client("result", "q4", "sales") == ["sales of q4"]
    assert example.client("submit", "q4", "sales") == [submitted.replace("ACCEPTED", "PREVIOUSLY_ACCEPTED")]
    assert example.effects().count("render q4 sales") == 1
