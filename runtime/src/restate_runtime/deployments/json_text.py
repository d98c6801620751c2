"""JSON text as a value, strictly: an object that has a name twice is refused.

Python's parser keeps the last of them in silence. What a caller sent by mistake would be lost, and two programs that
read one text could see different requests.
"""

from __future__ import annotations

import json
from typing import Any


class DuplicateName(ValueError):
    """An object has a name twice.

    Args:
        name: that name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {json.dumps(name, ensure_ascii=False)} is there twice in one object")
        self.name = name


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        DuplicateName: a name is there twice.
        ValueError: it is not JSON; a json.JSONDecodeError where the place can be told.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    return _DECODER.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise DuplicateName(name)
        seen.add(name)
    raise AssertionError("unreachable")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
