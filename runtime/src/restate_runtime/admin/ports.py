"""What the admin API needs of the rest of the runtime, as narrow protocols. `server.py` puts them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from restate_runtime.core.records import Deployment

#: ready, running or backing-off for an ACTIVE invocation that the engine holds in memory; None for any other.
LiveStatus: TypeAlias = Callable[[bytes], str | None]


class Operations(Protocol):
    """The part of the engine that operators reach. Both raise TerminalError NOT_FOUND or FAILED_PRECONDITION."""

    async def resume(self, invocation_id: bytes) -> None:
        """Starts a paused invocation again, or one that backs off at once."""

    async def kill(self, invocation_id: bytes) -> None:
        """Completes an invocation with ABORTED; durable on return."""


class Deployments(Protocol):
    """The part of the deployments that operators reach."""

    async def register(self, address: str, force: bool) -> tuple[Deployment, bool]:
        """Dials host:port and registers what answers. True: it was not registered before.

        Raises:
            TerminalError: nobody answers (UNAVAILABLE), or the deployment is refused (FAILED_PRECONDITION,
                INVALID_ARGUMENT).
        """

    def sessions(self, deployment_id: str) -> int:
        """How many sessions are open now."""

    def last_error(self, deployment_id: str) -> str | None:
        """Why the last attempt to connect failed, if it did."""
