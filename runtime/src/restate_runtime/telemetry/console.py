"""Traces for people in front of a terminal: a tree when an invocation completes, a line when an attempt or run fails.

For development: what is not printed in time is dropped, and said so.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import structlog
from restate_protocol.ids import invocation_id_text

from restate_runtime.core.decision import Report
from restate_runtime.core.records import Invocation
from restate_runtime.core.spans import Span, target
from restate_runtime.store.base import Store

from .ports import SpanSource
from .tree import TreeSpan, plain, tree

#: Reports that may wait to be printed.
QUEUE_LIMIT = 1_000

_log = structlog.get_logger("restate.telemetry")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class ConsoleTraces:
    """Prints what happens, by one task in the background.

    Args:
        write: prints one or more lines.
    """

    def __init__(self, store: Store, source: SpanSource, write: Callable[[str], None] = _to_stderr) -> None:
        self._store = store
        self._source = source
        self._write = write
        self._queue: asyncio.Queue[Report | None] = asyncio.Queue()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def report(self, report: Report) -> None:
        """Something to print."""
        if report.kind == "suspended":
            return
        if self._queue.qsize() >= QUEUE_LIMIT:
            self._dropped += 1
            return
        self._queue.put_nowait(report)

    def start(self) -> None:
        """Begins printing."""
        self._task = asyncio.create_task(self._run(), name="trace-console")

    async def stop(self) -> None:
        """Prints what waits and ends."""
        self._queue.put_nowait(None)
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while (report := await self._queue.get()) is not None:
            try:
                await self._show(report)
            except Exception:
                _log.exception("a trace cannot be shown", invocation_id=report.invocation_id)
            if self._queue.empty():
                self._tell_dropped()
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._write(f"… {self._dropped} reports not shown: too many at once")
            self._dropped = 0

    async def _show(self, report: Report) -> None:
        record = await self._store.invocation(report.invocation_id)
        if record is None:
            return
        shown = f"{target(record)} {invocation_id_text(record.id)}"
        match report.kind:
            case "completed":
                # What was called is shown within the tree of its caller.
                if record.parent_id is None or not record.reply:
                    self._write("\n".join(await self._lines(record)))
            case "paused":
                why = report.detail.partition("\n")[0]  # the attempt that failed has told all of it
                self._write("\n".join([f"‖ {shown} paused: {why}", *await self._lines(record)]))
                self._write(f"  go on with: restate-cli invocations resume {invocation_id_text(record.id)}")
            case "attempt_failed" | "attempt_lost":
                self._write(f"↻ {shown} attempt {record.epoch} {report.kind.removeprefix('attempt_')}: {report.detail}")
            case "run_failed":
                self._write(f"↻ {shown} a run failed and is tried again: {report.detail}")
            case _:
                pass

    async def _lines(self, record: Invocation) -> list[str]:
        spans = await self._source.whole(record)
        return plain(tree(_tree_span(span, span is spans[0]) for span in spans))


def _tree_span(span: Span, is_root: bool) -> TreeSpan:
    note = str(span.attributes["restate.invocation.id"] if is_root else span.attributes.get(_OUTCOME, ""))
    return TreeSpan(span.span_id, span.parent_id, span.name, span.start_ms, span.end_ms, span.error, note)


_OUTCOME = "restate.attempt.outcome"
