"""The decorator of values that are made for every event, frame and entry: immutable by type, plain at run time.

A frozen dataclass sets each field through `object.__setattr__`; with nine fields it takes five times as long to make
as one that is not frozen, and a call makes some thirty. So these are frozen to type checkers, which this project runs
over every line, and ordinary slotted dataclasses when the program runs. Values that are made rarely stay frozen.

Invariant: nothing assigns to a field of such a value after it was made; equality and hash go by the fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[T]) -> type[T]:
    """Makes a class a value."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
