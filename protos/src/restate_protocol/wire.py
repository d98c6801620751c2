"""Pieces of protobuf's wire format, for what is written or read so often that the stubs cost more than all the rest.

`hot_entries` and `hot_frames` are made of these. Nothing here knows a message.
"""

from __future__ import annotations

from functools import lru_cache

_ONE_BYTE = tuple(bytes((number,)) for number in range(128))


class Unusual(Exception):
    """These bytes are not laid out as a writer in canonical form lays out what is expected: the stubs read them."""


def varint(number: int) -> bytes:
    """A number that is not negative."""
    if number < 128:
        return _ONE_BYTE[number]
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def message(tag: bytes, data: bytes) -> bytes:
    """A field with its length before it; there even if it is empty, as messages are."""
    size = len(data)
    return tag + (_ONE_BYTE[size] if size < 128 else varint(size)) + data


@lru_cache(maxsize=4096)
def before(tags: bytes, size: int) -> bytes:
    """What stands before a message of `size` bytes inside others that hold nothing else.

    Args:
        tags: theirs, one byte for each, the outermost first.
    """
    head = b""
    for tag in reversed(tags):
        head = _ONE_BYTE[tag] + varint(size + len(head)) + head
    return head


def field(tag: bytes, data: bytes) -> bytes:
    """The same, left out where it is empty, as bytes are."""
    size = len(data)
    if not size:
        return b""
    return tag + (_ONE_BYTE[size] if size < 128 else varint(size)) + data


def number(tag: bytes, value: int) -> bytes:
    """A number, left out where it is 0."""
    return tag + varint(value) if value else b""


@lru_cache(maxsize=4096)
def text(tag: bytes, value: str) -> bytes:
    """A text that comes again: a name, a type. Left out where it is empty."""
    return field(tag, value.encode())


def part(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the field that stands at `at` begins and ends.

    Raises:
        Unusual: another field stands there, or its length is of more than four bytes.
        IndexError: the data end before.
    """
    if data[at] != tag:
        raise Unusual
    length = data[at + 1]
    if length < 128:
        return at + 2, at + 2 + length
    length &= 127
    for place in range(1, 4):
        more = data[at + 1 + place]
        length |= (more & 127) << (7 * place)
        if more < 128:
            begin = at + 2 + place
            return begin, begin + length
    raise Unusual
