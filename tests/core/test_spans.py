"""Spans derived from a journal: what each command becomes, and what holds for every journal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_protocol import journal
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_protocol.ids import awakeable_id_text, child_invocation_id, invocation_id_text
from restate_protocol.journal import Entry, Failure, Value, Void
from restate_protocol.services import HandlerMode
from restate_runtime.core.records import Attempt, AttemptOutcome, Invocation, JournalRow, Status
from restate_runtime.core.spans import (
    Span,
    SpanKind,
    attempt_traceparent,
    derive_spans,
    parse_traceparent,
    step_traceparent,
    trace_context,
)
from restate_runtime.core.trace_context import attempt_span_id, derived_trace_id, invocation_span_id, step_span_id

ID = bytes(range(16))
CHILD = bytes(range(16, 32))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FAILURE = Failure(9, "sold out", "shop.v1.SoldOut")


def invocation(**changes: object) -> Invocation:
    one = Invocation(ID, "shop.v1.Cart", "Add", "ada", HandlerMode.EXCLUSIVE, created_ms=1_000, epoch=1)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def completed(result: journal.Result | None = None, **changes: object) -> Invocation:
    data = journal.result_to_pb(result or Value(b"")).to_binary()
    return invocation(status=Status.COMPLETED, completed_ms=9_000, result=data, **changes)


def rows(*entries: tuple[int, Entry]) -> list[JournalRow]:
    return [JournalRow(index, at_ms, journal.encode(entry)) for index, (at_ms, entry) in enumerate(entries)]


def steps(spans: Sequence[Span]) -> list[Span]:
    return [span for span in spans if "restate.journal.entry.index" in span.attributes]


def attempts(spans: Sequence[Span]) -> list[Span]:
    return [span for span in spans if span.name.startswith("attempt ")]


CASES: list[tuple[Entry, list[Entry], str, SpanKind, int | None, str]] = [
    (journal.Run("charge"), [journal.Completion(1, Value(b"x"))], "run charge", SpanKind.INTERNAL, 3_000, ""),
    (
        journal.Run("charge"),
        [journal.Completion(1, FAILURE)],
        "run charge",
        SpanKind.INTERNAL,
        3_000,
        "FAILED_PRECONDITION: sold out",
    ),
    (journal.Run("charge"), [], "run charge", SpanKind.INTERNAL, None, ""),
    (journal.Sleep(5_000), [journal.Completion(1, Void())], "sleep", SpanKind.INTERNAL, 3_000, ""),
    (
        journal.Call("a.B", "C", None, b"", CHILD),
        [journal.Completion(1, Value(b""))],
        "call a.B/C",
        SpanKind.CLIENT,
        3_000,
        "",
    ),
    (journal.Send("a.B", "C", None, b"", CHILD), [], "send a.B/C", SpanKind.PRODUCER, 2_000, ""),
    (journal.Awakeable(1), [journal.Signal(1, Value(b""))], "awakeable 1", SpanKind.INTERNAL, 3_000, ""),
    (journal.Awakeable(1), [journal.Signal("go", Value(b""))], "awakeable 1", SpanKind.INTERNAL, None, ""),
    (
        journal.CompleteAwakeable(awakeable_id_text(CHILD, 1), Value(b"")),
        [],
        "complete_awakeable",
        SpanKind.INTERNAL,
        2_000,
        "",
    ),
    (journal.GetState(3, Void()), [], "get_state count", SpanKind.INTERNAL, 2_000, ""),
    (journal.GetState(3), [], "get_state count", SpanKind.INTERNAL, None, ""),
    (journal.GetState(3), [journal.Completion(1, Void())], "get_state count", SpanKind.INTERNAL, 3_000, ""),
    (journal.SetState(3, b"x"), [], "set_state count", SpanKind.INTERNAL, 2_000, ""),
    (journal.ClearState(3), [], "clear_state count", SpanKind.INTERNAL, 2_000, ""),
    (journal.ClearAllState(), [], "clear_all_state", SpanKind.INTERNAL, 2_000, ""),
    (journal.GetStateKeys((1, 2)), [], "get_state_keys", SpanKind.INTERNAL, 2_000, ""),
    (journal.GetStateKeys(), [], "get_state_keys", SpanKind.INTERNAL, None, ""),
    (journal.GetPromise(3), [], "get_promise count", SpanKind.INTERNAL, None, ""),
    (journal.PeekPromise(3), [journal.Completion(1, Void())], "peek_promise count", SpanKind.INTERNAL, 3_000, ""),
    (journal.CompletePromise(3, Void()), [], "complete_promise count", SpanKind.INTERNAL, None, ""),
    (journal.Attach(CHILD), [], "attach", SpanKind.CLIENT, None, ""),
    (journal.Cancel(CHILD), [], "cancel", SpanKind.INTERNAL, 2_000, ""),
    (journal.SendSignal(CHILD, "go", Value(b"")), [], "send_signal go", SpanKind.PRODUCER, 2_000, ""),
]


@pytest.mark.parametrize(("command", "notifications", "name", "kind", "end_ms", "error"), CASES)
def test_a_command_becomes_one_span(
    command: Entry, notifications: list[Entry], name: str, kind: SpanKind, end_ms: int | None, error: str
) -> None:
    journal_rows = rows((1_000, journal.Input(b"")), (2_000, command), *((3_000, one) for one in notifications))
    (span,) = steps(derive_spans(invocation(), journal_rows, [], lambda _: "count"))
    assert (span.name, span.kind, span.start_ms, span.end_ms, span.error) == (name, kind, 2_000, end_ms, error)
    assert span.span_id == step_span_id(ID, 1)
    assert span.parent_id == invocation_span_id(ID)
    assert span.attributes["restate.journal.command.index"] == 1
    assert span.attributes["restate.journal.command.type"] == name.split()[0]


def test_input_and_output_are_the_invocation_itself() -> None:
    spans = derive_spans(completed(), rows((1_000, journal.Input(b"")), (8_000, journal.Output(Value(b"")))), [])
    assert steps(spans) == []
    assert (spans[0].name, spans[0].start_ms, spans[0].end_ms) == ("shop.v1.Cart/Add", 1_000, 9_000)
    assert spans[0].attributes["restate.invocation.target"] == "shop.v1.Cart/ada/Add"
    assert spans[0].attributes["restate.invocation.id"] == invocation_id_text(ID)


def test_a_failed_invocation_has_type_and_message_of_its_error() -> None:
    span = derive_spans(completed(FAILURE), [], [])[0]
    assert span.error == "FAILED_PRECONDITION: sold out"
    assert span.attributes["error.type"] == "shop.v1.SoldOut"
    assert span.attributes["error.message"] == "sold out"


def test_a_step_without_a_result_ends_with_the_invocation_and_says_so() -> None:
    (span,) = steps(derive_spans(completed(), rows((2_000, journal.Input(b"")), (3_000, journal.Sleep(99_000))), []))
    assert span.end_ms == 9_000
    assert span.attributes["restate.journal.command.unfinished"] is True


def test_an_awakeable_resolved_before_it_is_created_takes_no_time() -> None:
    entries = rows((1_000, journal.Input(b"")), (2_000, journal.Signal(1, Value(b""))), (3_000, journal.Awakeable(1)))
    (span,) = steps(derive_spans(invocation(), entries, []))
    assert (span.start_ms, span.end_ms) == (3_000, 3_000)


def test_each_attempt_is_a_span_with_how_it_ended() -> None:
    failed = Failed(failure=journal.failure_to_pb(Failure(2, "boom")), command=1, command_type="run", command_name="c")
    history = [
        Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.FAILED, "dep_a", failed.to_binary()),
        Attempt(ID, 2, 3_000, 4_000, AttemptOutcome.SUSPENDED),
        Attempt(ID, 3, 5_000, 6_000, AttemptOutcome.LOST),
    ]
    one = invocation(epoch=4, attempt_started_ms=7_000)
    spans = attempts(derive_spans(one, [], history))
    assert [(span.start_ms, span.end_ms, span.error) for span in spans] == [
        (1_000, 2_000, "UNKNOWN: boom"),
        (3_000, 4_000, ""),
        (5_000, 6_000, "lost"),
        (7_000, None, ""),
    ]
    assert [span.attributes["restate.attempt.outcome"] for span in spans] == ["failed", "suspended", "lost", "running"]
    assert [span.attributes["restate.attempt.epoch"] for span in spans] == [1, 2, 3, 4]
    assert spans[0].attributes["restate.journal.command.name"] == "c"


def test_an_attempt_that_an_operator_stopped_has_no_error() -> None:
    (span,) = attempts(derive_spans(invocation(), [], [Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.PAUSED)]))
    assert (span.error, span.attributes["restate.attempt.outcome"]) == ("", "paused")


def test_the_attempt_that_gave_the_output_ends_with_the_invocation() -> None:
    output = rows((1_000, journal.Input(b"")), (8_000, journal.Output(Value(b""))))
    (span,) = attempts(derive_spans(completed(attempt_started_ms=1_500), output, []))
    assert (span.start_ms, span.end_ms) == (1_500, 9_000)
    assert span.attributes["restate.attempt.outcome"] == "completed"


def test_a_killed_attempt_without_start_begins_where_the_one_before_ended() -> None:
    history = [Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.LOST)]
    span = attempts(derive_spans(completed(FAILURE, epoch=2), rows((1_000, journal.Input(b""))), history))[-1]
    assert (span.start_ms, span.end_ms, span.attributes["restate.attempt.outcome"]) == (2_000, 9_000, "killed")


def test_after_its_journal_was_purged_an_invocation_does_not_look_killed() -> None:
    (span,) = attempts(derive_spans(completed(), [], []))
    assert span.attributes["restate.attempt.outcome"] == "completed"


def test_an_invocation_between_attempts_has_no_open_attempt() -> None:
    history = [Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.SUSPENDED)]
    assert len(attempts(derive_spans(invocation(status=Status.SUSPENDED), [], history))) == 1
    assert attempts(derive_spans(invocation(epoch=2), [], [])) == []


# Runs that were tried again.

BOOM = Failure(14, "provider is down")


def tried(*more: tuple[int, Entry]) -> list[Span]:
    """The spans of a run whose first two tries failed: one retried in place, one by a durable timer."""
    entries = rows(
        (1_000, journal.Input(b"")),
        (2_000, journal.Run("charge")),
        (2_500, journal.RunFailed(1, 1, BOOM, first_try_at_ms=2_000, retry_at_ms=3_000)),
        (3_500, journal.RunFailed(1, 2, BOOM, first_try_at_ms=2_000, retry_at_ms=6_000)),
        *more,
    )
    return derive_spans(invocation(), entries, [])


def tries(spans: Sequence[Span]) -> list[tuple[str, int, int | None, str]]:
    return [
        (span.name, span.start_ms, span.end_ms, span.error) for span in spans if "restate.run.try" in span.attributes
    ]


def test_each_try_of_a_run_is_a_child_of_its_span() -> None:
    spans = tried((6_100, journal.RunDue(1, 2)), (6_200, journal.Completion(1, Value(b""))))
    assert tries(spans) == [
        ("try 1", 2_000, 2_500, "UNAVAILABLE: provider is down"),
        ("try 2", 3_000, 3_500, "UNAVAILABLE: provider is down"),
        ("try 3", 6_100, 6_200, ""),
    ]
    (run,) = steps(spans)
    assert (run.start_ms, run.end_ms, run.error, run.attributes["restate.run.failures"]) == (2_000, 6_200, "", 2)
    assert {span.parent_id for span in spans if "restate.run.try" in span.attributes} == {run.span_id}
    assert len({span.span_id for span in spans}) == len(spans)


def test_a_try_that_goes_on_or_is_not_due_is_not_shown() -> None:
    assert [name for name, *_ in tries(tried((6_100, journal.RunDue(1, 2))))] == ["try 1", "try 2"]


def test_the_try_that_used_up_the_policy_has_the_error_of_the_run() -> None:
    spans = tried((6_200, journal.Completion(1, BOOM)))
    assert tries(spans)[-1] == ("try 3", 6_000, 6_200, "UNAVAILABLE: provider is down")
    assert steps(spans)[0].error == "UNAVAILABLE: provider is down"


# What comes from outside.


def test_cancellations_and_named_signals_are_moments_in_the_trace() -> None:
    entries = rows(
        (1_000, journal.Input(b"")),
        (2_000, journal.Signal("approve", Value(b"yes"))),
        (3_000, journal.Signal("approve", FAILURE)),
        (4_000, journal.Cancelled(1, "cancelled by an operator")),
        (5_000, journal.Cancelled(4, "the execution timeout passed")),
    )
    spans = derive_spans(invocation(), entries, [])[1:]
    assert [(span.name, span.start_ms, span.end_ms, span.error) for span in spans] == [
        ("signal approve", 2_000, 2_000, ""),
        ("signal approve", 3_000, 3_000, "FAILED_PRECONDITION: sold out"),
        ("cancelled", 4_000, 4_000, "CANCELLED: cancelled by an operator"),
        ("cancelled", 5_000, 5_000, "DEADLINE_EXCEEDED: the execution timeout passed"),
    ]
    assert [span.attributes["restate.journal.notification.index"] for span in spans] == [1, 2, 3, 4]
    assert steps(spans) == []


def test_a_pause_is_shown_with_its_cause_and_how_to_go_on() -> None:
    failed = Failed(failure=journal.failure_to_pb(BOOM)).to_binary()
    history = [Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.FAILED, "dep_a", failed)]
    one = invocation(status=Status.PAUSED, last_failure=failed)
    (span,) = [span for span in derive_spans(one, [], history) if span.name == "paused"]
    assert (span.start_ms, span.end_ms, span.error) == (2_000, 2_000, "UNAVAILABLE: provider is down")
    assert span.attributes["restate.resume"] == f"restate-cli invocations resume {invocation_id_text(ID)}"


def test_a_pause_without_a_failure_was_asked_for() -> None:
    spans = derive_spans(invocation(status=Status.PAUSED, epoch=0), [], [])
    assert [(span.name, span.error) for span in spans[1:]] == [("paused", "by an operator")]


# Traces across services.


def test_without_a_traceparent_the_trace_id_comes_from_the_invocation_id() -> None:
    context = trace_context(invocation())
    assert (context.trace_id, context.parent_id, context.sampled) == (derived_trace_id(ID), "", True)


def test_a_traceparent_makes_the_invocation_a_child_in_that_trace() -> None:
    span = derive_spans(invocation(traceparent=TRACEPARENT), [], [])[0]
    assert (span.trace_id, span.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert span.span_id == invocation_span_id(ID)


def test_a_called_invocation_is_a_child_of_the_call_step() -> None:
    parent = invocation(traceparent=TRACEPARENT)
    called = child_invocation_id(ID, 3)
    child = invocation(id=called, traceparent=step_traceparent(parent, 3), parent_id=ID, parent_command=3, reply=True)
    span = derive_spans(child, [], [])[0]
    assert (span.trace_id, span.parent_id) == (trace_context(parent).trace_id, step_span_id(ID, 3))


def test_a_sent_invocation_begins_a_trace_and_both_sides_link() -> None:
    parent = invocation()
    sent = child_invocation_id(ID, 1)
    child = invocation(id=sent, traceparent=step_traceparent(parent, 1), parent_id=ID, parent_command=1, reply=False)
    top = derive_spans(child, [], [])[0]
    command = journal.Send("a.B", "C", None, b"", sent)
    (step,) = steps(derive_spans(parent, rows((1_000, journal.Input(b"")), (2_000, command)), []))
    assert (top.trace_id, top.parent_id) == (derived_trace_id(sent), "")
    assert [(link.trace_id, link.span_id) for link in top.links] == [(step.trace_id, step.span_id)]
    assert [(link.trace_id, link.span_id) for link in step.links] == [(top.trace_id, top.span_id)]


def test_the_context_of_an_attempt_names_its_span_and_keeps_the_sampling_choice() -> None:
    assert attempt_traceparent(invocation(), 2) == f"00-{derived_trace_id(ID)}-{attempt_span_id(ID, 2)}-01"
    unsampled = invocation(traceparent=TRACEPARENT[:-1] + "0")
    assert attempt_traceparent(unsampled, 2).endswith("-00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        TRACEPARENT[:-3],
        TRACEPARENT + "-x",
        TRACEPARENT.upper(),
        "ff" + TRACEPARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_an_invalid_traceparent_is_ignored(text: str) -> None:
    assert parse_traceparent(text) is None
    assert trace_context(invocation(traceparent=text)).trace_id == derived_trace_id(ID)


def test_a_later_version_of_traceparent_is_read_as_far_as_known() -> None:
    context = parse_traceparent("01" + TRACEPARENT[2:] + "-more")
    assert context is not None
    assert context.parent_id == "b7ad6b7169203331"


# What holds for every journal.

COMMANDS = st.sampled_from([case[0] for case in CASES])
RESULTS = st.sampled_from([Void(), Value(b"x"), FAILURE])
NOTIFICATIONS = st.one_of(
    st.builds(journal.Completion, st.integers(1, 8), RESULTS),
    st.builds(journal.Signal, st.integers(1, 3) | st.just("go"), RESULTS),
    st.builds(journal.Cancelled, st.sampled_from([1, 4]), st.just("enough")),
    st.builds(journal.RunDue, st.integers(1, 8), st.integers(1, 3)),
)
TIMES = st.integers(0, 12_000)


@st.composite
def journals(draw: st.DrawFn) -> tuple[Invocation, list[JournalRow], list[Attempt]]:
    entries = draw(st.lists(st.tuples(TIMES, st.one_of(COMMANDS, NOTIFICATIONS)), max_size=12))
    bounds = draw(st.lists(st.tuples(TIMES, TIMES), max_size=4))
    history = [
        Attempt(ID, epoch, min(pair), max(pair), draw(st.sampled_from(AttemptOutcome)))
        for epoch, pair in enumerate(bounds, start=1)
    ]
    changes: dict[str, object] = {
        "epoch": len(bounds) + draw(st.integers(0, 1)),
        "attempt_started_ms": draw(st.none() | TIMES),
        "traceparent": draw(st.sampled_from(["", TRACEPARENT])),
    }
    one = completed(None, **changes) if draw(st.booleans()) else invocation(**changes)
    return one, rows((1_000, journal.Input(b"")), *entries), history


@given(journals())
def test_every_command_has_one_span_inside_the_invocation(
    case: tuple[Invocation, list[JournalRow], list[Attempt]],
) -> None:
    one, journal_rows, history = case
    spans = derive_spans(one, journal_rows, history)
    commands = [row for row in journal_rows if not isinstance(journal.decode(row.entry), journal.NOTIFICATIONS)]
    assert len(steps(spans)) == len(commands) - 1
    assert sorted(span.attributes["restate.journal.entry.index"] for span in steps(spans)) == [
        row.index for row in commands[1:]
    ]
    assert len({span.span_id for span in spans}) == len(spans)
    assert {span.trace_id for span in spans} == {trace_context(one).trace_id}
    top = spans[0]
    for span in spans[1:]:
        assert span.parent_id == top.span_id or "restate.run.try" in span.attributes
        assert span.start_ms >= top.start_ms
        assert span.end_ms is None or span.end_ms >= span.start_ms
        assert top.end_ms is None or (span.end_ms is not None and span.end_ms <= top.end_ms)


@given(journals())
def test_ids_do_not_change_while_the_journal_grows(case: tuple[Invocation, list[JournalRow], list[Attempt]]) -> None:
    one, journal_rows, history = case
    whole = {span.span_id: span.name for span in derive_spans(one, journal_rows, history)}
    for length in range(len(journal_rows)):
        part = {span.span_id: span.name for span in derive_spans(one, journal_rows[:length], history)}
        assert part.items() <= whole.items()


def test_ids_of_different_things_differ() -> None:
    both = (ID, CHILD)
    ids = [invocation_span_id(one) for one in both]
    ids += [attempt_span_id(one, number) for one in both for number in range(50)]
    ids += [step_span_id(one, number) for one in both for number in range(50)]
    assert len(set(ids)) == 202
