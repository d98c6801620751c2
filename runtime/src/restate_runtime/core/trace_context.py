"""Trace and span ids of invocations, attempts and steps, and the W3C context made of them.

Every id is a function of the invocation id (and the traceparent it came with), so a trace can be derived again at
any time, by any process, and has equal ids each time.

- An invocation that came with a valid traceparent (a client's, or that of the call step of the handler that called
  it) is a child in that trace. So a trace goes on across services.
- An invocation that a handler *sent* begins a trace of its own, which links to the send step: senders do not wait,
  and a handler that sends to itself for ever must not grow one trace for ever.
- Any other invocation begins a trace whose id is derived from the invocation id.
"""

from __future__ import annotations

import hashlib
import re

from restate_protocol.immutable import immutable

from .records import Invocation

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


@immutable
class Link:
    """Another span that this one has to do with, in lower-case hex."""

    trace_id: str
    span_id: str


@immutable
class TraceContext:
    """Where the span of an invocation belongs.

    Args:
        trace_id: 32 hex digits.
        parent_id: 16 hex digits of the span above it; empty where it is the root.
        sampled: False where the caller asked not to record the trace.
        link: the send step it comes from, for sent invocations.
    """

    trace_id: str
    parent_id: str = ""
    sampled: bool = True
    link: Link | None = None


def parse_traceparent(text: str) -> TraceContext | None:
    """The W3C trace context in a traceparent header; None where it is empty or not valid."""
    match = _TRACEPARENT.fullmatch(text) if text else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or not int(trace_id, 16) or not int(span_id, 16) or (version == "00" and rest):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def trace_context(invocation: Invocation) -> TraceContext:
    """The trace that an invocation belongs to."""
    given = parse_traceparent(invocation.traceparent)
    own = derived_trace_id(invocation.id)
    if given is None:
        return TraceContext(own)
    if invocation.parent_id is not None and not invocation.reply:
        return TraceContext(own, "", given.sampled, Link(given.trace_id, given.parent_id))
    return given


def derived_trace_id(invocation_id: bytes) -> str:
    """The trace id of an invocation that begins a trace, 32 hex digits."""
    return _hex(16, b"trace", invocation_id)


def invocation_span_id(invocation_id: bytes) -> str:
    """The id of the span of an invocation, 16 hex digits."""
    return _hex(8, b"invocation", invocation_id)


def attempt_span_id(invocation_id: bytes, epoch: int) -> str:
    """The id of the span of one attempt, 16 hex digits."""
    return _hex(8, b"attempt", invocation_id, epoch.to_bytes(8, "big"))


def step_span_id(invocation_id: bytes, command: int) -> str:
    """The id of the span of command number `command`, 16 hex digits."""
    return _hex(8, b"step", invocation_id, command.to_bytes(8, "big"))


def try_span_id(invocation_id: bytes, command: int, number: int) -> str:
    """The id of the span of try `number` of the run that is command number `command`, 16 hex digits."""
    return _hex(8, b"try", invocation_id, command.to_bytes(8, "big") + number.to_bytes(8, "big"))


def event_span_id(invocation_id: bytes, index: int) -> str:
    """The id of the span of the notification at `index` of the journal, 16 hex digits."""
    return _hex(8, b"event", invocation_id, index.to_bytes(8, "big"))


def pause_span_id(invocation_id: bytes, epoch: int) -> str:
    """The id of the span of the pause after attempt `epoch`, 16 hex digits."""
    return _hex(8, b"pause", invocation_id, epoch.to_bytes(8, "big"))


def attempt_traceparent(invocation: Invocation, epoch: int) -> str:
    """The W3C context an endpoint gets with attempt `epoch`: spans made by the handler's code are its children."""
    return _traceparent(invocation, attempt_span_id(invocation.id, epoch))


def step_traceparent(invocation: Invocation, command: int) -> str:
    """The W3C context of what command number `command` of `invocation` calls or sends: goes into the new record."""
    return _traceparent(invocation, step_span_id(invocation.id, command))


def _traceparent(invocation: Invocation, span_id: str) -> str:
    context = trace_context(invocation)
    return f"00-{context.trace_id}-{span_id}-{'01' if context.sampled else '00'}"


def _hex(length: int, kind: bytes, invocation_id: bytes, number: bytes = b"") -> str:
    # Kind and lengths are fixed for each use, so the parts cannot run into each other.
    digest = hashlib.sha256(kind + invocation_id + number).digest()[:length]
    return digest.hex() if any(digest) else "0" * (2 * length - 1) + "1"
