"""The text of `restate-delay`: `10s`, `60ms`, `1h 30min`, `PT1M`.

Every number has a unit; months and years have no fixed length and are refused.
"""

from __future__ import annotations

import re
from decimal import Decimal

#: The longest delay, about a hundred years.
MAX_DELAY_MS = 36_525 * 86_400_000

_MS = {
    **dict.fromkeys(("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1_000),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 604_800_000),
}
_NUMBER = r"\d{1,15}(?:\.\d{1,9})?"
_PART = re.compile(rf"\s*({_NUMBER})\s*([a-z]+)", re.ASCII)
_ISO = re.compile(
    rf"P(?:(?P<w>{_NUMBER})W)?(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?",
    re.ASCII,
)


def parse_delay(text: str) -> int:
    """Milliseconds in a delay, rounded down.

    Raises:
        ValueError: it is no delay, lies in the past, or is longer than MAX_DELAY_MS.
    """
    if text.lstrip().startswith("-"):
        raise ValueError(f"{text!r} lies in the past; a delay begins now")
    total = _iso(text) if text[:1] in ("P", "p") else _friendly(text.strip().lower())
    if total is None:
        raise ValueError(f"{text!r} is no delay; write 10s, 60ms, 1h 30min or PT1M")
    if total > MAX_DELAY_MS:
        raise ValueError(f"{text!r} is longer than a delay may be ({MAX_DELAY_MS // 86_400_000} days)")
    return total


def _iso(text: str) -> int | None:
    match = _ISO.fullmatch(text.upper())
    parts = {} if match is None else {unit: number for unit, number in match.groupdict().items() if number}
    if not parts or text[-1] in "tT":
        return None
    return int(sum(Decimal(number) * _MS[unit] for unit, number in parts.items()))


def _friendly(text: str) -> int | None:
    total = Decimal(0)
    end = 0
    for match in _PART.finditer(text):
        if match.start() != end or match[2] not in _MS:
            return None
        total += Decimal(match[1]) * _MS[match[2]]
        end = match.end()
    return int(total) if end == len(text) and end else None
