"""The report about a handler that does something else than its journal has recorded: what, where, and what to do.

It shows both commands side by side, field by field. Nothing of what it tells took effect: the attempt ends with it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from restate_protocol import ids

_MOST_ROWS = 20
_WIDEST = 44
_MOST_NAMED = 3
_NONE = "-"


class Awaits(enum.Enum):
    """What the mismatch says about awaits."""

    AS_RECORDED = "as recorded"
    WAITS = "waits"  # the handler waits where the journal goes on; the recorded command is the next one
    ADDED = "added"  # it awaited more before the command than the handler that issued it
    REMOVED = "removed"  # it awaited less


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
class Unfinished:
    """An entry without a result, which only the invocation that made it can get.

    Args:
        index: its place in the journal; as many entries come before it.
        command: what it is, for people.
    """

    index: int
    command: str


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
        unfinished: the first entry before the command that a restart cannot take over, if there is one.
        awaits: whether it is about an await, and how.
    """

    invocation_id: bytes
    command: int
    entries: int
    recorded: str
    attempted: str
    rows: tuple[Row, ...]
    where: str = ""
    unfinished: Unfinished | None = None
    awaits: Awaits = Awaits.AS_RECORDED

    @property
    def differences(self) -> tuple[Row, ...]:
        """The fields that differ."""
        return tuple(row for row in self.rows if row.differs)

    def __str__(self) -> str:
        head = f"journal mismatch at command {self.command}: {self._what()}"
        return "\n".join([head, *self._place(), *self._table(), *self._advice()])

    def _what(self) -> str:
        match self.awaits:
            case Awaits.WAITS:
                return (
                    f"an await was added: the handler now has {self.attempted}, and the journal has no result for it at"
                    f" this point, although later commands are recorded (the next is {self.recorded})"
                )
            case Awaits.ADDED:
                return (
                    f"an await was added: before {self.recorded} there was no await of {self._others()}; now there is"
                )
            case Awaits.REMOVED:
                return (
                    f"an await was removed: before {self.recorded} there was one of {self._others()}; now there is none"
                )
        now = self._but_for() if self.recorded == self.attempted else self.attempted
        return f"the journal has {self.recorded}, the handler now does {now}"

    def _others(self) -> str:
        others = [row.field for row in self.rows[1:]]
        names = "; ".join(others[:_MOST_NAMED]) or "a result"
        if len(others) > _MOST_NAMED:
            names += f"; and {len(others) - _MOST_NAMED} more"
        return names

    def _but_for(self) -> str:
        """The fields that differ; the value too where it is one, and short."""
        found = self._telling()
        names = ", ".join(row.field for row in found[:_MOST_NAMED])
        if len(found) > _MOST_NAMED:
            names += f" and {len(found) - _MOST_NAMED} more"
        elif len(found) == 1 and all(len(_side(text)) <= _WIDEST for text in (found[0].recorded, found[0].attempted)):
            names += f": {found[0].attempted or 'nothing'} instead of {found[0].recorded or 'nothing'}"
        return f"the same but for {names}"

    def _telling(self) -> list[Row]:
        """The differences, without the id of a called invocation where it differs because the key does."""
        calls = any(row.field == "service" for row in self.rows)
        told = [row for row in self.differences if not (calls and row.field == "invocation_id")]
        return told or list(self.differences)

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
        yield f"    {self._kept()}"

    def _kept(self) -> str:
        if self.unfinished is None:
            return f"with --entries {self.entries} what came before this command is kept"
        index, what = self.unfinished.index, self.unfinished.command
        kept = "only the input" if index == 1 else "what came before it"
        return f"with --entries {index} {kept} is kept: entry {index}, {what}, has no result and cannot be taken over"


def _side(text: str | None) -> str:
    return _NONE if text is None else text


def _width(texts: list[str]) -> int:
    """Wide enough for most: a long text pushes its own line only."""
    return max(len(text) for text in texts if len(text) <= _WIDEST)
