"""The bytes of a run with its result, written without stubs: steps are what journals hold most of.

Building the five nested stubs of such an entry takes longer than everything else an endpoint does for a step that ends
at once. Only writing is done here, and only for values; `journal` reads all entries, and writes all others.

Invariant: the bytes are those the stubs would give (tests compare the two on any input).
"""

from __future__ import annotations

from functools import lru_cache

_RUN = b"\x1a"  # Entry.run, field 3
_NAME = b"\x0a"  # RunCommand.name, field 1
_RESULT = b"\x12"  # RunCommand.result, field 2
_DURATION = b"\x18"  # RunCommand.duration_ms, field 3, a varint
_VALUE = b"\x0a"  # Result.value, field 1
_DATA = b"\x0a"  # Value.data, field 1
_TYPE = b"\x12"  # Value.type, field 2

_TAKEN_TAG = b"\x90\x03"  # Entry.taken, field 50, a varint

_ONE_BYTE = tuple(bytes((number,)) for number in range(128))
_TAKEN = tuple(_TAKEN_TAG + number for number in _ONE_BYTE)


def run_bytes(name: str, data: bytes, type_name: str, duration_ms: int) -> bytes:
    """Entry(run=RunCommand(name, result=Value(data, type_name), duration_ms)), encoded."""
    value = _field(_DATA, data) + _text(_TYPE, type_name)
    result = _VALUE + _varint(len(value)) + value
    run = _text(_NAME, name) + _RESULT + _varint(len(result)) + result
    if duration_ms:
        run += _DURATION + _varint(duration_ms)
    return _RUN + _varint(len(run)) + run


def taken_bytes(taken: int) -> bytes:
    """Entry(taken), encoded: put after a command, it says how many notifications its handler had taken."""
    return _TAKEN[taken] if taken < len(_TAKEN) else _TAKEN_TAG + _varint(taken)


def _field(tag: bytes, data: bytes) -> bytes:
    return tag + _varint(len(data)) + data if data else b""


@lru_cache(maxsize=1024)
def _text(tag: bytes, text: str) -> bytes:
    """Names and types are few and come again."""
    return _field(tag, text.encode())


def _varint(number: int) -> bytes:
    if number < 128:
        return _ONE_BYTE[number]
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
