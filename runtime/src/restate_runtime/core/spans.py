"""The trace of an invocation, derived from its record, its journal and its attempts.

One span for the invocation, one for each attempt, one for each step, one for each try of a run that was tried again.
A step is a command of the journal; Input and Output are no steps, they are the invocation itself. What came from
outside and belongs to no command (a cancellation, a named signal, a pause) is a span that takes no time. Nothing here
is stored: deriving again gives equal ids.

Invariants:
- Tries are children of their run's span, all others are children of the invocation's; all lie inside its times. A
  step is recorded once, however many attempts replay it, so it is a sibling of the attempts and not a child of one.
- A span without an end lasts still. Once the invocation has completed, every span has an end; a step that never
  got its result ends with the invocation and says so in `restate.journal.command.unfinished`.
- Steps whose effect is recorded with the command itself (state, sends) take no time.
"""

from __future__ import annotations

from collections.abc import Sequence

from restate_protocol import journal
from restate_protocol.gen.restate.protocol.v1 import journal_pb as pb
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import NOTIFICATIONS, Command, Completion, Failure, Result, RunDue, RunFailed, Signal
from restate_protocol.status import StatusCode

from .command_traits import FieldName, began_ms, command_name, details, is_instant, kind, links
from .records import Attempt, AttemptOutcome, Invocation, JournalRow, Status
from .run_tries import RunTries, Try
from .span import Attributes, Span, SpanKind
from .trace_context import (
    Link,
    attempt_span_id,
    attempt_traceparent,
    event_span_id,
    invocation_span_id,
    parse_traceparent,
    pause_span_id,
    step_span_id,
    step_traceparent,
    trace_context,
    try_span_id,
)

__all__ = [
    "Attributes",
    "FieldName",
    "Link",
    "Span",
    "SpanKind",
    "attempt_traceparent",
    "command_name",
    "derive_spans",
    "parse_traceparent",
    "step_traceparent",
    "target",
    "trace_context",
]


def target(invocation: Invocation) -> str:
    """Service/Handler, or Service/key/Handler, as people write it."""
    middle = "" if invocation.key is None else f"{invocation.key}/"
    return f"{invocation.service}/{middle}{invocation.handler}"


def derive_spans(
    invocation: Invocation,
    rows: Sequence[JournalRow],
    attempts: Sequence[Attempt],
    field_name: FieldName | None = None,
) -> list[Span]:
    """The spans of one invocation: its own first, then all others by start.

    Args:
        rows: its whole journal, in order.
        attempts: those that ended without the output, in order of their epochs.
        field_name: gives the name of the state entry or promise that a command is about; default: its number.

    Raises:
        FrameError: the journal holds bytes that are no entry.
    """
    trace = _Trace(invocation, rows, attempts, field_name or (lambda _: None))
    children = trace.attempt_spans() + trace.step_spans() + trace.event_spans()
    return [trace.invocation_span(), *sorted(children, key=lambda span: span.start_ms)]


class _Trace:
    """The spans of one invocation in the making."""

    def __init__(
        self,
        invocation: Invocation,
        rows: Sequence[JournalRow],
        attempts: Sequence[Attempt],
        field_name: FieldName,
    ) -> None:
        self._invocation = invocation
        self._rows = rows
        self._attempts = attempts
        self._field_name = field_name
        self._context = trace_context(invocation)
        self._common: dict[str, str | int | bool] = {
            "rpc.system": "grpc",
            "rpc.service": invocation.service,
            "rpc.method": invocation.handler,
            "restate.invocation.id": invocation_id_text(invocation.id),
            "restate.invocation.target": target(invocation),
        }
        self._commands: list[tuple[int, int, Command]] = []
        self._results: dict[tuple[type, int], tuple[int, Result]] = {}
        self._tries: dict[int, RunTries] = {}
        self._events: list[tuple[int, int, journal.Cancelled | Signal]] = []
        for row in rows:
            self._read(row)
        self._has_output = any(isinstance(command, journal.Output) for _, _, command in self._commands)

    def _read(self, row: JournalRow) -> None:
        entry = journal.decode(row.entry)
        match entry:
            case Completion():
                self._results.setdefault((Completion, entry.command), (row.at_ms, entry.result))
            case Signal(target=int() as number):
                self._results.setdefault((Signal, number), (row.at_ms, entry.result))
            case Signal() | journal.Cancelled():
                self._events.append((row.index, row.at_ms, entry))
            case RunFailed() | RunDue():
                self._tries.setdefault(entry.command, RunTries()).note(row.at_ms, entry)
            case _:
                assert not isinstance(entry, NOTIFICATIONS)
                if isinstance(entry, journal.Run) and entry.result is not None:
                    self._results.setdefault((Completion, len(self._commands)), (row.at_ms, entry.result))
                self._commands.append((row.index, row.at_ms, entry))

    # The kinds of spans.

    def invocation_span(self) -> Span:
        one = self._invocation
        attributes = {**self._common, "restate.invocation.status": one.status.value}
        error = ""
        if one.result is not None:
            result = journal.result_from_pb(pb.Result.from_binary(one.result))
            error = _error(result, attributes)
        links = () if self._context.link is None else (self._context.link,)
        return Span(
            self._context.trace_id,
            invocation_span_id(one.id),
            self._context.parent_id,
            f"{one.service}/{one.handler}",
            SpanKind.SERVER,
            one.created_ms,
            self._end(one.created_ms, one.completed_ms),
            attributes,
            error,
            links,
        )

    def attempt_spans(self) -> list[Span]:
        spans = [self._ended_attempt(attempt) for attempt in self._attempts]
        last = self._last_attempt()
        return spans if last is None else [*spans, last]

    def step_spans(self) -> list[Span]:
        """Those of the steps, and those of the tries of runs."""
        spans: list[Span] = []
        for number, (index, at_ms, command) in enumerate(self._commands):
            if isinstance(command, journal.Input | journal.Output):
                continue
            step = self._step(number, index, at_ms, command)
            spans += [step, *self._tries_of(step, number)]
        return spans

    def event_spans(self) -> list[Span]:
        """Those of what came from outside and belongs to no step."""
        spans = [self._event(*event) for event in self._events]
        return [*spans, self._pause()] if self._invocation.status is Status.PAUSED else spans

    # Attempts.

    def _ended_attempt(self, attempt: Attempt) -> Span:
        attributes: dict[str, str | int | bool] = {"restate.attempt.outcome": attempt.outcome.value}
        error = ""
        if attempt.outcome in (AttemptOutcome.FAILED, AttemptOutcome.LOST):
            error = _failed(attempt.failure, attributes) or attempt.outcome.value
        return self._attempt(attempt.epoch, attempt.started_ms, attempt.ended_ms, attributes, error)

    def _last_attempt(self) -> Span | None:
        """The attempt that has no record: it runs, or produced the output, or ended with a kill."""
        one = self._invocation
        known = {attempt.epoch for attempt in self._attempts}
        if one.epoch == 0 or one.epoch in known:
            return None
        if one.status is Status.COMPLETED:
            # Without a journal, which was purged then, nobody knows better.
            outcome = "completed" if self._has_output or not self._rows else "killed"
            return self._attempt(one.epoch, self._last_start(), one.completed_ms, {"restate.attempt.outcome": outcome})
        if one.attempt_started_ms is None:
            return None
        return self._attempt(one.epoch, one.attempt_started_ms, None, {"restate.attempt.outcome": "running"})

    def _last_start(self) -> int:
        if self._invocation.attempt_started_ms is not None:
            return self._invocation.attempt_started_ms
        return max((attempt.ended_ms for attempt in self._attempts), default=self._invocation.created_ms)

    def _attempt(self, epoch: int, start_ms: int, end_ms: int | None, attributes: Attributes, error: str = "") -> Span:
        return self._child(
            attempt_span_id(self._invocation.id, epoch),
            f"attempt {epoch}",
            SpanKind.INTERNAL,
            (start_ms, end_ms),
            {"restate.attempt.epoch": epoch, **attributes},
            error,
        )

    # Steps.

    def _step(self, number: int, index: int, at_ms: int, command: Command) -> Span:
        ended, result = self._outcome(number, at_ms, command)
        name = command_name(command, self._field_name)
        attributes: dict[str, str | int | bool] = {
            "restate.journal.command.type": journal.type_name(command),
            "restate.journal.command.index": number,
            "restate.journal.entry.index": index,
            **({"restate.journal.command.name": name} if name else {}),
            **details(self._invocation.id, command),
        }
        if number in self._tries:
            attributes["restate.run.failures"] = self._tries[number].failures
        if ended is None and self._invocation.completed_ms is not None:
            attributes["restate.journal.command.unfinished"] = True
        return self._child(
            step_span_id(self._invocation.id, number),
            f"{journal.type_name(command)} {name}".rstrip(),
            kind(command),
            (began_ms(at_ms, command), ended),
            attributes,
            _error(result, attributes),
            links(command),
        )

    def _outcome(self, number: int, at_ms: int, command: Command) -> tuple[int | None, Result | None]:
        """When a step ended, if it did, and with what."""
        key = (Signal, command.number) if isinstance(command, journal.Awakeable) else (Completion, number)
        if key in self._results:
            return self._results[key]
        return (at_ms if is_instant(command) else None), None

    def _tries_of(self, step: Span, number: int) -> list[Span]:
        if number not in self._tries:
            return []
        ended_ms, result = self._results.get((Completion, number), (None, None))
        return [self._try(step, number, one) for one in self._tries[number].tries(ended_ms, result)]

    def _try(self, step: Span, number: int, one: Try) -> Span:
        attributes: dict[str, str | int | bool] = {"restate.run.try": one.number}
        if one.retry_at_ms is not None:
            attributes["restate.run.retry_at_ms"] = one.retry_at_ms
        return self._child(
            try_span_id(self._invocation.id, number, one.number),
            f"try {one.number}",
            SpanKind.INTERNAL,
            (max(step.start_ms, one.start_ms), one.end_ms),
            attributes,
            _error(one.failure, attributes),
            parent_id=step.span_id,
        )

    # Events.

    def _event(self, index: int, at_ms: int, entry: journal.Cancelled | Signal) -> Span:
        attributes: dict[str, str | int | bool] = {
            "restate.journal.notification.type": journal.type_name(entry),
            "restate.journal.notification.index": index,
        }
        if isinstance(entry, Signal):
            name = f"signal {entry.target}"
            error = _error(entry.result, attributes)
        else:
            name = "cancelled"
            error = _error(Failure(entry.code, entry.message), attributes)
        return self._instant(event_span_id(self._invocation.id, index), name, at_ms, attributes, error)

    def _pause(self) -> Span:
        """Shows that somebody has to do something, and what."""
        one = self._invocation
        text = invocation_id_text(one.id)
        attributes: dict[str, str | int | bool] = {"restate.resume": f"restate-cli invocations resume {text}"}
        error = _failed(one.last_failure, attributes) or "by an operator"
        known = [one.created_ms, *(attempt.ended_ms for attempt in self._attempts)]
        return self._instant(pause_span_id(one.id, one.epoch), "paused", max(known), attributes, error)

    def _instant(self, span_id: str, name: str, at_ms: int, attributes: Attributes, error: str) -> Span:
        return self._child(span_id, name, SpanKind.INTERNAL, (at_ms, at_ms), attributes, error)

    def _child(
        self,
        span_id: str,
        name: str,
        kind: SpanKind,
        times: tuple[int, int | None],
        attributes: Attributes,
        error: str,
        links: tuple[Link, ...] = (),
        parent_id: str = "",
    ) -> Span:
        start_ms = max(times[0], self._invocation.created_ms)
        if self._invocation.completed_ms is not None:
            start_ms = min(start_ms, max(self._invocation.completed_ms, self._invocation.created_ms))
        return Span(
            self._context.trace_id,
            span_id,
            parent_id or invocation_span_id(self._invocation.id),
            name,
            kind,
            start_ms,
            self._end(start_ms, times[1]),
            {**self._common, **attributes},
            error,
            links,
        )

    def _end(self, start_ms: int, end_ms: int | None) -> int | None:
        """The end of a span inside the invocation's, never before its start: clocks may have gone back."""
        completed = self._invocation.completed_ms
        if completed is None:
            return None if end_ms is None else max(start_ms, end_ms)
        return max(start_ms, completed if end_ms is None else min(end_ms, completed))


def _error(result: Result | None, attributes: dict[str, str | int | bool]) -> str:
    """Adds error attributes where the result is a failure, and gives the text."""
    if not isinstance(result, Failure):
        return ""
    attributes["error.type"] = result.detail_type or StatusCode.of(result.code).name
    attributes["error.message"] = result.message
    return f"{StatusCode.of(result.code).name}: {result.message}"


def _failed(data: bytes | None, attributes: dict[str, str | int | bool]) -> str:
    """The same for the Failed frame that ended an attempt, with the command it is about."""
    if data is None:
        return ""
    failed = Failed.from_binary(data)
    if failed.has_field("command"):
        attributes["restate.journal.command.index"] = failed.command
        attributes["restate.journal.command.type"] = failed.command_type
        attributes["restate.journal.command.name"] = failed.command_name
    return "" if failed.failure is None else _error(journal.failure_from_pb(failed.failure), attributes)
