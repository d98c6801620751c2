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
    Message,
    ScalarType,
)

from .schema import InvalidMessage, Schema

DIGEST_BYTES = 16

#: A scalar, a message, a map; nothing for what has one encoding anyway.
Kind: TypeAlias = ScalarType | DescMessage | DescEnum | DescFieldValueMap | None

_ANY = "google.protobuf.Any"
_FLOATS = {ScalarType.FLOAT: "<f", ScalarType.DOUBLE: "<d"}
_BYTES, _END_GROUP = 2, 4


class Digests:
    """Digests of the values of one message.

    Args:
        schema: the contract that knows it.
        full_name: of the message.
    """

    __slots__ = ("_full_name", "_plans", "_schema")

    def __init__(self, schema: Schema, full_name: str) -> None:
        self._schema = schema
        self._full_name = full_name
        self._plans: dict[str, _Plan] = {}

    def __call__(self, data: bytes) -> bytes:
        """The digest of the value in these bytes. Those that are no such message are equal where they are the same."""
        try:
            message = self._schema.decode(self._full_name, data)
        except InvalidMessage:
            return _digest(data)
        return _digest(self._canonical(message))

    def _canonical(self, message: Message[Any]) -> bytes:
        """The one encoding. Most messages have it once they were decoded and encoded."""
        encoded = message.to_binary()
        plain = self._plan(message.desc()).plain and encoded == message.to_binary(write_unknown_fields=False)
        return encoded if plain else self._sorted(message.desc(), encoded)

    def _plan(self, desc: DescMessage) -> _Plan:
        plan = self._plans.get(desc.type_name)
        if plan is None:
            kinds = {field.number: _kind(field.value) for field in desc.fields}
            work = {number: kind for number, kind in kinds.items() if _varies(kind)}
            plan = self._plans[desc.type_name] = _Plan(work)
            plan.plain = _in_order(list(kinds)) and desc.type_name != _ANY and all(map(self._is_plain, kinds.values()))
        return plan

    def _is_plain(self, kind: Kind) -> bool:
        # A message that holds itself is planned already, and not plain: it is sorted, which is never wrong.
        return self._plan(kind).plain if isinstance(kind, DescMessage) else not _varies(kind)

    def _sorted(self, desc: DescMessage, data: bytes) -> bytes:
        """The one encoding of what was decoded and encoded, so that each of its fields is well-formed."""
        work = self._plan(desc).work
        found: list[tuple[int, bytes, bytes]] = []
        for number, wire, start, begin, end in _records(data):
            kind = work.get(number)
            record = data[start:end] if kind is None else _record(number, wire, self._body(kind, wire, data[begin:end]))
            # Entries of a map have no order; all else keeps the one that it has.
            found.append((number, record if isinstance(kind, DescFieldValueMap) else b"", record))
        found.sort(key=lambda one: one[:2])
        encoded = b"".join([record for _, _, record in found])
        return self._any(encoded) if desc.type_name == _ANY else encoded

    def _body(self, kind: Kind, wire: int, body: bytes) -> bytes:
        if isinstance(kind, ScalarType):
            return _scalar(kind, body)
        if wire != _BYTES:
            return body
        if isinstance(kind, DescMessage):
            return self._sorted(kind, body)
        if isinstance(kind, DescFieldValueMap):
            return self._entry(kind, body)
        return body

    def _entry(self, kind: DescFieldValueMap, body: bytes) -> bytes:
        """An entry of a map: its key is field 1, its value field 2."""
        parts = [
            _record(number, wire, self._body(kind.value if number == 2 else None, wire, body[begin:end]))
            for number, wire, _, begin, end in _records(body)
        ]
        return b"".join(sorted(parts))

    def _any(self, encoded: bytes) -> bytes:
        """What is in an Any, by value, where the contract defines it."""
        fields = {number: encoded[begin:end] for number, _, _, begin, end in _records(encoded)}
        name = fields.get(1, b"").decode("utf-8", "replace").rpartition("/")[2]
        if not self._schema.has(name):
            return encoded
        try:
            message = self._schema.decode(name, fields.get(2, b""))
        except InvalidMessage:
            return encoded
        return name.encode() + b"\x00" + self._canonical(message)


class _Plan:
    """What is known of a message type.

    Attributes:
        work: the fields whose values have several encodings, by number.
        plain: decoded and encoded, it has its one encoding, unless it has fields that the contract does not know.
    """

    __slots__ = ("plain", "work")

    def __init__(self, work: dict[int, Kind]) -> None:
        self.work = work
        self.plain = False


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


def _varies(kind: Kind) -> bool:
    return kind in _FLOATS if isinstance(kind, ScalarType) else isinstance(kind, DescMessage | DescFieldValueMap)


def _in_order(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


def _record(number: int, wire: int, body: bytes) -> bytes:
    """A field as it is encoded."""
    return _varint(number << 3 | wire) + (_varint(len(body)) if wire == _BYTES else b"") + body


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def _scalar(scalar: ScalarType, body: bytes) -> bytes:
    """Numbers that are none are all the same, one or packed; every other scalar has one encoding already."""
    form = _FLOATS.get(scalar)
    if form is None:
        return body
    numbers = [number for (number,) in struct.iter_unpack(form, body)]
    if not any(map(math.isnan, numbers)):
        return body
    return b"".join(struct.pack(form, math.nan if math.isnan(number) else number) for number in numbers)


def _records(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Number and wire type of each field, where it begins, where its value begins (after a length), and its end."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_varint(data, at)
        end, begin = _end(data, at, tag)
        yield tag >> 3, tag & 7, start, begin, end
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
