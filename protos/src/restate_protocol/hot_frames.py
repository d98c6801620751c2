"""The frames of which most messages are made, as plain values that are written without stubs.

Making a stub, wrapping it and encoding it takes three times as long as this. They are read through the stubs, which is
what stubs are quickest at; so the other side sees them as `session_pb` has them, with fields of the same names. Only
acknowledgements are plain there too: messages that hold nothing else, as most from a runtime, are read without stubs.

Invariant: the bytes are those that the stubs would give, and what is read is what the stubs would read (tests compare
the two on any input).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .wire import before, field, number

# RuntimeBatch and EndpointBatch
_FRAMES = b"\x0a"
# RuntimeFrame
_RUN_ACK = b"\x32"
# EndpointFrame
_DELIVERED = b"\x1a"
_COMMAND = b"\x22"
_ENDED = b"\x42"
# All of them
_INVOCATION_ID = b"\x0a"
_EPOCH = b"\x10"
# Command
_ENTRY = b"\x1a"
# RunAck
_ACKED = b"\x18"


@dataclass(slots=True)
class RunAck:
    """See session.proto."""

    invocation_id: bytes
    epoch: int
    command: int


@dataclass(slots=True)
class Delivered:
    """See session.proto."""

    invocation_id: bytes
    epoch: int


@dataclass(slots=True)
class Command:
    """See session.proto. While it waits to leave its entry may be replaced."""

    invocation_id: bytes
    epoch: int
    entry: bytes


@dataclass(slots=True)
class Ended:
    """See session.proto."""

    invocation_id: bytes
    epoch: int


@lru_cache(maxsize=4096)
def _attempt(invocation_id: bytes, epoch: int) -> bytes:
    """How every frame of an attempt begins."""
    return field(_INVOCATION_ID, invocation_id) + number(_EPOCH, epoch)


def _run_ack(frame: RunAck) -> bytes:
    body = _attempt(frame.invocation_id, frame.epoch) + number(_ACKED, frame.command)
    return before(_FRAMES + _RUN_ACK, len(body)) + body


def _delivered(frame: Delivered) -> bytes:
    body = _attempt(frame.invocation_id, frame.epoch)
    return before(_FRAMES + _DELIVERED, len(body)) + body


def _command(frame: Command) -> bytes:
    body = _attempt(frame.invocation_id, frame.epoch) + field(_ENTRY, frame.entry)
    return before(_FRAMES + _COMMAND, len(body)) + body


def _ended(frame: Ended) -> bytes:
    body = _attempt(frame.invocation_id, frame.epoch)
    return before(_FRAMES + _ENDED, len(body)) + body


#: By type: the bytes of a batch with this frame. Those of a batch with several are these one after the other.
WRITERS: dict[type[Any], Callable[[Any], bytes]] = {
    RunAck: _run_ack,
    Delivered: _delivered,
    Command: _command,
    Ended: _ended,
}


# Frames of one size: an id of 16 bytes, and numbers from 1 to 127, which take one byte each.
_ACKS = re.compile(
    rb"(?:\x0a\x18"
    + _RUN_ACK
    + rb"\x16"
    + _INVOCATION_ID
    + rb"\x10.{16}"
    + _EPOCH
    + rb"[\x01-\x7f]"
    + _ACKED
    + rb"[\x01-\x7f])+",
    re.DOTALL,
)
_ACK = struct.Struct("6x16sxBxB")


def read_run_acks(data: bytes) -> list[RunAck] | None:
    """The frames of a message that is nothing but acknowledgements; None where the stubs have to read it."""
    if _ACKS.fullmatch(data) is None:
        return None
    return [RunAck(invocation_id, epoch, command) for invocation_id, epoch, command in _ACK.iter_unpack(data)]
