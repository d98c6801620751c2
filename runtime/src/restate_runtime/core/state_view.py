"""What lazy reads know of the state of one key: what the store has, and what was decided since.

Invariant: a view begins with the writes that are decided and not committed, and hears of every later one. So it does
not matter whether a read of the store sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class StateView:
    """The part of a key's state that was asked for.

    Args:
        decided: the last word on each entry that a write names; None: it goes.
        cleared: what is not in `decided` is gone, whatever the store has.
        read: entries as the store has them; None: it has none.
        read_numbers: numbers of all entries that the store has; None: not asked for.
    """

    decided: dict[int, bytes | None] = field(default_factory=dict)
    cleared: bool = False
    read: dict[int, bytes | None] = field(default_factory=dict)
    read_numbers: list[int] | None = None

    def put(self, number: int, value: bytes | None) -> None:
        """An entry was decided."""
        self.decided[number] = value

    def clear(self) -> None:
        """All entries go."""
        self.decided.clear()
        self.cleared = True

    def knows(self, number: int | None) -> bool:
        """Whether this entry is known; None: whether it is known which there are."""
        if self.cleared or number in self.decided:
            return True
        return self.read_numbers is not None if number is None else number in self.read

    def value(self, number: int) -> bytes | None:
        """An entry that is known; None where there is none."""
        if number in self.decided:
            return self.decided[number]
        return None if self.cleared else self.read[number]

    def numbers(self) -> list[int]:
        """Numbers of all entries, ascending; they must be known."""
        found = set() if self.cleared else set(self.read_numbers or ())
        found -= self.decided.keys()
        return sorted(found | {number for number, value in self.decided.items() if value is not None})
