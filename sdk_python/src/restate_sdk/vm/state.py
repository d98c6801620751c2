"""The state entries as the handler would see them now: what came with the attempt, and its own writes since.

Replayed writes are in what came with the attempt, if everything came. If only a part did, they are applied as they
are replayed: the last of them is what is there now, for who may write is the only one who writes. Reads are not kept:
a handler that only reads may want to see what others wrote since.
"""

from __future__ import annotations

from collections.abc import Iterable

from restate_protocol.journal import Result, Value, Void


class LocalState:
    """State entries by field number; None is an entry known to be absent.

    Args:
        entries: number and value of each entry that came with the attempt.
        complete: whether these are all there are.
    """

    __slots__ = ("_complete", "_entries", "lacks_replayed")

    def __init__(self, entries: Iterable[tuple[int, bytes]], *, complete: bool) -> None:
        self._entries: dict[int, bytes | None] = dict(entries)
        self._complete = complete
        self.lacks_replayed = not complete  # whether replayed writes have to be applied

    def get(self, number: int) -> Result | None:
        """The entry, Void where there is none, or None where it must be fetched."""
        if number in self._entries:
            value = self._entries[number]
            return Void() if value is None else Value(value)
        return Void() if self._complete else None

    def put(self, number: int, value: bytes | None) -> None:
        """The handler wrote an entry; None clears it."""
        self._entries[number] = value

    def clear(self) -> None:
        """The handler cleared all entries: from now on everything is known."""
        self._entries.clear()
        self._complete = True

    def numbers(self) -> tuple[int, ...] | None:
        """Numbers of the entries there are, ascending, or None where they must be fetched."""
        if not self._complete:
            return None
        return tuple(sorted(number for number, value in self._entries.items() if value is not None))
