"""Traces as trees of lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_runtime.telemetry.tree import TreeSpan, duration, plain, tree


def span(span_id: str, parent: str, start: int, end: int | None, error: str = "") -> TreeSpan:
    return TreeSpan(span_id, parent, f"span {span_id}", start, end, error)


def test_children_come_after_their_parent_by_start() -> None:
    spans = [
        span("d", "c", 30, 40, "broken"),
        span("c", "a", 20, 50),
        span("a", "outside", 0, 5_000),
        span("b", "a", 10, None),
        span("e", "b", 60, 60),
    ]
    assert plain(tree(spans)) == [
        "span a            5.0s",
        "├─ span b            …",
        "│  └─ span e       0ms",
        "└─ span c         30ms",
        "   └─ span d      10ms  ✗ broken",
    ]


def test_a_note_stands_before_the_error() -> None:
    (line,) = plain(tree([TreeSpan("a", "", "attempt 1", 0, 1, "boom", "failed")]))
    assert line == "attempt 1       1ms  failed  ✗ boom"


def test_of_an_error_of_several_lines_the_first_is_shown() -> None:
    (line,) = plain(tree([span("a", "", 0, 1, "ABORTED: the journal differs\n  recorded: run\n  now: sleep")]))
    assert line == "span a       1ms  ✗ ABORTED: the journal differs …"


def test_nothing_is_nothing() -> None:
    assert plain(tree([])) == []


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1_000, "1.0s"),
        (59_949, "59.9s"),
        (59_999, "1m00s"),
        (60_000, "1m00s"),
        (125_000, "2m05s"),
        (3_720_000, "1h02m"),
        (273_600_000, "3d04h"),
        (-5, "0ms"),
    ],
)
def test_durations_are_short(ms: int, text: str) -> None:
    assert duration(1_000, 1_000 + ms) == text


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 50)), max_size=10))
def test_every_span_that_hangs_on_a_root_is_shown_once(edges: list[tuple[int, int, int]]) -> None:
    spans = [span(str(number), str(parent), start, None) for number, parent, start in edges if parent < number]
    shown = [line.span.span_id for line in tree(spans)]
    assert sorted(shown) == sorted({one.span_id for one in spans})
