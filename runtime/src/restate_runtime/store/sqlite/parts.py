"""How byte strings and rows that point into them travel to SQLite. queries.sql reads what is laid out here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from restate_protocol.ids import INVOCATION_ID_BYTES

from restate_runtime.store.base import StoreInvalid

Cell: TypeAlias = int | str | None
Row: TypeAlias = Sequence[Cell]
Place: TypeAlias = tuple[int | None, int | None]


class Parts:
    """Byte strings one after another. Offsets count from 1, as SQLite's substr does."""

    __slots__ = ("_data", "_ids", "_next", "_texts")

    def __init__(self) -> None:
        # substr of an empty blob is NULL, so it never is empty.
        self._data: list[bytes] = [b"\0"]
        self._next = 2
        self._ids: dict[bytes, int] = {}
        self._texts: dict[str, Place] = {}

    def joined(self) -> bytes:
        """All of it."""
        return b"".join(self._data)

    def blob(self, value: bytes | None) -> Place:
        """Where `value` begins and how long it is; for None twice None, of which substr makes NULL."""
        if value is None:
            return None, None
        begin, length = self._next, len(value)
        self._data.append(value)
        self._next = begin + length
        return begin, length

    def text(self, value: str | None) -> Place:
        """As `blob`, in UTF-8; equal texts are there once."""
        if value is None:
            return None, None
        place = self._texts.get(value)
        if place is None:
            place = self._texts[value] = self.blob(value.encode())
        return place

    def id(self, value: bytes) -> int:
        """Where this invocation id begins; equal ids are there once.

        Raises:
            StoreInvalid: it is not 16 bytes long.
        """
        begin = self._ids.get(value)
        if begin is None:
            if len(value) != INVOCATION_ID_BYTES:
                raise StoreInvalid(f"{value.hex()} is no invocation id: it has {len(value)} bytes, not 16")
            begin = self._ids[value] = self._next
            self._data.append(value)
            self._next = begin + INVOCATION_ID_BYTES
        return begin
