"""The names, labels and meanings of the runtime's metrics: figures in, families of Prometheus out. Pure.

`docs/reference/metrics.md` has one line for each, and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from restate_runtime.engine.commit_times import BOUNDS_S
from restate_runtime.engine.overload import Bound, Load, LoadLimits

from .ports import AnswerCounts


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is to show at one moment.

    Args:
        statuses: invocations by status, without completed ones.
        completed: invocations that ended, by service and name of the code.
        attempts: attempts that ended, by how.
        retries: failures that are to be tried again, by what failed: attempt or run.
        pauses: how often an invocation was paused.
        waiting: attempts that wait for a session with credit, by deployment.
        sessions: open sessions by deployment.
        keys_held: keys that an exclusive invocation holds.
        load, load_limits: how much work there is, and how much is taken on.
        commit_counts, commit_sum_s: as in CommitTimes.
        answers: what each ingress answered, by the name of its protocol.
        callers_sessions: open sessions of callers.
    """

    statuses: Mapping[str, int]
    completed: Mapping[tuple[str, str], int]
    attempts: Mapping[str, int]
    retries: Mapping[str, int]
    pauses: int
    waiting: Mapping[str, int]
    sessions: Mapping[str, int]
    keys_held: int
    load: Load
    load_limits: LoadLimits
    commit_counts: tuple[int, ...]
    commit_sum_s: float
    answers: Mapping[str, AnswerCounts]
    callers_sessions: int = 0


def families(figures: Figures) -> Iterator[Metric]:
    """Everything as families."""
    yield from _invocations(figures)
    yield from _attempts(figures)
    yield _commits(figures)
    yield from _load(figures)
    yield from _ingress(figures)


def _invocations(figures: Figures) -> Iterator[Metric]:
    held = GaugeMetricFamily("restate_invocations", "Invocations that are not completed.", labels=["status"])
    for status, count in figures.statuses.items():
        held.add_metric([status], count)
    yield held
    ended = CounterMetricFamily(
        "restate_invocations_completed", "Invocations that ended, by gRPC code.", labels=["service", "code"]
    )
    for labels, count in figures.completed.items():
        ended.add_metric(labels, count)
    yield ended
    pauses = CounterMetricFamily("restate_invocations_paused", "How often an invocation was paused.")
    pauses.add_metric([], figures.pauses)
    yield pauses
    keys = GaugeMetricFamily("restate_keys_held", "Keys of objects that an exclusive invocation holds.")
    keys.add_metric([], figures.keys_held)
    yield keys


def _attempts(figures: Figures) -> Iterator[Metric]:
    ended = CounterMetricFamily("restate_attempts", "Attempts that ended, by how.", labels=["outcome"])
    for outcome, count in figures.attempts.items():
        ended.add_metric([outcome], count)
    yield ended
    retries = CounterMetricFamily("restate_retries", "Failures that are to be tried again.", labels=["of"])
    for what in ("attempt", "run"):
        retries.add_metric([what], figures.retries.get(what, 0))
    yield retries
    waiting = GaugeMetricFamily(
        "restate_attempts_waiting", "Attempts that wait for a session with credit.", labels=["deployment"]
    )
    sessions = GaugeMetricFamily("restate_sessions", "Open sessions with endpoints.", labels=["deployment"])
    for deployment_id in figures.waiting.keys() | figures.sessions.keys():
        waiting.add_metric([deployment_id], figures.waiting.get(deployment_id, 0))
        sessions.add_metric([deployment_id], figures.sessions.get(deployment_id, 0))
    yield waiting
    yield sessions


def _commits(figures: Figures) -> Metric:
    commits = HistogramMetricFamily("restate_commit_seconds", "Time until a commit was durable.")
    ends = [str(bound) for bound in BOUNDS_S] + ["+Inf"]
    buckets = list(zip(ends, map(float, accumulate(figures.commit_counts)), strict=True))
    commits.add_metric([], buckets, figures.commit_sum_s)
    return commits


def _load(figures: Figures) -> Iterator[Metric]:
    now = GaugeMetricFamily("restate_load", "How much work from outside there is, by what is bounded.", labels=["of"])
    most = GaugeMetricFamily("restate_load_limit", "How much of it is taken on.", labels=["of"])
    for bound in Bound:
        now.add_metric([bound.value], getattr(figures.load, bound.value))
        most.add_metric([bound.value], getattr(figures.load_limits, bound.value))
    yield now
    yield most


def _ingress(figures: Figures) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "restate_ingress_requests", "Requests that were answered, by gRPC code.", labels=["protocol", "code"]
    )
    refused = CounterMetricFamily(
        "restate_ingress_refusals", "Requests that the ingress itself refused.", labels=["protocol", "reason"]
    )
    for protocol, answers in figures.answers.items():
        for code, count in answers.by_code().items():
            requests.add_metric([protocol, code], count)
        for reason, count in answers.refusals().items():
            refused.add_metric([protocol, reason], count)
    yield requests
    yield refused
    sessions = GaugeMetricFamily("restate_ingress_sessions", "Open sessions of callers.")
    sessions.add_metric([], figures.callers_sessions)
    yield sessions
