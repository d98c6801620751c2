"""The formats of restate-delay."""

from __future__ import annotations

import pytest
from restate_runtime.ingress.durations import MAX_DELAY_MS, parse_delay


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10_000),
        ("60ms", 60),
        ("60sec", 60_000),
        ("60 seconds", 60_000),
        ("1.5s", 1_500),
        ("1h 30min", 5_400_000),
        ("1h30m", 5_400_000),
        ("2 days", 172_800_000),
        ("1w", 604_800_000),
        (" 10S ", 10_000),
        ("0s", 0),
        ("PT1M", 60_000),
        ("PT0.5S", 500),
        ("P1DT2H3M4S", 93_784_000),
        ("p1w", 604_800_000),
    ],
)
def test_a_delay_is_milliseconds(text: str, expected: int) -> None:
    assert parse_delay(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10",
        "s",
        "1 fortnight",
        "10s!",
        "1s 2",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "PT1",
        "1e3s",
        "\u0661s",
        "P1DT",
    ],
)
def test_what_is_no_delay_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no delay; write 10s"):
        parse_delay(text)


@pytest.mark.parametrize("text", ["-1s", " -PT1M"])
def test_a_delay_is_never_in_the_past(text: str) -> None:
    with pytest.raises(ValueError, match="lies in the past"):
        parse_delay(text)


def test_a_delay_has_a_limit() -> None:
    assert parse_delay("36525d") == MAX_DELAY_MS
    with pytest.raises(ValueError, match="36525 days"):
        parse_delay("36525d 1ms")
    with pytest.raises(ValueError, match="36525 days"):
        parse_delay("999999999999999w")
