"""Custom serialisation of values that are no part of a contract: results of runs, awakeables, signals."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Serde(Protocol[T]):
    """Makes bytes of values and values of bytes, where none of the built-in ways fits.

    Both directions must go on working for bytes that are in journals. What they raise is a failure of the operation: a
    TerminalError where a value is written, a journal mismatch where a recorded result cannot be read any more.
    """

    @property
    def tag(self) -> str:
        """Names the format, such as "application/x-pickle". Journaled with each value and compared when it is read."""
        ...

    def dumps(self, value: T, /) -> bytes:
        """The bytes of a value."""
        ...

    def loads(self, data: bytes, /) -> T:
        """The value of bytes."""
        ...


def checked(serde: Any, what: str) -> Any:
    """The serde, which is one.

    Raises:
        TypeError: it lacks a method or its tag.
    """
    if not isinstance(serde, Serde):
        raise TypeError(f"the serde of {what} needs a tag, dumps and loads; {serde!r} has not all of them")
    if not isinstance(serde.tag, str) or not serde.tag:
        raise TypeError(f"the serde of {what} needs a tag that is a text and not empty, not {serde.tag!r}")
    return serde
