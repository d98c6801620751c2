"""How many requests an ingress answered, and how. Read by the metrics."""

from __future__ import annotations

from collections import Counter

from restate_protocol.status import StatusCode

from .errors import INGRESS, Answer

#: What a code means where the ingress itself says it.
REASONS = {
    StatusCode.UNIMPLEMENTED: "unknown_handler",
    StatusCode.PERMISSION_DENIED: "private_handler",
    StatusCode.INVALID_ARGUMENT: "invalid_request",
    StatusCode.RESOURCE_EXHAUSTED: "too_large",
    StatusCode.ALREADY_EXISTS: "already_started",
    StatusCode.DEADLINE_EXCEEDED: "deadline",
    StatusCode.FAILED_PRECONDITION: "not_in_that_state",
    StatusCode.NOT_FOUND: "not_found",
    StatusCode.UNAVAILABLE: "stopping",
    StatusCode.INTERNAL: "defect",
}


class Answers:
    """Since the start of the runtime.

    Attributes:
        ok: how many got what they asked for. Counted in place by whoever answers: this is on the way of every call.
        errors: how many got an error, by who said it (ingress or handler) and its code.
    """

    __slots__ = ("errors", "ok")

    def __init__(self) -> None:
        self.ok = 0
        self.errors: Counter[tuple[str, StatusCode]] = Counter()

    def note(self, answer: Answer) -> None:
        """One more error."""
        self.errors[answer.source, answer.code] += 1

    def by_code(self) -> dict[str, int]:
        """Requests by the name of the code they were answered with."""
        found = Counter({StatusCode.OK.name: self.ok})
        for (_, code), count in self.errors.items():
            found[code.name] += count
        return dict(found)

    def refusals(self) -> dict[str, int]:
        """What the ingress itself refused, by reason."""
        found: Counter[str] = Counter()
        for (source, code), count in self.errors.items():
            if source == INGRESS:
                found[REASONS.get(code, "other")] += count
        return dict(found)
