"""How commands print: tables on a terminal, tab-separated lines in a pipe, JSON when asked.

Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from protobuf import Message
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from restate_runtime.telemetry.tree import TreeSpan, plain, tree

#: How much of a journal entry's content a table shows, in characters; `--full` shows all of it.
MAX_CELL_CHARS = 1_000

_STATUS_COLORS = {
    "completed": "green",
    "running": "cyan",
    "ready": "cyan",
    "paused": "bold red",
    "backing-off": "yellow",
}


def show_json(value: Any) -> None:
    """A value as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def as_json(message: Message[Any]) -> Any:
    """A message as ProtoJSON, as a value."""
    return json.loads(message.to_json())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows as a table on a terminal, as tab-separated lines with a header line in a pipe."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    shown = list(rows)
    table = Table(box=None, header_style="bold", pad_edge=False)
    # The first column is what one copies, so it is never cut; the others wrap.
    table.add_column(columns[0], min_width=max((len(row[0]) for row in shown), default=0))
    for column in columns[1:]:
        table.add_column(column, overflow="fold")
    for row in shown:
        table.add_row(*(_colored(cell) for cell in row))
    Console().print(table)


def show_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line; empty values are left out."""
    shown = [(name, value) for name, value in pairs if value]
    if not sys.stdout.isatty():
        for name, value in shown:
            print(f"{name}\t{value}")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in shown:
        table.add_row(f"[bold]{escape(name)}[/bold]", _colored(value))
    Console().print(table)


def show_tree(spans: Iterable[TreeSpan]) -> None:
    """A trace, one span a line."""
    lines = plain(tree(spans))
    if not sys.stdout.isatty():
        print("\n".join(lines))
        return
    console = Console()
    for line in lines:
        console.print(line, style="red" if "✗" in line else None, markup=False, highlight=False, soft_wrap=True)


def show_error(message: str, hint: str = "") -> None:
    """An error and what to do, on stderr."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/bold red] {escape(message)}")
    if hint:
        console.print(f"[dim]hint:[/dim] {escape(hint)}")


def note(message: str) -> None:
    """Something worth knowing that is no data, on stderr."""
    print(message, file=sys.stderr)


def ask(question: str) -> bool:
    """A question on stderr; whether the answer is yes. No answer, or nobody there to ask, is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def is_long(text: str) -> bool:
    """Whether a table shows only the beginning of it."""
    return len(text) > MAX_CELL_CHARS


def beginning(text: str) -> str:
    """A text for a cell: whole, or its beginning and how many characters follow."""
    if not is_long(text):
        return text
    return f"{text[:MAX_CELL_CHARS]}… ({len(text) - MAX_CELL_CHARS:,} more characters)"


def time_text(ms: int) -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(ms / 1_000, tz=UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def _colored(cell: str) -> str:
    color = _STATUS_COLORS.get(cell)
    return f"[{color}]{escape(cell)}[/{color}]" if color else escape(cell)
