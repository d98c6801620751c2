"""One encoding for each value of a message, so that two requests can be compared by a digest of them.

Equal are: the same message from JSON and in binary, with its fields and the entries of its maps in any order, with
defaults said or not, with any NaN for another. Fields that the contract does not know are compared by their bytes, and
in the place of their number: a contract that knows them later gives the same digest. The message in a
google.protobuf.Any counts by value where the contract knows it. Nothing but digests is made of this: what is journaled
is what came.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from protobuf import (
    DescEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    ScalarType,
)

from .schema import InvalidMessage, Schema

DIGEST_BYTES = 16

#: A scalar, a message, a map; nothing for what has one encoding anyway.
Kind: TypeAlias = ScalarType | DescMessage | DescEnum | DescFieldValueMap | None

_ANY = "google.protobuf.Any"
_FLOATS = {ScalarType.FLOAT: "<f", ScalarType.DOUBLE: "<d"}
_BYTES, _END_GROUP = 2, 4


def digest_of(schema: Schema, full_name: str, data: bytes) -> bytes:
    """A digest of the value of a message. Bytes that are no such message are equal where they are the same bytes."""
    try:
        message = schema.decode(full_name, data)
    except InvalidMessage:
        return hashlib.sha256(data).digest()[:DIGEST_BYTES]
    canonical = _message(schema, message.desc(), message.to_binary())
    return hashlib.sha256(canonical).digest()[:DIGEST_BYTES]


def _message(schema: Schema, desc: DescMessage, data: bytes) -> bytes:
    """The one encoding of a message that was decoded and encoded, so that each of its fields is well-formed."""
    kinds = {field.number: _kind(field.value) for field in desc.fields}
    found: list[tuple[int, bytes, bytes]] = []
    for number, wire, body in _records(data):
        kind = kinds.get(number)
        record = _record(number, wire, _body(schema, kind, wire, body))
        # Entries of a map have no order; all else keeps the one that it has.
        found.append((number, record if isinstance(kind, DescFieldValueMap) else b"", record))
    found.sort(key=lambda one: one[:2])
    encoded = b"".join(record for _, _, record in found)
    return _any(schema, encoded) if desc.type_name == _ANY else encoded


def _kind(value: Any) -> Kind:
    """What a field or each of its elements is, as far as it matters here."""
    match value:
        case DescFieldValueScalar():
            return value.scalar
        case DescFieldValueMessage():
            return value.message
        case DescFieldValueList():
            return value.element
        case DescFieldValueMap():
            return value
        case _:
            return None


def _body(schema: Schema, kind: Kind, wire: int, body: bytes) -> bytes:
    if isinstance(kind, ScalarType):
        return _scalar(kind, body)
    if wire != _BYTES:
        return body
    if isinstance(kind, DescMessage):
        return _message(schema, kind, body)
    if isinstance(kind, DescFieldValueMap):
        return _entry(schema, kind, body)
    return body


def _entry(schema: Schema, kind: DescFieldValueMap, body: bytes) -> bytes:
    """An entry of a map: its key is field 1, its value field 2."""
    parts = [
        _record(number, wire, _body(schema, kind.value if number == 2 else None, wire, part))
        for number, wire, part in _records(body)
    ]
    return b"".join(sorted(parts))


def _record(number: int, wire: int, body: bytes) -> bytes:
    """A field as it is encoded."""
    return _varint(number << 3 | wire) + (_varint(len(body)) if wire == _BYTES else b"") + body


def _scalar(scalar: ScalarType, body: bytes) -> bytes:
    """Numbers that are none are all the same, one or packed; every other scalar has one encoding already."""
    form = _FLOATS.get(scalar)
    if form is None:
        return body
    numbers = [number for (number,) in struct.iter_unpack(form, body)]
    if not any(map(math.isnan, numbers)):
        return body
    return b"".join(struct.pack(form, math.nan if math.isnan(number) else number) for number in numbers)


def _any(schema: Schema, encoded: bytes) -> bytes:
    """What is in an Any, by value, where the contract defines it."""
    fields = {number: body for number, _, body in _records(encoded)}
    name = fields.get(1, b"").decode("utf-8", "replace").rpartition("/")[2]
    if not schema.has(name):
        return encoded
    try:
        message = schema.decode(name, fields.get(2, b""))
    except InvalidMessage:
        return encoded
    return name.encode() + b"\x00" + _message(schema, message.desc(), message.to_binary())


def _records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and bytes of each field, without the length where it has one."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        end, begin = _end(data, at, tag)
        yield tag >> 3, tag & 7, data[begin:end]
        at = end


def _end(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where a field ends, and where its bytes begin."""
    match tag & 7:
        case 0:
            return _read_varint(data, at)[1], at
        case 1:
            return at + 8, at
        case 5:
            return at + 4, at
        case 2:
            length, begin = _read_varint(data, at)
            return begin + length, begin
        case _:
            return _end_of_group(data, at, tag >> 3), at


def _end_of_group(data: bytes, at: int, number: int) -> int:
    """After the tag that ends a group, which is kept as it came."""
    while True:
        tag, at = _read_varint(data, at)
        if tag == number << 3 | _END_GROUP:
            return at
        at, _ = _end(data, at, tag)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
