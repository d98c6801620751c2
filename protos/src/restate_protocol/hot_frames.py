"""The frames of which most messages are made, as plain values that are written without stubs.

Making a stub, wrapping it and encoding it takes three times as long as this. They are read through the stubs, which is
what stubs are quickest at; so the other side sees them as `session_pb` has them, with fields of the same names.

Invariant: the bytes are those that the stubs would give (tests compare the two on any input).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .wire import field, message, number

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
    return message(_FRAMES, message(_RUN_ACK, body))


def _delivered(frame: Delivered) -> bytes:
    return message(_FRAMES, message(_DELIVERED, _attempt(frame.invocation_id, frame.epoch)))


def _command(frame: Command) -> bytes:
    body = _attempt(frame.invocation_id, frame.epoch) + field(_ENTRY, frame.entry)
    return message(_FRAMES, message(_COMMAND, body))


def _ended(frame: Ended) -> bytes:
    return message(_FRAMES, message(_ENDED, _attempt(frame.invocation_id, frame.epoch)))


#: By type: the bytes of a batch with this frame. Those of a batch with several are these one after the other.
WRITERS: dict[type[Any], Callable[[Any], bytes]] = {
    RunAck: _run_ack,
    Delivered: _delivered,
    Command: _command,
    Ended: _ended,
}
