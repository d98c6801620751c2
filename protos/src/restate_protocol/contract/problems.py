"""What is wrong with a contract, where, and what mends it.

ContractError (a RestateError and a ValueError) carries every problem of a reading, never only the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from restate_protocol.errors import RestateError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One misuse.

    Args:
        file: name of the .proto file, as imported. Empty when the descriptors themselves are broken.
        line: counted from 1; 0 when the descriptors carry no positions.
        column: counted from 1; 0 when the descriptors carry no positions.
        message: what is wrong, without a full stop.
        mend: what to do about it, one sentence.
    """

    file: str
    line: int
    column: int
    message: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}. {self.mend}"


class ContractError(RestateError, ValueError):
    """A contract that nobody may generate from or register.

    Args:
        problems: all of them; sorted by file, line and column, each told once.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
