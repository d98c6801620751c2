"""Durable futures made of others: what they wait for as trees, and how their results are read.

They journal nothing and hold no results: the machine says which child settled first, and the children read their own.
So they nest, and a future may be a child of many. `combinators` has the functions that make them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.status import StatusCode

from . import misuse
from .attempt import Attempt
from .errors import DurableTimeout
from .futures import Waitable
from .vm.awaiting import Deadline, Group, Tree

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Combined(Waitable[T_co]):
    """Several futures of one attempt, which settle together.

    Args:
        attempt: whose they are.
        children: the futures.
        combinator: when they are settled.
    """

    __slots__ = ("_children", "_group")

    def __init__(self, attempt: Attempt, children: Sequence[Waitable[Any]], combinator: Combinator) -> None:
        super().__init__(attempt)
        attempt.check()
        if any(child._attempt is not attempt for child in children if not isinstance(child, Nothing)):
            attempt.misuse(misuse.TWO_INVOCATIONS)
        self._children = children
        self._group = Group(combinator, tuple(child._tree() for child in children))

    def _tree(self) -> Tree:
        return self._group


class Nothing(Waitable[T_co]):
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


class Gathered(Combined[tuple[Any, ...]]):
    """All values, or the first failure."""

    __slots__ = ()

    def _take(self) -> tuple[Any, ...]:
        failed = self._attempt.machine.first_failed(self._group)
        if failed is not None:
            self._children[failed]._take()
        return tuple(child._take() for child in self._children)


class Outcomes(Combined[tuple[Any, ...]]):
    """All values and failures."""

    __slots__ = ()

    def _take(self) -> tuple[Any, ...]:
        return tuple(map(outcome, self._children))


def outcome(future: Waitable[T]) -> T | TerminalError:
    """The value of a settled future, or its failure."""
    try:
        return future._take()
    except TerminalError as error:
        return error


class First(Combined[T_co]):
    """The first to settle, as `label` presents its index and its value."""

    __slots__ = ("_label",)

    def __init__(self, attempt: Attempt, children: Sequence[Waitable[Any]], label: Callable[[int, Any], T_co]) -> None:
        super().__init__(attempt, children, Combinator.FIRST_COMPLETED)
        self._label = label

    def _take(self) -> T_co:
        index = self._attempt.machine.winner(self._group)
        return self._label(index, self._children[index]._take())


class FirstSuccess(Combined[T_co]):
    """The first value, or one failure that tells all of them."""

    __slots__ = ()

    def _take(self) -> T_co:
        index = self._attempt.machine.first_succeeded(self._group)
        if index is not None:
            value: T_co = self._children[index]._take()
            return value
        raise all_failed([one for one in map(outcome, self._children) if isinstance(one, TerminalError)])


def all_failed(errors: Sequence[TerminalError]) -> TerminalError:
    """One error about several: with their code where they agree, and the first of them as its cause."""
    codes = {error.code for error in errors}
    told = "; ".join(f"{index}: {error}" for index, error in enumerate(errors))
    error = TerminalError(
        f"none of {len(errors)} futures succeeded: {told}", code=codes.pop() if len(codes) == 1 else StatusCode.UNKNOWN
    )
    error.__cause__ = errors[0]
    return error


class Timed(Combined[T_co]):
    """A future's result, or DurableTimeout once a timer is due."""

    __slots__ = ("_after",)

    def __init__(self, attempt: Attempt, child: Waitable[T_co], timer: int, after: timedelta) -> None:
        super().__init__(attempt, [child], Combinator.FIRST_COMPLETED)
        self._group = Group(Combinator.FIRST_COMPLETED, (child._tree(), Deadline(timer)))
        self._after = after

    def _take(self) -> T_co:
        if self._attempt.machine.winner(self._group) == 0:
            value: T_co = self._children[0]._take()
            return value
        raise DurableTimeout(f"not settled within {self._after.total_seconds():g} s")


def attempt_of(children: Sequence[Waitable[Any]]) -> Attempt | None:
    """The attempt that futures are of; None where all of them are settled from the beginning."""
    return next((child._attempt for child in children if not isinstance(child, Nothing)), None)


def durable(what: str, future: object) -> Waitable[Any]:
    """The argument of `what` as a durable future of this SDK.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(future, Waitable):
        raise TypeError(
            f"{what} takes durable futures (of ctx.run, ctx.sleep, calls, awakeables, promises), not a"
            f" {type(future).__name__}; put anything else into ctx.run"
        )
    return future
