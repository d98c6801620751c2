"""The longest retentions that a runtime grants, whatever contracts say. A longer one is cut, and the log says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from restate_protocol.contract.model import Handler, Service

#: Ten years: no bound for any contract that means what it says.
UNBOUNDED_MS = 315_360_000_000

# Attribute of a handler, and the option it is read from.
_OPTIONS = {
    "journal_retention_ms": "journal_retention",
    "idempotency_retention_ms": "idempotency_retention",
    "workflow_retention_ms": "workflow_retention",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Milliseconds; 0 keeps nothing."""

    journal_retention_ms: int = UNBOUNDED_MS
    idempotency_retention_ms: int = UNBOUNDED_MS
    workflow_retention_ms: int = UNBOUNDED_MS

    def bounded(self, service: Service) -> Service:
        """The service with its retentions within the bounds."""
        return replace(service, handlers=tuple(self._handler(one) for one in service.handlers))

    def cuts(self, service: Service) -> Iterator[str]:
        """What is cut of a service as its contract has it, for people."""
        for handler in service.handlers:
            for attribute, option in _OPTIONS.items():
                most, wanted = getattr(self, attribute), getattr(handler, attribute)
                if wanted > most:
                    yield f"{option} of {service.name}/{handler.name} is cut from {wanted} to {most} ms"

    def _handler(self, handler: Handler) -> Handler:
        return replace(
            handler,
            journal_retention_ms=min(handler.journal_retention_ms, self.journal_retention_ms),
            idempotency_retention_ms=min(handler.idempotency_retention_ms, self.idempotency_retention_ms),
            workflow_retention_ms=min(handler.workflow_retention_ms, self.workflow_retention_ms),
        )


UNBOUNDED = Bounds()
