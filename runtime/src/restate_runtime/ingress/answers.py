"""How many requests an ingress answered, and how. Read by the metrics."""

from __future__ import annotations

from collections import Counter

from restate_protocol.status import StatusCode

from .errors import INGRESS, Answer
from .reasons import Reason, reason_of


class Answers:
    """Since the start of the runtime.

    Attributes:
        ok: how many got what they asked for. Counted in place by whoever answers: this is on the way of every call.
        errors: how many got an error, by its code.
        refused: how many were refused by the ingress itself, by reason.
    """

    __slots__ = ("errors", "ok", "refused")

    def __init__(self) -> None:
        self.ok = 0
        self.errors: Counter[StatusCode] = Counter()
        self.refused: Counter[Reason] = Counter()

    def note(self, answer: Answer) -> None:
        """One more error."""
        self.errors[answer.code] += 1
        if answer.source == INGRESS:
            self.refused[answer.reason or reason_of(answer.code)] += 1

    def by_code(self) -> dict[str, int]:
        """Requests by the name of the code they were answered with."""
        found = Counter({StatusCode.OK.name: self.ok})
        for code, count in self.errors.items():
            found[code.name] += count
        return dict(found)

    def refusals(self) -> dict[str, int]:
        """What the ingress itself refused, by reason."""
        return {reason.value: count for reason, count in self.refused.items()}
