"""`gather`: waits for several durable futures together."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, overload

from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.futures import DurableFuture

from .combined import Gathered, Nothing, Outcomes, attempt_of, durable

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


@overload
def gather(*, return_exceptions: bool = False) -> DurableFuture[tuple[()]]: ...
@overload
def gather(a: DurableFuture[A], /, *, return_exceptions: Literal[False] = False) -> DurableFuture[tuple[A]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], /, *, return_exceptions: Literal[False] = False
) -> DurableFuture[tuple[A, B]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /, *, return_exceptions: Literal[False] = False
) -> DurableFuture[tuple[A, B, C]]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> DurableFuture[tuple[A, B, C, D]]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    /,
    *,
    return_exceptions: Literal[False] = False,
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
    *,
    return_exceptions: Literal[False] = False,
) -> DurableFuture[tuple[A, B, C, D, E, F]]: ...
@overload
def gather(*futures: DurableFuture[T], return_exceptions: Literal[False] = False) -> DurableFuture[tuple[T, ...]]: ...
@overload
def gather(a: DurableFuture[A], /, *, return_exceptions: Literal[True]) -> DurableFuture[tuple[A | TerminalError]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], /, *, return_exceptions: Literal[True]
) -> DurableFuture[tuple[A | TerminalError, B | TerminalError]]: ...
@overload
def gather(
    a: DurableFuture[A], b: DurableFuture[B], c: DurableFuture[C], /, *, return_exceptions: Literal[True]
) -> DurableFuture[tuple[A | TerminalError, B | TerminalError, C | TerminalError]]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    /,
    *,
    return_exceptions: Literal[True],
) -> DurableFuture[tuple[A | TerminalError, B | TerminalError, C | TerminalError, D | TerminalError]]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    /,
    *,
    return_exceptions: Literal[True],
) -> DurableFuture[
    tuple[A | TerminalError, B | TerminalError, C | TerminalError, D | TerminalError, E | TerminalError]
]: ...
@overload
def gather(
    a: DurableFuture[A],
    b: DurableFuture[B],
    c: DurableFuture[C],
    d: DurableFuture[D],
    e: DurableFuture[E],
    f: DurableFuture[F],
    /,
    *,
    return_exceptions: Literal[True],
) -> DurableFuture[
    tuple[
        A | TerminalError, B | TerminalError, C | TerminalError, D | TerminalError, E | TerminalError, F | TerminalError
    ]
]: ...
@overload
def gather(
    *futures: DurableFuture[T], return_exceptions: Literal[True]
) -> DurableFuture[tuple[T | TerminalError, ...]]: ...
@overload
def gather(*futures: DurableFuture[T], return_exceptions: bool) -> DurableFuture[tuple[T | TerminalError, ...]]: ...
def gather(*futures: DurableFuture[Any], return_exceptions: bool = False) -> DurableFuture[Any]:
    """Waits until all futures have succeeded, or until the first fails. Journals nothing itself.

    Args:
        futures: durable futures of one context, of any kinds. None at all are settled at once.
        return_exceptions: waits for all of them whatever happens, and gives a failure in its future's place.

    Returns:
        A durable future of all values, in the order of the arguments.

    Raises:
        TypeError: an argument is no durable future.
        TerminalError: when awaited: the failure that came first in the journal; the others go on. Or the invocation
            was cancelled, which is raised also with `return_exceptions`.
    """
    children = [durable("gather", future) for future in futures]
    attempt = attempt_of(children)
    if attempt is None:
        return Nothing(tuple(child._take() for child in children))
    if return_exceptions:
        return Outcomes(attempt, children, Combinator.ALL_COMPLETED)
    return Gathered(attempt, children, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)
