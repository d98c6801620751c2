"""What takes too long: attempts that stand still, invocations past their execution timeout."""

from __future__ import annotations

from dataclasses import replace

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.deadlines import CANCEL, KILL
from restate_runtime.core.records import AttemptOutcome, Status, Timer, TimerKind
from restate_runtime.core.world import Phase

from tests.core.harness import Bench, handler, only

LATE = StatusCode.DEADLINE_EXCEEDED


def bounded(mode: HandlerMode = HandlerMode.SERVICE) -> Bench:
    """Do must end within 10 s, and then within 3 s."""
    bench = Bench()
    service = "t.Plain" if mode is HandlerMode.SERVICE else "t.Object"
    made = replace(handler("Do", mode), execution_timeout_ms=10_000, abort_ms=3_000, inactivity_ms=2_000)
    bench.handlers[service, "Do"] = (made, False)
    return bench


def deadline(invocation_id: bytes, due_ms: int, what: int = CANCEL) -> Timer:
    return Timer(due_ms, invocation_id, what, TimerKind.DEADLINE)


def fire(bench: Bench, timer: Timer) -> d.Decision:
    bench.now_ms = max(bench.now_ms, timer.due_ms)
    return bench.do(ev.TimerFired(timer))


def told(bench: Bench, invocation_id: bytes) -> list[j.Cancelled]:
    return only(j.Cancelled, bench.journal(invocation_id))


@pytest.mark.parametrize(("quiet_ms", "aborted"), [(4_999, False), (5_000, True)])
def test_an_attempt_that_stands_still_is_aborted_and_counts_as_failed(quiet_ms: int, aborted: bool) -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    out = bench.do(ev.AttemptStalled(invocation_id, 1, quiet_ms))
    assert bool(only(d.AbortAttempt, out.effects)) is aborted
    assert [one.attempt.outcome for one in only(d.RecordAttempt, out.writes)] == [AttemptOutcome.FAILED] * aborted
    assert bench.hot(invocation_id).record.retry_count == int(aborted)
    assert (bench.hot(invocation_id).phase is Phase.BACKING_OFF) is aborted


def test_the_failure_of_an_aborted_attempt_names_the_options() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    (abort,) = only(d.AbortAttempt, bench.do(ev.AttemptStalled(invocation_id, 1, 6_500)).effects)
    for part in ("6.5 s", "inactivity_timeout (2 s)", "abort_timeout (3 s)", "t.Plain/Do"):
        assert part in abort.reason


def test_a_stalled_attempt_of_an_earlier_epoch_changes_nothing() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    out = bench.do(ev.AttemptStalled(invocation_id, 7, 10**9))
    assert (out.writes, out.effects) == ([], [])


def test_a_handler_without_a_timeout_has_no_timer() -> None:
    _, out = Bench().submit()
    assert not only(d.PutTimer, out.writes)


def test_the_time_runs_from_acceptance_in_a_durable_timer() -> None:
    bench = bounded()
    invocation_id, out = bench.submit()
    timer = deadline(invocation_id, bench.now_ms + 10_000)
    assert only(d.PutTimer, out.writes) == [d.PutTimer(timer)]
    assert only(d.ArmTimer, out.effects) == [d.ArmTimer(timer)]


def test_the_time_of_a_delayed_one_runs_from_when_it_is_due() -> None:
    bench = bounded()
    invocation_id, out = bench.submit(delay_ms=500)
    due_ms = bench.now_ms + 500
    assert {one.timer for one in only(d.PutTimer, out.writes)} == {
        deadline(invocation_id, due_ms + 10_000),
        Timer(due_ms, invocation_id, 0, TimerKind.START),
    }


def test_calls_have_the_timeout_of_what_they_call() -> None:
    bench = bounded(HandlerMode.EXCLUSIVE)
    caller, _ = bench.submit()
    callee, out = bench.call(caller, "t.Object", "Do", "k")
    assert only(d.PutTimer, out.writes) == [d.PutTimer(deadline(callee, bench.now_ms + 10_000))]


def test_what_ends_in_time_drops_its_timer() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    timer = deadline(invocation_id, bench.now_ms + 10_000)
    out = bench.end(invocation_id)
    assert only(d.DeleteTimer, out.writes) == [d.DeleteTimer(timer)]
    assert only(d.DisarmTimer, out.effects) == [d.DisarmTimer(timer)]


def test_an_overdue_attempt_is_told_and_has_the_abort_timeout_left() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    out = fire(bench, deadline(invocation_id, 11_000))
    (cancelled,) = told(bench, invocation_id)
    assert cancelled.code == LATE
    assert "execution_timeout (10 s) of t.Plain/Do passed" in cancelled.message
    assert [one.entry for one in only(d.NotifyAttempt, out.effects)] == [j.encode(cancelled)]
    assert only(d.PutTimer, out.writes) == [d.PutTimer(deadline(invocation_id, 14_000, KILL))]
    assert bench.hot(invocation_id).phase is Phase.ATTEMPT


def test_an_overdue_suspended_invocation_starts_again_to_clean_up() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Sleep(10**9))
    bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    assert only(d.StartAttempt, fire(bench, deadline(invocation_id, 11_000)).effects)


def test_an_overdue_queued_one_completes_at_once() -> None:
    bench = bounded(HandlerMode.EXCLUSIVE)
    bench.submit("t.Object", "Do", "k")
    queued, _ = bench.submit("t.Object", "Do", "k")
    out = fire(bench, deadline(queued, 11_000))
    (answer,) = only(d.AnswerResult, out.effects)
    assert isinstance(answer.result, j.Failure)
    assert answer.result.code == LATE
    assert not only(d.PutTimer, out.writes)


def test_an_overdue_paused_one_stays_paused_and_is_killed_in_the_end() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id, behavior=1)
    fire(bench, deadline(invocation_id, 11_000))
    assert bench.hot(invocation_id).record.status is Status.PAUSED
    fire(bench, deadline(invocation_id, 14_000, KILL))
    assert bench.hot(invocation_id).record.status is Status.COMPLETED


def test_what_does_not_end_after_that_is_killed() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    fire(bench, deadline(invocation_id, 11_000))
    out = fire(bench, deadline(invocation_id, 14_000, KILL))
    assert only(d.AbortAttempt, out.effects)
    (answer,) = only(d.AnswerResult, out.effects)
    assert isinstance(answer.result, j.Failure)
    assert answer.result.code == LATE
    for part in ("execution_timeout (10 s)", "abort_timeout (3 s)", "killed"):
        assert part in answer.result.message


def test_cleanup_that_ends_in_time_gives_the_result() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    fire(bench, deadline(invocation_id, 11_000))
    out = bench.end(invocation_id, j.Value(b"cleaned up"))
    assert [one.result for one in only(d.AnswerResult, out.effects)] == [j.Value(b"cleaned up")]
    assert fire(bench, deadline(invocation_id, 14_000, KILL)).writes == [
        d.DeleteTimer(deadline(invocation_id, 14_000, KILL))
    ]


def test_a_deadline_told_twice_passes_once() -> None:
    bench = bounded()
    invocation_id, _ = bench.submit()
    fire(bench, deadline(invocation_id, 11_000))
    fire(bench, deadline(invocation_id, 11_000))
    assert len(told(bench, invocation_id)) == 1


def test_the_deadline_of_what_is_unknown_just_goes() -> None:
    timer = deadline(b"x" * 16, 11_000)
    assert fire(bounded(), timer).writes == [d.DeleteTimer(timer)]
