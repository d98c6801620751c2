"""`select`, `race`, `first_success`, `as_completed`, `timeout`: who comes first, by the journal, in every attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, overload

from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.futures import DurableFuture
from restate_protocol.immutable import immutable

from .combined import Combined, First, FirstSuccess, Nothing, Timed, attempt_of, durable, outcome
from .futures import Waitable

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


@immutable
class Selected(Generic[T]):
    """Which of the named futures of `select` came first, and its value."""

    name: str
    value: T


def _first(children: Sequence[Waitable[Any]], label: Callable[[int, Any], Any]) -> Waitable[Any]:
    attempt = attempt_of(children)
    return Nothing(label(0, children[0]._take())) if attempt is None else First(attempt, children, label)


def _some(what: str, futures: Sequence[object]) -> list[Waitable[Any]]:
    if not futures:
        raise TypeError(f"{what} takes at least one future")
    return [durable(what, future) for future in futures]


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
        TerminalError: when awaited: the first to settle failed, or the invocation was cancelled. The others go on.
    """
    if bool(futures) == bool(named):
        raise TypeError("select takes at least one future: either positional ones or named ones, not both")
    if named:
        names = list(named)
        children = [durable("select", future) for future in named.values()]
        return _first(children, lambda index, value: Selected(names[index], value))
    return _first([durable("select", future) for future in futures], lambda index, value: (index, value))


@overload
def race(a: DurableFuture[A], /) -> DurableFuture[A]: ...
@overload
def race(a: DurableFuture[A], b: DurableFuture[B], /) -> DurableFuture[A | B]: ...
@overload
def race(a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /) -> DurableFuture[A | B | C]: ...
@overload
def race(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], /
) -> DurableFuture[A | B | C | D]: ...
@overload
def race(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], e: DurableFuture[E], /
) -> DurableFuture[A | B | C | D | E]: ...
@overload
def race(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    f: DurableFuture[F],
    /,
) -> DurableFuture[A | B | C | D | E | F]: ...
@overload
def race(*futures: DurableFuture[T]) -> DurableFuture[T]: ...
def race(*futures: DurableFuture[Any]) -> DurableFuture[Any]:
    """The value of the first of the futures to settle, first in the journal. Journals nothing itself.

    Args:
        futures: durable futures of one context, at least one. `select` also tells which it was.

    Raises:
        TypeError: no futures, or an argument that is no durable future.
        TerminalError: when awaited: the first to settle failed, or the invocation was cancelled. The others go on.
    """
    return _first(_some("race", futures), lambda _, value: value)


@overload
def first_success(a: DurableFuture[A], /) -> DurableFuture[A]: ...
@overload
def first_success(a: DurableFuture[A], b: DurableFuture[B], /) -> DurableFuture[A | B]: ...
@overload
def first_success(a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /) -> DurableFuture[A | B | C]: ...
@overload
def first_success(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], /
) -> DurableFuture[A | B | C | D]: ...
@overload
def first_success(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], d: DurableFuture[D], e: DurableFuture[E], /
) -> DurableFuture[A | B | C | D | E]: ...
@overload
def first_success(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    f: DurableFuture[F],
    /,
) -> DurableFuture[A | B | C | D | E | F]: ...
@overload
def first_success(*futures: DurableFuture[T]) -> DurableFuture[T]: ...
def first_success(*futures: DurableFuture[Any]) -> DurableFuture[Any]:
    """The value of the first of the futures to succeed, first in the journal. Journals nothing itself.

    Args:
        futures: durable futures of one context, at least one.

    Raises:
        TypeError: no futures, or an argument that is no durable future.
        TerminalError: when awaited: all of them failed, and this tells how; or the invocation was cancelled.
    """
    children = _some("first_success", futures)
    attempt = attempt_of(children)
    if attempt is None:
        return children[0]
    return FirstSuccess(attempt, children, Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED)


@overload
def as_completed(
    a: DurableFuture[A], /, *, return_exceptions: Literal[False] = False
) -> AsyncIterator[tuple[Literal[0], A]]: ...
@overload
def as_completed(
    a: DurableFuture[A], b: DurableFuture[B], /, *, return_exceptions: Literal[False] = False
) -> AsyncIterator[tuple[Literal[0], A] | tuple[Literal[1], B]]: ...
@overload
def as_completed(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /, *, return_exceptions: Literal[False] = False
) -> AsyncIterator[tuple[Literal[0], A] | tuple[Literal[1], B] | tuple[Literal[2], C]]: ...
@overload
def as_completed(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> AsyncIterator[tuple[Literal[0], A] | tuple[Literal[1], B] | tuple[Literal[2], C] | tuple[Literal[3], D]]: ...
@overload
def as_completed(
    *futures: DurableFuture[T], return_exceptions: Literal[False] = False
) -> AsyncIterator[tuple[int, T]]: ...
@overload
def as_completed(
    a: DurableFuture[A], /, *, return_exceptions: Literal[True]
) -> AsyncIterator[tuple[Literal[0], A | TerminalError]]: ...
@overload
def as_completed(
    a: DurableFuture[A], b: DurableFuture[B], /, *, return_exceptions: Literal[True]
) -> AsyncIterator[tuple[Literal[0], A | TerminalError] | tuple[Literal[1], B | TerminalError]]: ...
@overload
def as_completed(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /, *, return_exceptions: Literal[True]
) -> AsyncIterator[
    tuple[Literal[0], A | TerminalError] | tuple[Literal[1], B | TerminalError] | tuple[Literal[2], C | TerminalError]
]: ...
@overload
def as_completed(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    /,
    *,
    return_exceptions: Literal[True],
) -> AsyncIterator[
    tuple[Literal[0], A | TerminalError]
    | tuple[Literal[1], B | TerminalError]
    | tuple[Literal[2], C | TerminalError]
    | tuple[Literal[3], D | TerminalError]
]: ...
@overload
def as_completed(
    *futures: DurableFuture[T], return_exceptions: Literal[True]
) -> AsyncIterator[tuple[int, T | TerminalError]]: ...
def as_completed(*futures: DurableFuture[Any], return_exceptions: bool = False) -> AsyncIterator[tuple[int, Any]]:
    """Every future's index and value, in the order in which the journal settles them. Journals nothing itself.

    Args:
        futures: durable futures of one context.
        return_exceptions: a failure is given as a value. Default: it is raised, which ends an `async for`; asked for
            the next one, the iterator goes on with the futures that are left.

    Raises:
        TypeError: an argument is no durable future.
        TerminalError: while iterating: the next future failed, or the invocation was cancelled.
    """
    children = [durable("as_completed", future) for future in futures]
    return _Completing(children, return_exceptions=return_exceptions)


class _Completing(AsyncIterator[tuple[int, Any]]):
    """The futures that were not given yet."""

    def __init__(self, children: Sequence[Waitable[Any]], *, return_exceptions: bool) -> None:
        self._left = dict(enumerate(children))
        self._return_exceptions = return_exceptions

    async def __anext__(self) -> tuple[int, Any]:
        if not self._left:
            raise StopAsyncIteration
        indexes = list(self._left)
        index = indexes[await self._next()]
        child = self._left.pop(index)
        return index, outcome(child) if self._return_exceptions else child._take()

    async def _next(self) -> int:
        """Which of those left settles first."""
        children = list(self._left.values())
        attempt = attempt_of(children)
        if attempt is None:
            return 0
        return await _Winner(attempt, children, Combinator.FIRST_COMPLETED)


class _Winner(Combined[int]):
    """Which child settled first, however it did."""

    __slots__ = ()

    def _take(self) -> int:
        return self._attempt.machine.winner(self._group)


def timeout(future: DurableFuture[T], after: timedelta) -> DurableFuture[T]:
    """The future's result, unless a durable timer comes first. Journals the timer, as a sleep named `timeout`.

    Args:
        future: a durable future. It goes on after the timeout, and may be awaited again.
        after: how long from now, when first asked; later attempts keep that time.

    Raises:
        TypeError: no durable future, or no timedelta.
        ValueError: the time is negative.
        DurableTimeout: when awaited: the timer came first.
        TerminalError: when awaited: the future failed, or the invocation was cancelled.
    """
    child = durable("timeout", future)
    if not isinstance(after, timedelta):
        raise TypeError(f"a timeout takes a timedelta, such as timedelta(seconds=5), not {after!r}")
    if after < timedelta():
        raise ValueError(f"a timeout cannot be negative: {after.total_seconds():g} s")
    attempt = attempt_of([child])
    if attempt is None:
        return child
    attempt.check()
    timer = attempt.machine.sys_sleep(attempt.due_ms(after), "timeout")
    attempt.wake()
    return Timed(attempt, child, timer, after)
