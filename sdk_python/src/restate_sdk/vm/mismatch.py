"""The report about a handler that does something else than its journal has recorded: what, where, and what to do.

It shows both commands side by side, field by field. Nothing of what it tells took effect: the attempt ends with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from restate_protocol import ids

_MOST_ROWS = 20
_WIDEST = 44
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """A field of two commands, side by side.

    Args:
        field: its name; "command" for the command itself; with a path where a message differs in a field of it.
        recorded: what the journal has, for people; None where it has no such field.
        attempted: what the handler does now, for people.
        differs: whether these are two values.
    """

    field: str
    recorded: str | None
    attempted: str | None
    differs: bool = True


@dataclass(frozen=True, slots=True)
class MismatchReport:
    """What a mismatch is about.

    Args:
        invocation_id: whose journal it is.
        command: number of the command, from 1; 0 is the input.
        entries: how many journal entries come before it.
        recorded: the recorded command, for people.
        attempted: what the handler does now, for people.
        rows: both, field by field.
        where: the place in the handler; empty where that is not known.
    """

    invocation_id: bytes
    command: int
    entries: int
    recorded: str
    attempted: str
    rows: tuple[Row, ...]
    where: str = ""

    @property
    def differences(self) -> tuple[Row, ...]:
        """The fields that differ."""
        return tuple(row for row in self.rows if row.differs)

    def __str__(self) -> str:
        head = (
            f"journal mismatch at command {self.command}: the journal has {self.recorded}, the handler now does"
            f" {self.attempted}"
        )
        return "\n".join([head, *self._place(), *self._table(), *self._advice()])

    def _place(self) -> Iterator[str]:
        for line in self.where.splitlines():
            yield f"  {line}"

    def _table(self) -> Iterator[str]:
        shown = self.rows[:_MOST_ROWS]
        left = _width(["", *(row.field for row in shown)])
        middle = _width(["recorded", *(_side(row.recorded) for row in shown)])
        yield f"    {'':{left}}  {'recorded':{middle}}  attempted"
        for row in shown:
            mark = "*" if row.differs else " "
            yield f"  {mark} {row.field:{left}}  {_side(row.recorded):{middle}}  {_side(row.attempted)}".rstrip()
        if len(self.rows) > len(shown):
            yield f"    and {len(self.rows) - len(shown)} more"

    def _advice(self) -> Iterator[str]:
        invocation = ids.invocation_id_text(self.invocation_id)
        cli = "restate-cli invocations"
        yield (
            "Nothing of this attempt from here on took effect. A handler must repeat the steps of its earlier attempts:"
            " keep clocks, random numbers and I/O inside ctx.run. What you can do:"
        )
        yield f"  - serve the code that made the journal, or mended code that repeats it: {cli} resume {invocation}"
        yield f"  - the same on another deployment: {cli} resume {invocation} --deployment dep_..."
        yield f"  - begin again: {cli} kill {invocation}, then {cli} restart {invocation};"
        yield f"    with --entries {self.entries} what came before this command is kept"


def _side(text: str | None) -> str:
    return _NONE if text is None else text


def _width(texts: list[str]) -> int:
    """Wide enough for most: a long text pushes its own line only."""
    return max(len(text) for text in texts if len(text) <= _WIDEST)
