"""Another invocation, seen from a handler: which it is, its result, cancelling it and giving it signals.

The SDK implements it, clients only name it. Connections have handles of their own (`restate_client.handles`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .futures import DurableFuture
from .status import StatusCode

Res = TypeVar("Res")


class InvocationHandle(ABC, Generic[Res]):
    """An invocation that a handler sent, or whose id it knows. What is done with it is journaled."""

    @property
    @abstractmethod
    def invocation_id(self) -> str:
        """inv_…"""

    @abstractmethod
    def attach(self) -> DurableFuture[Res]:
        """Its result. Journaled.

        Raises:
            TerminalError: when awaited: it failed, or is not known.
        """

    @abstractmethod
    def cancel(self) -> DurableFuture[None]:
        """Asks it to end: what it awaits fails with CANCELLED. Journaled, and settled at once.

        An invocation that is over, or unknown, stays as it is.
        """

    @abstractmethod
    def signal(self, name: str, value: object = None) -> DurableFuture[None]:
        """Gives it a named signal. Journaled, and settled at once.

        Its handler gets the signals of one name in the order in which they came; those that nobody asked for yet wait.

        Args:
            name: not empty, and not beginning with `restate.`.
            value: a message, bytes, or what JSON can hold.

        Raises:
            ValueError: the name is empty or the runtime's own.
            TypeError: the value can be none of these.
        """

    @abstractmethod
    def reject_signal(self, name: str, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> DurableFuture[None]:
        """Gives it a named signal that is a failure: who awaits it gets a TerminalError. Journaled, settled at once.

        Args:
            name: not empty, and not beginning with `restate.`.
            message: what happened, for people.
            code: the status code of the error.

        Raises:
            ValueError: the name is empty or the runtime's own.
        """
