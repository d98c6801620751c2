"""Exports spans in the background, as attempts end and invocations complete.

The engine only leaves an invocation's id here; journals are read later, from the store, by one task. So a slow or
dead collector costs the engine nothing.

At least once, none lost:
- Ids are derived, so what is exported twice is the same span.
- What was exported of an invocation that goes on is remembered in memory, to send each span once in the usual case.
- When more invocations wait than the queue holds, or after a restart, the store is asked for those that completed
  since, and they are exported (again). The reach is `reexport_ms` and RESCAN_LIMIT invocations, and ends with an
  invocation's retention.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from restate_runtime.core.decision import Report
from restate_runtime.core.records import Invocation, Status
from restate_runtime.core.spans import Span, trace_context
from restate_runtime.store.base import InvocationFilter, Store, StoreError

from .ports import SpanSource, SpanTarget

#: Invocations in one export.
BATCH = 64
#: Records looked at after a restart or an overflow.
RESCAN_LIMIT = 10_000
#: Seconds between tries while the target does not take spans: doubled up to the last.
FIRST_PAUSE_S = 1.0
LAST_PAUSE_S = 60.0

_log = structlog.get_logger("restate.telemetry")


class TraceExporter:
    """See the module.

    Args:
        clock: milliseconds since the Unix epoch.
        queue_limit: invocations that may wait for their export.
        reexport_ms: how far back to look after a start.
        pause: waits that many seconds.
    """

    def __init__(
        self,
        store: Store,
        source: SpanSource,
        target: SpanTarget,
        clock: Callable[[], int],
        *,
        queue_limit: int = 10_000,
        reexport_ms: int = 300_000,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._source = source
        self._target = target
        self._clock = clock
        self._queue_limit = queue_limit
        self._reexport_ms = reexport_ms
        self._pause = pause
        self._waiting: OrderedDict[bytes, None] = OrderedDict()
        self._exported: OrderedDict[bytes, set[str]] = OrderedDict()
        self._rescan_from_ms: int | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def report(self, report: Report) -> None:
        """An invocation has something new to export."""
        if report.invocation_id not in self._waiting and len(self._waiting) >= self._queue_limit:
            self._rescan(self._clock())
        else:
            self._waiting[report.invocation_id] = None
        self._wake.set()

    def start(self) -> None:
        """Begins, with what completed before the restart."""
        self._rescan(self._clock() - self._reexport_ms)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="trace-export")

    async def stop(self, grace_s: float = 5.0) -> None:
        """Exports what waits, for at most that long, and ends."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, grace_s)
        await self._target.close()

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while await self._something():
            if await self._step():
                pause_s = FIRST_PAUSE_S
            elif self._stopping:
                return
            else:
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)

    async def _something(self) -> bool:
        """Waits for work; False: there is none and none will come."""
        while not self._waiting and self._rescan_from_ms is None:
            if self._stopping:
                return False
            self._wake.clear()
            await self._wake.wait()
        return True

    async def _step(self) -> bool:
        """One batch; False: try again later."""
        try:
            if not self._waiting:
                await self._find_missed()
            return await self._export()
        except StoreError as error:
            _log.warning("traces cannot be read now", reason=str(error))
            return False
        except Exception:
            # One journal that cannot be read must not end all exports; its id has left the queue.
            _log.exception("a trace cannot be exported")
            return True

    def _rescan(self, since_ms: int) -> None:
        self._rescan_from_ms = min(since_ms, self._rescan_from_ms or since_ms)

    async def _find_missed(self) -> None:
        since_ms, self._rescan_from_ms = self._rescan_from_ms, None
        if since_ms is None:
            return
        try:
            found = await self._store.list_invocations(InvocationFilter(status=Status.COMPLETED, limit=RESCAN_LIMIT))
        except StoreError:
            self._rescan(since_ms)
            raise
        for record in reversed(found):
            if record.completed_ms is not None and record.completed_ms >= since_ms:
                self._waiting[record.id] = None

    async def _export(self) -> bool:
        ids = [self._waiting.popitem(last=False)[0] for _ in range(min(BATCH, len(self._waiting)))]
        batch: list[tuple[Invocation, list[Span]]] = []
        while ids:
            try:
                await self._collect(ids[0], batch)
            except StoreError:
                self._put_back([*(record.id for record, _ in batch), *ids])
                raise
            except Exception:
                _log.exception("a trace cannot be derived", invocation_id=ids[0])
            ids.pop(0)
        spans = [span for _, own in batch for span in own]
        if spans and not await self._target.export(spans):
            self._put_back([record.id for record, _ in batch])
            return False
        for record, own in batch:
            self._remember(record, own)
        return True

    async def _collect(self, invocation_id: bytes, batch: list[tuple[Invocation, list[Span]]]) -> None:
        record = await self._store.invocation(invocation_id)
        if record is None or not trace_context(record).sampled:
            return
        sent = self._exported.get(invocation_id, set())
        spans = await self._source.own(record)
        batch.append((record, [span for span in spans if span.end_ms is not None and span.span_id not in sent]))

    def _put_back(self, ids: list[bytes]) -> None:
        for one in reversed(ids):
            self._waiting[one] = None
            self._waiting.move_to_end(one, last=False)

    def _remember(self, record: Invocation, spans: list[Span]) -> None:
        sent = self._exported.pop(record.id, set())
        if record.status is Status.COMPLETED:
            return
        self._exported[record.id] = sent | {span.span_id for span in spans}
        if len(self._exported) > self._queue_limit:
            self._exported.popitem(last=False)
