"""Durable futures as the SDK makes them, and the two combinators: gather and select.

A future names what it waits for (a tree of handles) and how to read the result. Only the machine decides what is
settled and who came first; nothing here depends on the loop's timing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TypedError
from restate_protocol.futures import DurableFuture
from restate_protocol.immutable import immutable
from restate_protocol.journal import Failure, Result

from .attempt import Attempt
from .failures import error_of, known_errors
from .vm.awaiting import Group, Tree

__all__ = ["CommandFuture", "DurableFuture", "Selected", "Waitable", "gather", "select"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")

_OPEN: Any = object()


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
            TerminalError: the operation failed for good.
            MisuseError: another task than the handler's awaits it.
        """
        attempt = self._attempt
        attempt.check()
        tree = self._tree()
        if not attempt.machine.poll(tree):
            yield from attempt.wait(tree)
        return self._take()


class CommandFuture(Waitable[T_co]):
    """The result of one command or awakeable.

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
        handle: int,
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


class _Combined(Waitable[T_co]):
    """Several futures of one attempt, which settle together."""

    __slots__ = ("_children", "_group")

    def __init__(self, attempt: Attempt, children: Sequence[Waitable[Any]], combinator: Combinator) -> None:
        super().__init__(attempt)
        attempt.check()
        if any(child._attempt is not attempt for child in children if not isinstance(child, _Nothing)):
            attempt.misuse("futures of two invocations were waited for together")
        self._children = children
        self._group = Group(combinator, tuple(child._tree() for child in children))

    def _tree(self) -> Tree:
        return self._group


class _Gathered(_Combined[tuple[Any, ...]]):
    def _take(self) -> tuple[Any, ...]:
        failed = self._attempt.machine.first_failed(self._group)
        if failed is not None:
            self._children[failed]._take()
        return tuple(child._take() for child in self._children)


class _Nothing(Waitable[T_co]):
    """What combining no futures gives: settled from the beginning, and of no attempt."""

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        self._value = value

    def _tree(self) -> Tree:
        return Group(Combinator.ALL_COMPLETED, ())

    def _take(self) -> T_co:
        return self._value

    def __await__(self) -> Generator[Any, Any, T_co]:
        yield from ()
        return self._value


def _attempt_of(children: Sequence[Waitable[Any]]) -> Attempt | None:
    return next((child._attempt for child in children if not isinstance(child, _Nothing)), None)


@immutable
class Selected(Generic[T]):
    """Which of the named futures of `select` came first, and its value."""

    name: str
    value: T


class _First(_Combined[T_co]):
    __slots__ = ("_label",)

    def __init__(self, attempt: Attempt, children: Sequence[Waitable[Any]], label: Callable[[int, Any], T_co]) -> None:
        super().__init__(attempt, children, Combinator.FIRST_COMPLETED)
        self._label = label

    def _take(self) -> T_co:
        index = self._attempt.machine.winner(self._group)
        return self._label(index, self._children[index]._take())


def _first(children: Sequence[Waitable[Any]], label: Callable[[int, Any], Any]) -> Waitable[Any]:
    attempt = _attempt_of(children)
    return _Nothing(label(0, children[0]._take())) if attempt is None else _First(attempt, children, label)


def _waitable(what: str, future: object) -> Waitable[Any]:
    if not isinstance(future, Waitable):
        raise TypeError(
            f"{what} takes durable futures (of ctx.run, ctx.sleep, calls, awakeables, promises), not a"
            f" {type(future).__name__}; put anything else into ctx.run"
        )
    return future


@overload
def gather() -> DurableFuture[tuple[()]]: ...
@overload
def gather(a: DurableFuture[A], /) -> DurableFuture[tuple[A]]: ...
@overload
def gather(a: DurableFuture[A], b: DurableFuture[B], /) -> DurableFuture[tuple[A, B]]: ...
@overload
def gather(a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /) -> DurableFuture[tuple[A, B, C]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], /
) -> DurableFuture[tuple[A, B, C, D]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], e: DurableFuture[E], /
) -> DurableFuture[tuple[A, B, C, D, E]]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    f: DurableFuture[F],
    /,
) -> DurableFuture[tuple[A, B, C, D, E, F]]: ...
@overload
def gather(*futures: DurableFuture[T]) -> DurableFuture[tuple[T, ...]]: ...
def gather(*futures: DurableFuture[Any]) -> DurableFuture[Any]:
    """Waits until all futures have succeeded, or until the first fails. Journals nothing itself.

    Args:
        futures: durable futures of one context, of any kinds. None at all are settled at once.

    Returns:
        A durable future of all values, in the order of the arguments.

    Raises:
        TypeError: an argument is no durable future.
        TerminalError: when awaited: the failure that came first in the journal. The others go on.
    """
    children = [_waitable("gather", future) for future in futures]
    attempt = _attempt_of(children)
    if attempt is None:
        return _Nothing(tuple(child._take() for child in children))
    return _Gathered(attempt, children, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)


@overload
def select(a: DurableFuture[A], /) -> DurableFuture[tuple[Literal[0], A]]: ...
@overload
def select(
    a: DurableFuture[A], b: DurableFuture[B], /
) -> DurableFuture[tuple[Literal[0], A] | tuple[Literal[1], B]]: ...
@overload
def select(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /
) -> DurableFuture[tuple[Literal[0], A] | tuple[Literal[1], B] | tuple[Literal[2], C]]: ...
@overload
def select(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], /
) -> DurableFuture[tuple[Literal[0], A] | tuple[Literal[1], B] | tuple[Literal[2], C] | tuple[Literal[3], D]]: ...
@overload
def select(*futures: DurableFuture[T]) -> DurableFuture[tuple[int, T]]: ...
@overload
def select(**futures: DurableFuture[T]) -> DurableFuture[Selected[T]]: ...
def select(*futures: DurableFuture[Any], **named: DurableFuture[Any]) -> DurableFuture[Any]:
    """Waits until the first of the futures is settled: first in the journal, in every attempt. Journals nothing itself.

    Args:
        futures: durable futures of one context; the result is (index, value).
        named: or named ones; the result has `.name` and `.value`.

    Raises:
        TypeError: no futures, both kinds, or an argument that is no durable future.
        TerminalError: when awaited: the first to settle failed. The others go on.
    """
    if bool(futures) == bool(named):
        raise TypeError("select takes at least one future: either positional ones or named ones, not both")
    if named:
        names = list(named)
        children = [_waitable("select", future) for future in named.values()]
        return _first(children, lambda index, value: Selected(names[index], value))
    return _first([_waitable("select", future) for future in futures], lambda index, value: (index, value))
