"""What an operation on a context returns, seen from below: the SDK implements it, clients only name it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class DurableFuture(ABC, Generic[T_co]):
    """The result of a journaled operation, there already or to come.

    The operation is on its way as soon as the future exists; awaiting only waits. It may be awaited more than
    once and gives the same result each time. On replay it resolves from the journal, in the journal's order.
    """

    @abstractmethod
    def __await__(self) -> Generator[Any, Any, T_co]:
        """Waits for the result.

        Raises:
            TerminalError: the operation failed for good, or the invocation was cancelled.
        """


class CallFuture(DurableFuture[T_co]):
    """The result of a call, and which invocation it made."""

    @property
    @abstractmethod
    def invocation_id(self) -> str:
        """inv_… of the invocation that the call made, known at once."""
