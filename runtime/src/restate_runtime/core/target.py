"""What the core knows of a handler it starts: the contract's view and the deployment that serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from restate_protocol.contract.model import Handler, Service
from restate_protocol.services import HandlerMode

#: In the place of a deployment id: the newest that serves the handler.
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Target:
    """A handler of a deployment.

    Args:
        contract: the service it belongs to, where that is known.
        digest: gives a digest of the value of a request; None where nobody can.
    """

    service: str
    handler: Handler
    deployment_id: str
    in_workflow: bool = False
    contract: Service | None = None
    digest: Callable[[bytes], bytes] | None = None

    def digest_of(self, payload: bytes, idempotency_key: str | None) -> bytes | None:
        """What tells requests with this idempotency key apart; None without one."""
        return self.digest(payload) if idempotency_key and self.digest is not None else None

    @property
    def mode(self) -> HandlerMode:
        return self.handler.mode

    def retention_ms(self, idempotency_key: str | None) -> int:
        """How long a completed invocation is kept."""
        if self.mode is HandlerMode.RUN:
            return self.handler.workflow_retention_ms
        if idempotency_key:
            return self.handler.idempotency_retention_ms
        return self.handler.journal_retention_ms

    def whole_ms(self, retention_ms: int) -> int:
        """How long the journal is kept of an invocation that is kept that long itself."""
        return min(retention_ms, self.handler.journal_retention_ms)


# (service, handler, deployment id or None for the newest) -> the target, None where nobody serves it.
Resolve: TypeAlias = Callable[[str, str, str | None], Target | None]
