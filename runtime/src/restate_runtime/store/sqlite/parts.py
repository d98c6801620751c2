"""How rows travel to SQLite: numbers as digits in slots, byte strings one after another. queries.sql reads this.

A row is a string of slots, put together by the caller from what `Parts` and `number` give.
"""

from __future__ import annotations

from collections.abc import Iterable

from restate_protocol.ids import INVOCATION_ID_BYTES

from restate_runtime.store.base import StoreInvalid

SLOT = 19

#: Added to every number: cheaper in Python than filling with zeros.
BASE = 10**18

#: What stands for None: for a number, and for where a text or blob begins and how long it is.
NO_NUMBER = "0" * SLOT
NO_PLACE = f"{BASE}{BASE}"


def number(value: int | None) -> str:
    """One slot."""
    return NO_NUMBER if value is None else f"{BASE + value}"


class Parts:
    """Byte strings one after another. Offsets count from 1, as SQLite's substr does."""

    __slots__ = ("_data", "_ids", "_next", "_texts")

    def __init__(self) -> None:
        # substr of an empty blob is NULL, so it never is empty.
        self._data: list[bytes] = [b"\0"]
        self._next = 2
        self._ids: dict[bytes, str] = {}
        self._texts: dict[str, str] = {}

    def joined(self) -> bytes:
        """All of it."""
        return b"".join(self._data)

    def blob(self, value: bytes | None) -> str:
        """Two slots: where `value` begins and how long it is."""
        if value is None:
            return NO_PLACE
        begin, length = self._next, len(value)
        self._data.append(value)
        self._next = begin + length
        return f"{BASE + begin}{BASE + length}"

    def text(self, value: str | None) -> str:
        """As `blob`, in UTF-8; equal texts are there once."""
        if value is None:
            return NO_PLACE
        place = self._texts.get(value)
        if place is None:
            place = self._texts[value] = self.blob(value.encode())
        return place

    def id(self, value: bytes) -> str:
        """One slot: where this invocation id begins; equal ids are there once.

        Raises:
            StoreInvalid: it is not 16 bytes long.
        """
        place = self._ids.get(value)
        if place is None:
            if len(value) != INVOCATION_ID_BYTES:
                raise StoreInvalid(f"{value.hex()} is no invocation id: it has {len(value)} bytes, not 16")
            place = self._ids[value] = f"{BASE + self._next}"
            self._data.append(value)
            self._next += INVOCATION_ID_BYTES
        return place


def packed(rows: Iterable[str], slots: int) -> bytes | None:
    """Rows of `slots` slots each, as a column of `batch` holds them; None for no rows.

    Raises:
        StoreInvalid: a number does not fit its slot.
    """
    found = list(rows)
    data = "".join(found).encode("ascii")
    if len(data) != len(found) * slots * SLOT:
        raise StoreInvalid("a number in these writes is negative or above 8 * 10^18, which the store cannot keep")
    return data or None
