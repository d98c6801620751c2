"""The demo's checks: they let pass what should be, and find everything that should not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from examples.demo.checks import (
    DemoError,
    check_effects,
    check_finished,
    check_kept,
    check_trace,
    recorded,
    under_way,
)

STEPS = ["note", "write", "deliver"]
JOURNAL: list[dict[str, Any]] = [
    {"type": "input", "command": 0},
    {"type": "run", "command": 1, "name": "note"},
    {"type": "completion", "command": 1},
    {"type": "sleep", "command": 2, "name": "a while"},
]
WHOLE = [
    *JOURNAL,
    {"type": "completion", "command": 2},
    {"type": "set_state", "command": 3, "name": "status"},
    {"type": "output", "command": 4},
]


def span(id: str, parent: str = "root", **attributes: str) -> dict[str, Any]:
    named = {f"restate.{name.replace('_', '.')}": value for name, value in attributes.items()}
    return {"spanId": id, "parentSpanId": parent, "name": id, "endMs": "1", "attributes": named}


def step(number: int, type: str) -> dict[str, Any]:
    return span(f"step {number}", journal_command_index=str(number), journal_command_type=type)


SPANS = [
    span("root", ""),
    span("first", attempt_epoch="1"),
    span("second", attempt_epoch="2", journal_command_index="1", journal_command_type="run"),
    step(1, "run"),
    step(2, "sleep"),
    step(3, "set_state"),
]


def without(spans: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [*spans[:number], *spans[number + 1 :]]


def test_effects_that_happened_once_pass() -> None:
    assert check_effects(STEPS, STEPS) == {"note": 1, "write": 1, "deliver": 1}


def test_the_effect_under_way_may_happen_twice() -> None:
    assert check_effects(["note", "write", "write", "deliver"], STEPS, killed_in="write")["write"] == 2
    assert check_effects(STEPS, STEPS, killed_in="write")["write"] == 1


@pytest.mark.parametrize(
    "effects",
    [
        pytest.param(["note", "note", "write", "deliver"], id="a recorded step ran again"),
        pytest.param(["note", "write", "note", "deliver"], id="a recorded step ran again, later"),
        pytest.param(["note", "write", "write", "write", "deliver"], id="the step under way ran three times"),
        pytest.param(["note", "write"], id="a step is missing"),
        pytest.param(["write", "note", "deliver"], id="another order"),
        pytest.param([*STEPS, "more"], id="something nobody asked for"),
        pytest.param([], id="nothing"),
    ],
)
def test_wrong_effects_are_found(effects: list[str]) -> None:
    with pytest.raises(DemoError):
        check_effects(effects, STEPS, killed_in="write")


def test_a_journal_says_what_is_recorded_and_what_is_under_way() -> None:
    assert (recorded(JOURNAL), under_way(JOURNAL)) == (["run note"], ["sleep a while"])
    assert (recorded(WHOLE), under_way(WHOLE)) == (["run note", "sleep a while"], [])


def test_a_journal_that_grew_is_kept() -> None:
    check_kept(JOURNAL, WHOLE)


@pytest.mark.parametrize(
    "after", [JOURNAL[:2], [], [*without(JOURNAL, 1)], [{**JOURNAL[0], "raw": "other"}, *JOURNAL[1:]]]
)
def test_a_journal_that_lost_or_changed_an_entry_is_found(after: list[dict[str, Any]]) -> None:
    with pytest.raises(DemoError, match="recorded before the crash"):
        check_kept(JOURNAL, after)


def test_only_what_completed_without_an_error_is_finished() -> None:
    check_finished({"id": "inv_1", "status": "completed"})
    with pytest.raises(DemoError, match="status of inv_1"):
        check_finished({"id": "inv_1", "status": "paused"})
    with pytest.raises(DemoError, match="error of inv_1"):
        check_finished({"id": "inv_1", "status": "completed", "error": {"code": "UNKNOWN"}})


def test_a_trace_with_a_span_of_every_attempt_and_step_passes() -> None:
    check_trace(SPANS, WHOLE, attempts=2)


@pytest.mark.parametrize("number", range(1, len(SPANS)))
def test_a_span_that_is_missing_is_found(number: int) -> None:
    with pytest.raises(DemoError, match="the spans of"):
        check_trace(without(SPANS, number), WHOLE, attempts=2)


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([*SPANS, step(3, "set_state")], id="a step twice"),
        pytest.param([*SPANS, span("third", attempt_epoch="3")], id="an attempt that was not"),
        pytest.param([*SPANS[:-1], step(3, "run")], id="another type"),
        pytest.param([*SPANS[:-1], {**SPANS[-1], "parentSpanId": "first"}], id="elsewhere in the tree"),
        pytest.param([*SPANS[:-1], {k: v for k, v in SPANS[-1].items() if k != "endMs"}], id="no end"),
    ],
)
def test_a_wrong_span_is_found(spans: list[dict[str, Any]]) -> None:
    with pytest.raises(DemoError):
        check_trace(spans, WHOLE, attempts=2)
