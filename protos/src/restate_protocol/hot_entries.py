"""The bytes of the entries that journals hold most of, written and read without stubs.

Building and taking apart the nested stubs of such an entry takes longer than everything else that is done for it.
Here are inputs, outputs, and steps whose result is a value; `journal` writes and reads all others through the stubs.

Invariants: the bytes are those that the stubs would give; what is read is what the stubs would read, and anything that
is laid out in another way is left to them (tests compare the two on any input).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .wire import Unusual, before, field, message, number, part, text, varint

# Entry
_INPUT = b"\x0a"
_OUTPUT = b"\x12"
_RUN = b"\x1a"
_TAKEN = b"\x90\x03"  # a number
# InputCommand and Header
_PAYLOAD = b"\x0a"
_HEADER = b"\x12"
_HEADER_NAME = b"\x0a"
_HEADER_VALUE = b"\x12"
# OutputCommand
_OUTPUT_RESULT = b"\x0a"
# RunCommand
_NAME = b"\x0a"
_RUN_RESULT = b"\x12"
_DURATION = b"\x18"
# Result and Value
_VALUE = b"\x0a"
_DATA = b"\x0a"
_TYPE = b"\x12"

INPUT_TAG, OUTPUT_TAG, RUN_TAG = _INPUT[0], _OUTPUT[0], _RUN[0]


def value_result(data: bytes, type_name: str) -> bytes:
    """Result(value=Value(data, type_name)), encoded."""
    return message(_VALUE, field(_DATA, data) + text(_TYPE, type_name))


def write_input(payload: bytes, headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Entry(input=InputCommand(payload, headers)), encoded."""
    body = field(_PAYLOAD, payload)
    for name, value in headers:
        body += message(_HEADER, text(_HEADER_NAME, name) + field(_HEADER_VALUE, value))
    return message(_INPUT, body)


def write_output(data: bytes, type_name: str) -> bytes:
    """Entry(output=OutputCommand(Result(value=Value(data, type_name)))), encoded."""
    return message(_OUTPUT, message(_OUTPUT_RESULT, value_result(data, type_name)))


def write_run(name: str, data: bytes, type_name: str, duration_ms: int) -> bytes:
    """Entry(run=RunCommand(name, Result(value=Value(data, type_name)), duration_ms)), encoded."""
    duration = number(_DURATION, duration_ms)
    head, tail = _around_run(name, len(data), type_name, len(duration))
    return head + data + tail + duration


@lru_cache(maxsize=4096)
def _around_run(name: str, size: int, type_name: str, rest: int) -> tuple[bytes, bytes]:
    """What is before and after the data of a run: only lengths differ from one to the next."""
    tail = text(_TYPE, type_name)
    head = before(_DATA, size) if size else b""
    result = before(_RUN_RESULT + _VALUE, len(head) + size + len(tail)) + head
    named = text(_NAME, name) + result
    return before(_RUN, len(named) + size + len(tail) + rest) + named, tail


def taken_bytes(taken: int) -> bytes:
    """Entry(taken), encoded: put after a command, it says how many notifications its handler had taken."""
    return _SMALL_TAKEN[taken] if taken < len(_SMALL_TAKEN) else _TAKEN + varint(taken)


_SMALL_TAKEN = tuple(_TAKEN + varint(taken) for taken in range(128))


def read_input(data: bytes) -> bytes:
    """The payload of an input without headers.

    Raises:
        Unusual, IndexError: the stubs have to read it.
    """
    begin, end = _command(data, _INPUT)
    begin, payload_end = part(data, begin, _PAYLOAD[0])
    if payload_end != end:
        raise Unusual
    return data[begin:end]


def read_output(data: bytes) -> tuple[bytes, str]:
    """Data and type of an output that is a value.

    Raises:
        Unusual, IndexError, UnicodeDecodeError: the stubs have to read it.
    """
    begin, end = _command(data, _OUTPUT)
    begin, result_end = part(data, begin, _OUTPUT_RESULT[0])
    if result_end != end:
        raise Unusual
    return _read_value(data, begin, end)


def read_run(data: bytes) -> tuple[str, bytes, str, int]:
    """Name, data, type and duration of a step whose result is a value.

    Raises:
        Unusual, IndexError, UnicodeDecodeError: the stubs have to read it.
    """
    begin, end = _command(data, _RUN)
    name_begin, name_end = part(data, begin, _NAME[0])
    begin, result_end = part(data, name_end, _RUN_RESULT[0])
    duration = 0
    if result_end != end:
        duration = data[result_end + 1]
        if data[result_end] != _DURATION[0] or duration > 127 or result_end + 2 != end:
            raise Unusual
    return data[name_begin:name_end].decode(), *_read_value(data, begin, result_end), duration


def _command(data: bytes, tag: bytes) -> tuple[int, int]:
    """Where the command of an entry begins and ends; after it comes what its handler had taken, or nothing."""
    begin, end = part(data, 0, tag[0])
    size = len(data)
    if end != size and (data[end : end + 2] != _TAKEN or end + 3 != size or data[end + 2] > 127):
        raise Unusual
    return begin, end


def _read_value(data: bytes, begin: int, end: int) -> tuple[bytes, str]:
    """Data and type of the result, a value, between two places."""
    begin, value_end = part(data, begin, _VALUE[0])
    if value_end != end:
        raise Unusual
    begin, data_end = part(data, begin, _DATA[0])
    if data_end == end:
        return data[begin:end], ""
    return data[begin:data_end], _read_type(data[data_end:end])


@lru_cache(maxsize=4096)
def _read_type(data: bytes) -> str:
    """The type in the field that is all of these bytes. Types are few."""
    begin, end = part(data, 0, _TYPE[0])
    if end != len(data):
        raise Unusual
    return data[begin:end].decode()
