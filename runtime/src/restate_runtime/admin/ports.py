"""What the admin API needs of the rest of the runtime, as narrow protocols. `server.py` puts them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from restate_runtime.core.records import Deployment

#: ready, running or backing-off for an ACTIVE invocation that the engine holds in memory; None for any other.
LiveStatus: TypeAlias = Callable[[bytes], str | None]


class Operations(Protocol):
    """The part of the engine that operators reach. What is done is durable on return.

    Every method raises TerminalError: NOT_FOUND, there is no such invocation; FAILED_PRECONDITION, it is in no state
    for this, and which one would be; UNAVAILABLE, the runtime stops.
    """

    async def cancel(self, invocation_id: bytes) -> None:
        """Asks an invocation to end."""

    async def kill(self, invocation_id: bytes) -> None:
        """Completes an invocation with ABORTED."""

    async def pause(self, invocation_id: bytes) -> None:
        """Stops the attempts of an invocation until it is resumed."""

    async def resume(self, invocation_id: bytes, deployment_id: str | None = None) -> None:
        """Starts a paused invocation again, or one that backs off at once.

        Args:
            deployment_id: dep_… to go on with, or `latest`; None: the one it is pinned to.
        """

    async def restart(self, invocation_id: bytes, entries: int, deployment_id: str | None) -> bytes:
        """Starts a new invocation with the request of a completed one; gives its id.

        Args:
            entries: how many entries of the journal it takes over.
            deployment_id: dep_… for it; None or `latest`: the newest that serves it.
        """

    async def purge(self, invocation_id: bytes) -> None:
        """Removes a completed invocation."""

    async def purge_journal(self, invocation_id: bytes) -> None:
        """Removes the journal of a completed invocation."""


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
