"""What a span is: the values that derived traces are made of. How they are derived is in `spans`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .trace_context import Link

Attributes: TypeAlias = Mapping[str, str | int | bool]


class SpanKind(enum.Enum):
    """What OpenTelemetry calls the kind of a span."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"


@dataclass(frozen=True, slots=True)
class Span:
    """One span.

    Args:
        trace_id, span_id: 32 and 16 hex digits.
        parent_id: 16 hex digits, or empty for the root of a trace.
        start_ms, end_ms: milliseconds since the Unix epoch; no end: it lasts still.
        error: what went wrong, for people; empty where all is well.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    start_ms: int
    end_ms: int | None
    attributes: Attributes = field(default_factory=dict)
    error: str = ""
    links: tuple[Link, ...] = ()
