"""The flavour betterproto: messages of betterproto2. Nothing of it is imported before such a message turns up.

Its parser takes truncated bytes, groups and wrong wire types without a word, so every byte is checked here before
it sees them. What it cannot do stays so: Timestamp and Duration lose nanoseconds below a microsecond, and closed
ranges of integers and enums are not checked when a message is built.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, TypeVar

from .codec_flavour import Flavour

M = TypeVar("M")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {
    **dict.fromkeys(("enum", "bool", "int32", "int64", "uint32", "uint64", "sint32", "sint64"), _VARINT),
    **dict.fromkeys(("double", "fixed64", "sfixed64"), _FIXED64),
    **dict.fromkeys(("float", "fixed32", "sfixed32"), _FIXED32),
    **dict.fromkeys(("string", "bytes", "message", "map"), _BYTES),
}
#: As deep as other parsers go.
_MAX_DEPTH = 100
#: What the parser raises on bytes and text that it cannot make sense of, besides ValueError.
_PARSER_ERRORS = (EOFError, struct.error, TypeError, AttributeError, LookupError, ArithmeticError)


class BetterProto(Flavour):
    """Messages of betterproto2."""

    name = "betterproto"

    def owns(self, cls: type[Any]) -> bool:
        library: Any = sys.modules.get("betterproto2")
        return library is not None and issubclass(cls, library.Message)

    def encode(self, message: Any) -> bytes:
        return bytes(message)

    def decode(self, cls: type[M], data: bytes) -> M:
        any_cls: Any = cls
        check_wire(any_cls, data)
        try:
            message: M = any_cls.parse(data)
        except _PARSER_ERRORS as error:
            raise ValueError(f"not a {cls.__name__}: {error}") from error
        return message

    def to_json(self, message: Any) -> str:
        text: str = message.to_json()
        return text

    def from_json(self, cls: type[M], text: str) -> M:
        any_cls: Any = cls
        try:
            message: M = any_cls.from_json(text)
        except _PARSER_ERRORS as error:
            raise ValueError(f"not a {cls.__name__} in JSON: {error}") from error
        return message

    def full_name(self, cls: type[Any]) -> str:
        pool = sys.modules[cls.__module__].default_message_pool
        url: str = pool.type_to_url[cls]
        return url.rpartition("/")[2].removeprefix(".")

    def has(self, message: Any, attribute: str) -> bool:
        value = getattr(message, attribute)
        if type(message)._betterproto.meta_by_field_name[attribute].optional:
            return value is not None
        return bool(value)

    def unknown(self, message: Any) -> dict[str, str]:
        kept: bytes = message._unknown_fields
        return {"unknown fields": kept.hex()} if kept else {}


def check_wire(cls: Any, data: bytes, depth: int = 0) -> None:
    """Checks that bytes are a whole message of a betterproto2 class, nested messages included.

    Raises:
        ValueError: they are not.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"more than {_MAX_DEPTH} messages inside each other")
    fields = cls._betterproto
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        start, position = _skip(data, position, number, wire_type)
        name = fields.field_name_by_number.get(number)
        if name is not None:
            _check_field(fields, name, wire_type, data[start:position], depth)


def _check_field(fields: Any, name: str, wire_type: int, value: bytes, depth: int) -> None:
    meta = fields.meta_by_field_name[name]
    expected = _WIRE_TYPES[meta.proto_type]
    packed = meta.repeated and wire_type == _BYTES
    if wire_type != expected and not packed:
        raise ValueError(f"field {name} has wire type {wire_type}, not {expected}")
    if meta.proto_type in ("message", "map"):
        inner = meta.unwrap() if meta.unwrap else fields.cls_by_field[name]
        check_wire(inner, value, depth + 1)


def _skip(data: bytes, position: int, number: int, wire_type: int) -> tuple[int, int]:
    """Where a value begins, without its length, and where it ends."""
    if number == 0:
        raise ValueError("field number 0")
    match wire_type:
        case 0:
            return position, _varint(data, position)[1]
        case 1:
            end = position + 8
        case 2:
            length, position = _varint(data, position)
            end = position + length
        case 5:
            end = position + 4
        case _:
            raise ValueError(f"field {number} has wire type {wire_type}")
    if end > len(data):
        raise ValueError(f"field {number} ends {end - len(data)} bytes after the message")
    return position, end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("the message ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is longer than 10 bytes")
