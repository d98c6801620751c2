"""Who calls: a handler's context, a connection, or a blocking connection.

A generated client takes one of them, and what its methods return follows from which. The three classes are tags
for type checkers and the seam that the SDK and the client library implement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .services import HandlerDescriptor


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller may add to a call.

    Args:
        idempotency_key: dedupes the call within the handler's idempotency retention.
        headers: metadata for the callee. Only allow-listed names reach its journal.
        timeout: how long a connection waits; the invocation goes on after that. Not for contexts.
        delay: sends only: when the invocation is due, counted from now.
    """

    idempotency_key: str | None = None
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    timeout: timedelta | None = None
    delay: timedelta | None = None


class Caller(ABC):
    """The seam under generated clients. What the methods return depends on the subclass."""

    @abstractmethod
    def _restate_call(self, handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Any:
        """Calls and gives something that yields the response."""

    @abstractmethod
    def _restate_send(self, handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Any:
        """Sends one way and gives something that yields a handle."""

    def _restate_handle(
        self,
        handler: HandlerDescriptor[Any, Any],
        invocation_id: str | None,
        key: str | int | None,
        idempotency_key: str | None,
    ) -> Any:
        """Gives the handle of an invocation: by its id, or by what it was called with.

        Raises:
            IdError: it is not an invocation id.
            ValueError: this does not name an invocation of the handler.
        """
        raise TypeError(f"{type(self).__name__} has no handles of invocations")


class ContextCaller(Caller):
    """Calls are commands in the journal of a handler: DurableFuture."""


class ConnectionCaller(Caller):
    """Calls go over a connection: awaitable."""


class BlockingCaller(Caller):
    """Calls go over a connection and block: the plain result."""
