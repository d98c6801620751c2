"""The catalogue's cases as data: every id, what it is about, and why one is not tested here.

A test function says by its name which case it is: `test_CALL_05_…`. `NOT_APPLICABLE` has the cases of features that
this product does not have, each with the reason; `NOT_YET` those that it should have.
"""

from __future__ import annotations

import re

_ID = re.compile(r"test_([A-Z]+)_(\d+)(?:_to_(\d+))?_")


def ids_of(function: str) -> list[str]:
    """The cases that a test function is, by its name."""
    found = _ID.match(function)
    if found is None:
        return []
    area, first, last = found.groups()
    return [f"{area}-{number:02d}" for number in range(int(first), int(last or first) + 1)]
