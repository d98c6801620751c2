"""The seams of telemetry: who feeds it, what it reads, where spans go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from restate_runtime.core.decision import Report
from restate_runtime.core.records import Invocation
from restate_runtime.core.spans import Span


class TelemetrySink(Protocol):
    """Hears of everything the engine reports, after its commit."""

    def report(self, report: Report) -> None:
        """Takes note and returns at once; never raises, never waits."""


class AnswerCounts(Protocol):
    """What one ingress answered since the start."""

    def by_code(self) -> Mapping[str, int]:
        """Requests by the name of the code they were answered with."""

    def refusals(self) -> Mapping[str, int]:
        """What the ingress itself refused, by reason."""


class SpanSource(Protocol):
    """Derives spans from the store."""

    async def own(self, record: Invocation) -> list[Span]:
        """The spans of one invocation."""

    async def whole(self, record: Invocation) -> list[Span]:
        """The spans of an invocation and of all that it called."""


class SpanTarget(Protocol):
    """Where spans are sent."""

    async def export(self, spans: Sequence[Span]) -> bool:
        """Sends spans that have ended. False: it did not work, and is worth trying again."""

    async def close(self) -> None:
        """Lets go of the connection."""
