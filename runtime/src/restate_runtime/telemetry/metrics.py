"""Metrics for Prometheus: what is counted here, and what is read elsewhere when somebody scrapes.

Only reports are counted as they come, with an addition to a dict each. Everything else is there anyway (in the store,
in the engine, in the ingresses) and is read for each scrape. Names and meanings are in `metric_families`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sized

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode

from restate_runtime.core.decision import Report
from restate_runtime.core.failures import decode_result
from restate_runtime.core.records import Status
from restate_runtime.core.world import Hot, Phase
from restate_runtime.deployments.dispatch import Dispatcher
from restate_runtime.engine.loop import Engine
from restate_runtime.store.base import Store

from .metric_families import Figures, families
from .ports import AnswerCounts

_ATTEMPT = "attempt_"
_PARKED = (Status.SCHEDULED, Status.QUEUED, Status.SUSPENDED, Status.PAUSED)

# How a Result begins on the wire where it is a failure: field 2, length-delimited.
_FAILURE = 0x12


class Metrics:
    """A TelemetrySink that counts, and the page that shows the counts.

    Args:
        answers: what each ingress answered, by the name of its protocol.
        callers_sessions: the open sessions of callers.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        dispatcher: Dispatcher,
        answers: Mapping[str, AnswerCounts],
        callers_sessions: Sized = (),
    ) -> None:
        self._store = store
        self._engine = engine
        self._dispatcher = dispatcher
        self._answers = answers
        self._callers_sessions = callers_sessions
        self._completed: Counter[tuple[str, str]] = Counter()
        self._attempts: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._pauses = 0
        self._process = ProcessCollector(registry=None)

    def report(self, report: Report) -> None:
        """Counts one report. The invocation is in memory still: what is forgotten is forgotten after its reports."""
        hot = self._engine.world.invocations.get(report.invocation_id)
        match report.kind:
            case "completed":
                if hot is not None:
                    self._note_completed(hot)
            case "suspended":
                self._attempts["suspended"] += 1
            case "run_failed":
                self._retries["run"] += 1
            case "paused":
                self._pauses += 1
            case kind if kind.startswith(_ATTEMPT):
                self._attempts[kind.removeprefix(_ATTEMPT)] += 1
                if hot is not None and hot.phase is Phase.BACKING_OFF:
                    self._retries["attempt"] += 1

    def _note_completed(self, hot: Hot) -> None:
        result = hot.record.result
        if result and result[0] == _FAILURE:
            failure = decode_result(result)
            code = StatusCode.of(failure.code).name if isinstance(failure, Failure) else "UNKNOWN"
        else:
            code = "OK"
        self._completed[hot.record.service, code] += 1
        if hot.output is not None:
            self._attempts["completed"] += 1

    async def page(self, accept: str) -> tuple[str, bytes]:
        """Content type and text of everything, in the form that the Accept header asks for.

        Raises:
            StoreError: the store cannot be read.
        """
        found = [*families(await self._figures()), *self._process.collect()]
        registry = CollectorRegistry()
        registry.register(_Collected(found))
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)

    async def _figures(self) -> Figures:
        stored = await self._store.counts()
        return Figures(
            statuses={**{status.value: stored.get(status, 0) for status in _PARKED}, **self._live()},
            completed=self._completed,
            attempts=self._attempts,
            retries=self._retries,
            pauses=self._pauses,
            waiting=self._dispatcher.waiting(),
            sessions=Counter(one.deployment_id for one in self._dispatcher.all_sessions()),
            keys_held=len(self._engine.world.queues),
            load=self._engine.load(),
            load_limits=self._engine.doorkeeper.limits,
            commit_counts=tuple(self._engine.commit_times.counts),
            commit_sum_s=self._engine.commit_times.sum_s,
            answers=self._answers,
            callers_sessions=len(self._callers_sessions),
        )

    def _live(self) -> dict[str, int]:
        """What is ready, running or backing off: only memory knows."""
        found = Counter(map(self._engine.live_status, {*self._engine.world.invocations, *self._dispatcher.parked()}))
        return {status: found[status] for status in ("ready", "running", "backing-off")}


class _Collected(Collector):
    """Families as what a registry takes."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found
