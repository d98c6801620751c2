"""Values that are no part of a contract: results of runs, awakeables. To bytes with a tag, and back.

A value is journaled as a message (tag: its full name), as bytes, or as JSON. What comes back is equal to what went
in, or it is refused when it is written: a handler must not see one value now and another on replay.
"""

from __future__ import annotations

import json
from typing import Any

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.journal import BYTES, JSON, Result, Value, Void
from restate_protocol.status import StatusCode

_SCALARS = frozenset({str, int, float, bool, type(None)})
_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
_PLAIN = _SCALARS | {dict, list}


class Unwritable(Exception):
    """A value cannot be journaled. The text says why and what to do."""


def tag_of(cls: type[Any]) -> str:
    """The tag of values of a class: a message's full name, BYTES, or JSON."""
    if codec.is_message(cls):
        return codec.full_name(cls)
    return BYTES if cls is bytes else JSON


def encode(value: Any) -> tuple[Value, Any]:
    """A value as it is journaled, and the value as it comes back from the journal.

    Raises:
        Unwritable: it is no message, no bytes, and does not survive JSON.
    """
    cls = type(value)
    if cls in _PLAIN:
        return _encode_json(value)
    if cls is bytes:
        return Value(value, BYTES), value
    if codec.is_message(cls):
        return Value(codec.encode(value), codec.full_name(cls)), value
    return _encode_json(value)


def _encode_json(value: Any) -> tuple[Value, Any]:
    try:
        text = _to_json(value)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unwritable(f"{_name(value)} is neither a message, nor bytes, nor JSON: {error}") from error
    if type(value) in _SCALARS:
        return Value(data, JSON), value
    back = json.loads(text)
    if back != value:
        raise Unwritable(
            f"{_name(value)} changes when it goes through JSON (tuples become lists, keys become text);"
            " use a message, bytes, or lists and dicts with text keys"
        )
    return Value(data, JSON), back


def _name(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")


def decode(value: Value, cls: type[Any] | None) -> Any:
    """A value from its bytes. A message's bytes need its class.

    Raises:
        ValueError: the bytes are not such a value.
    """
    if cls is not None and codec.is_message(cls):
        return codec.from_json(cls, value.data.decode()) if value.type == JSON else codec.decode(cls, value.data)
    if cls is bytes or value.type == BYTES:
        return value.data
    return json.loads(value.data)


def read(result: Result, cls: type[Any] | None, what: str) -> Any:
    """A successful result as a value of this class; Void is None.

    Raises:
        TerminalError: INVALID_ARGUMENT, its bytes are not such a value.
    """
    if isinstance(result, Void):
        return None
    assert isinstance(result, Value)
    try:
        return decode(result, cls)
    except Exception as error:
        wanted = "JSON" if cls is None else cls.__name__
        raise TerminalError(f"{what} is not a {wanted}: {error}", code=StatusCode.INVALID_ARGUMENT) from error
