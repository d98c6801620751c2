"""Durable futures of the SDK: what they wait for, and the result of one command, awakeable or signal.

A future names what it waits for (a tree of handles) and how to read the result. Only the machine decides what is
settled and who came first; nothing here depends on the loop's timing. `combined` has futures made of others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import Any, NoReturn, TypeVar

from restate_protocol import ids
from restate_protocol.errors import TypedError
from restate_protocol.futures import CallFuture, DurableFuture
from restate_protocol.journal import Failure, Result

from . import misuse
from .attempt import Attempt
from .failures import error_of, known_errors
from .vm.awaiting import Handle, Tree, stable_hash

__all__ = ["CommandFuture", "DurableFuture", "SentCall", "Waitable"]

T_co = TypeVar("T_co", covariant=True)

_OPEN: Any = object()

#: What asyncio does with futures of its own.
_ASYNCIO = frozenset(
    {"add_done_callback", "remove_done_callback", "cancel", "cancelled", "done", "exception", "result"}
)


class Waitable(DurableFuture[T_co]):
    """A durable future of this SDK."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @abstractmethod
    def _tree(self) -> Tree:
        """What it waits for."""

    @abstractmethod
    def _take(self) -> T_co:
        """The result, once the tree is settled; raises where it is a failure."""

    def __await__(self) -> Generator[Any, Any, T_co]:
        """Waits for the result, or takes it at once where it is there.

        Raises:
            TerminalError: the operation failed for good, or the invocation was cancelled.
            MisuseError: something outside the handler awaits it.
        """
        attempt = self._attempt
        attempt.check()
        tree = self._tree()
        if not attempt.poll(tree):
            yield from attempt.wait(tree)
        return self._take()

    def __hash__(self) -> int:
        """The same in every attempt: a set of futures has one order. Equality is identity."""
        return stable_hash(self._tree())

    def __getattr__(self, name: str) -> NoReturn:
        if name in _ASYNCIO:
            self._attempt.misuse(misuse.future(name))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class CommandFuture(Waitable[T_co]):
    """The result of one command, awakeable or signal.

    Args:
        attempt: whose it is.
        handle: the machine's handle.
        read: makes the value of a result that is no failure.
        errors: the typed errors that a failure may be. Default: all that are known.
    """

    __slots__ = ("_errors", "_handle", "_read", "_value")

    def __init__(
        self,
        attempt: Attempt,
        handle: Handle,
        read: Callable[[Result], T_co],
        errors: Sequence[type[TypedError[Any]]] | None = None,
    ) -> None:
        self._attempt = attempt
        self._handle = handle
        self._read = read
        self._errors = errors
        self._value: T_co = _OPEN

    def _tree(self) -> Tree:
        return self._handle

    def _take(self) -> T_co:
        if self._value is _OPEN:
            result = self._attempt.machine.result(self._handle)
            if isinstance(result, Failure):
                raise error_of(result, known_errors() if self._errors is None else self._errors)
            self._value = self._read(result)
        return self._value


class SentCall(CommandFuture[T_co], CallFuture[T_co]):
    """The result of a call."""

    __slots__ = ()

    @property
    def invocation_id(self) -> str:
        """inv_… of the invocation that the call made, known at once."""
        assert isinstance(self._handle, int)
        return ids.invocation_id_text(self._attempt.machine.callee_of(self._handle))
