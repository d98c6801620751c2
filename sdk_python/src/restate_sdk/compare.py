"""Whether two payloads are the same value, and where they differ. The machine asks only where bytes differ.

Maps are unordered, NaN equals NaN, unknown fields count by their bytes. Payloads that are no message of the class,
or whose class is unknown, are compared as JSON if both are JSON, else as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from restate_protocol import codec

_LONGEST_TEXT = 120
_ABSENT: Any = object()


def compare_payloads(cls: type[Any] | None, recorded: bytes, attempted: bytes) -> list[tuple[str, str, str]]:
    """The parts in which both differ as values: path, recorded and attempted, for people. Nothing where they do not."""
    then, now = _tree(cls, recorded), _tree(cls, attempted)
    if then is None or now is None:
        return [("", _bytes_text(recorded), _bytes_text(attempted))]
    return [(path, _value(a), _value(b)) for path, a, b in _differences("", then, now)]


def _tree(cls: type[Any] | None, data: bytes) -> Any:
    """The value as JSON trees, with unknown fields beside; None where the bytes are not such a value."""
    try:
        if cls is None or not codec.is_message(cls):
            return [json.loads(data)]
        message = codec.decode(cls, data)
        return [json.loads(codec.to_json(message)), codec.unknown(message)]
    except ValueError:
        return None


def _differences(path: str, then: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted(then.keys() | now.keys()):
            below = f"{path}.{name}" if path else name
            yield from _differences(below, then.get(name, _ABSENT), now.get(name, _ABSENT))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from _differences(path if not path else f"{path}[{index}]", a, b)
    elif then != now or type(then) is not type(now):
        yield path, then, now


def _value(value: Any) -> str:
    text = "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _bytes_text(data: bytes) -> str:
    return f"{len(data)} bytes {data[:32].hex()}{'…' if len(data) > 32 else ''}"
