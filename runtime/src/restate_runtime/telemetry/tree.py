"""A trace as a tree of text lines, one for each span, with durations. Pure; prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreeSpan:
    """What a line shows of a span. Times are milliseconds since the Unix epoch; no end: it lasts still."""

    span_id: str
    parent_id: str
    name: str
    start_ms: int
    end_ms: int | None
    error: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One line: the branches before the name, and the texts after it."""

    branches: str
    span: TreeSpan
    duration: str


def tree(spans: Iterable[TreeSpan]) -> list[TreeLine]:
    """The lines of the tree, each span after its parent, siblings by start. A span of an unknown parent is a root."""
    known = {span.span_id: span for span in spans}
    children: dict[str, list[TreeSpan]] = {}
    for span in known.values():
        parent = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else ""
        children.setdefault(parent, []).append(span)
    lines: list[TreeLine] = []
    # A stack, not recursion: chains of calls may be long.
    stack = [(span, "", "") for span in reversed(_by_start(children.get("", [])))]
    while stack:
        span, branches, below = stack.pop()
        lines.append(TreeLine(branches, span, duration(span.start_ms, span.end_ms)))
        inner = _by_start(children.get(span.span_id, []))
        for child in reversed(inner):
            last = child is inner[-1]
            stack.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    return lines


def plain(lines: Sequence[TreeLine]) -> list[str]:
    """The lines as text, durations in one column."""
    width = max((len(line.branches) + len(line.span.name) for line in lines), default=0)
    return [_plain(line, width) for line in lines]


def _plain(line: TreeLine, width: int) -> str:
    name = (line.branches + line.span.name).ljust(width)
    error = f"✗ {_first_line(line.span.error)}" if line.span.error else ""
    return "  ".join(part for part in (name, line.duration.rjust(8), line.span.note, error) if part).rstrip()


def _first_line(error: str) -> str:
    """A report of several lines, such as a journal mismatch, would break the tree; `invocations get` has all of it."""
    first, _, rest = error.partition("\n")
    return f"{first} …" if rest else first


def duration(start_ms: int, end_ms: int | None) -> str:
    """How long it took, for people: 12ms, 3.4s, 2m05s, 1h02m, 3d04h; … while it lasts."""
    if end_ms is None:
        return "…"
    ms = max(0, end_ms - start_ms)
    if ms < 1_000:
        return f"{ms}ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f}s" if ms < 59_950 else "1m00s"
    seconds = ms // 1_000
    for size, unit, small, small_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{seconds // size}{unit}{seconds % size // small:02}{small_unit}"
    raise AssertionError("unreachable")


def _by_start(spans: list[TreeSpan]) -> list[TreeSpan]:
    return sorted(spans, key=lambda span: span.start_ms)
