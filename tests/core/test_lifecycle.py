"""How an invocation moves from one status to another, and what each move writes and causes."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts, RetryPolicy
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import AttemptOutcome, Status, Timer, TimerKind
from restate_runtime.core.world import Phase

from tests.core.harness import Bench, handler, only


def test_a_request_is_written_with_its_input_before_its_attempt_starts() -> None:
    bench = Bench()
    invocation_id, out = bench.submit()
    assert [type(write) for write in out.writes[:2]] == [d.CreateInvocation, d.AppendEntry]
    assert bench.journal(invocation_id) == [j.Input(b"in")]
    start = only(d.StartAttempt, out.effects)[0]
    assert (start.epoch, start.journal_length) == (1, 1)
    assert only(d.AnswerAccepted, out.effects) == [d.AnswerAccepted(1, invocation_id, new=True)]


def test_the_output_completes_and_answers_everyone_who_waits() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.do(ev.Attach(invocation_id, 77))
    out = bench.end(invocation_id, j.Value(b"ok"))
    assert only(d.AnswerResult, out.effects) == [
        d.AnswerResult(1, j.Value(b"ok")),
        d.AnswerResult(77, j.Value(b"ok")),
    ]
    record = bench.hot(invocation_id).record
    assert record.status is Status.COMPLETED
    assert record.expires_ms == bench.now_ms + 86_400_000


def test_nobody_is_answered_by_the_output_alone() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.say(invocation_id, j.Output(j.Value(b"ok")))
    assert not only(d.AnswerResult, out.effects)


def test_attaching_to_what_is_completed_answers_at_once() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.end(invocation_id, j.Failure(9, "no"))
    out = bench.do(ev.Attach(invocation_id, 5))
    assert only(d.AnswerResult, out.effects) == [d.AnswerResult(5, j.Failure(9, "no"))]


def test_attaching_to_the_unknown_is_not_found() -> None:
    refused = only(d.AnswerRefused, Bench().do(ev.Attach(b"x" * 16, 5)).effects)
    assert [one.failure.code for one in refused] == [StatusCode.NOT_FOUND]


@pytest.mark.parametrize("stale", [0, 2, 9])
def test_what_another_epoch_says_changes_nothing(stale: int) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    for event in (
        ev.CommandSaid(invocation_id, stale, j.Run("x"), j.encode(j.Run("x"))),
        ev.RunProposed(invocation_id, stale, 1, j.Void()),
        ev.AttemptSuspended(invocation_id, stale, aw.OnCommand(1)),
        ev.AttemptEnded(invocation_id, stale),
        ev.AttemptLost(invocation_id, stale, "gone", True),
    ):
        out = bench.do(event)
        assert (out.writes, out.effects) == ([], [])


def test_what_a_failed_attempt_still_says_changes_nothing() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id)
    out = bench.say(invocation_id, j.Run("late"), epoch=1)
    assert (out.writes, out.effects) == ([], [])


def test_a_failure_backs_off_by_the_policy_and_progress_resets_the_count() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    for failures, delay_ms in ((1, 500), (2, 1_000), (3, 2_000)):
        out = bench.fail(invocation_id)
        timer = Timer(bench.now_ms + delay_ms, invocation_id, failures, TimerKind.RETRY)
        assert only(d.ArmTimer, out.effects) == [d.ArmTimer(timer)]
        assert not only(d.PutTimer, out.writes)
        bench.now_ms += delay_ms
        started = only(d.StartAttempt, bench.do(ev.TimerFired(timer)).effects)
        assert [(one.epoch, one.retry_count) for one in started] == [(failures + 1, failures)]
    bench.say(invocation_id, j.Run("step"))
    assert bench.hot(invocation_id).record.retry_count == 0


def test_a_retry_timer_of_an_earlier_attempt_does_nothing() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id)
    bench.do(ev.Resume(invocation_id, 3))
    bench.fail(invocation_id)
    out = bench.do(ev.TimerFired(Timer(0, invocation_id, 1, TimerKind.RETRY)))
    assert not only(d.StartAttempt, out.effects)


@pytest.mark.parametrize(
    ("on_max", "status"), [(OnMaxAttempts.PAUSE, Status.PAUSED), (OnMaxAttempts.KILL, Status.COMPLETED)]
)
def test_when_attempts_are_used_up_it_pauses_or_ends(on_max: OnMaxAttempts, status: Status) -> None:
    bench = Bench()
    policy = RetryPolicy(max_attempts=2, on_max_attempts=on_max)
    bench.handlers["t.Plain", "Do"] = (handler("Do", HandlerMode.SERVICE, policy), False)
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id)
    bench.do(ev.TimerFired(Timer(0, invocation_id, 1, TimerKind.RETRY)))
    bench.fail(invocation_id)
    assert bench.hot(invocation_id).record.status is status


def test_a_paused_invocation_resumes_with_a_fresh_count() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id, behavior=1)
    assert bench.hot(invocation_id).record.status is Status.PAUSED
    out = bench.do(ev.Resume(invocation_id, 9))
    assert only(d.AnswerDone, out.effects) == [d.AnswerDone(9)]
    assert only(d.StartAttempt, out.effects)[0].retry_count == 0


def test_a_running_invocation_does_not_resume() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    refused = only(d.AnswerRefused, bench.do(ev.Resume(invocation_id, 9)).effects)
    assert [one.failure.code for one in refused] == [StatusCode.FAILED_PRECONDITION]


def test_the_failure_can_ask_for_its_own_delay_and_for_the_end() -> None:
    bench = Bench()
    first, _ = bench.submit()
    out = bench.fail(first, retry_after_ms=42)
    assert only(d.ArmTimer, out.effects)[0].timer.due_ms == bench.now_ms + 42
    second, _ = bench.submit()
    out = bench.fail(second, behavior=2)
    assert bench.hot(second).record.status is Status.COMPLETED


def test_an_attempt_that_never_arrived_starts_again_and_does_not_count() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.do(ev.AttemptLost(invocation_id, 1, "session gone", delivered=False))
    assert [one.retry_count for one in only(d.StartAttempt, out.effects)] == [0]


def test_a_delivered_attempt_that_is_lost_backs_off_and_is_recorded() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.do(ev.AttemptLost(invocation_id, 1, "session gone", delivered=True))
    assert [one.attempt.outcome for one in only(d.RecordAttempt, out.writes)] == [AttemptOutcome.LOST]
    assert bench.hot(invocation_id).phase is Phase.BACKING_OFF


def test_an_attempt_lost_after_its_output_completes() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Output(j.Value(b"done")))
    out = bench.do(ev.AttemptLost(invocation_id, 1, "session gone", delivered=True))
    assert only(d.AnswerResult, out.effects) == [d.AnswerResult(1, j.Value(b"done"))]


def test_suspending_rests_until_what_is_awaited_is_there() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Sleep(bench.now_ms + 50))
    out = bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    assert bench.hot(invocation_id).record.status is Status.SUSPENDED
    assert only(d.Forget, out.effects)
    timer = Timer(bench.now_ms + 50, invocation_id, 1, TimerKind.SLEEP)
    out = bench.do(ev.TimerFired(timer))
    start = only(d.StartAttempt, out.effects)[0]
    assert (start.epoch, start.journal_length) == (2, 3)
    assert only(d.DeleteTimer, out.writes) == [d.DeleteTimer(timer)]


def test_suspending_on_what_came_meanwhile_starts_again_at_once() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Sleep(bench.now_ms))
    bench.do(ev.TimerFired(Timer(bench.now_ms, invocation_id, 1, TimerKind.SLEEP)))
    out = bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    assert [one.epoch for one in only(d.StartAttempt, out.effects)] == [2]


def test_a_suspended_invocation_wakes_only_when_the_whole_tree_is_settled() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    for _ in range(2):
        bench.say(invocation_id, j.Sleep(bench.now_ms))
    tree = aw.Group(aw.Combinator.ALL_COMPLETED, (aw.OnCommand(1), aw.OnCommand(2)))
    bench.do(ev.AttemptSuspended(invocation_id, 1, tree))
    out = bench.do(ev.TimerFired(Timer(bench.now_ms, invocation_id, 2, TimerKind.SLEEP)))
    assert not only(d.StartAttempt, out.effects)
    out = bench.do(ev.TimerFired(Timer(bench.now_ms, invocation_id, 1, TimerKind.SLEEP)))
    assert only(d.StartAttempt, out.effects)


def test_a_timer_told_twice_completes_once() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Sleep(bench.now_ms))
    timer = Timer(bench.now_ms, invocation_id, 1, TimerKind.SLEEP)
    bench.do(ev.TimerFired(timer))
    bench.do(ev.TimerFired(timer))
    assert bench.journal(invocation_id)[2:] == [j.Completion(1, j.Void())]


def test_a_delayed_request_waits_for_its_time() -> None:
    bench = Bench()
    invocation_id, out = bench.submit(delay_ms=100, wait=False)
    timer = Timer(bench.now_ms + 100, invocation_id, 0, TimerKind.START)
    assert only(d.PutTimer, out.writes) == [d.PutTimer(timer)]
    assert not only(d.StartAttempt, out.effects)
    bench.now_ms += 100
    assert only(d.StartAttempt, bench.do(ev.TimerFired(timer)).effects)


def test_killing_twice_says_that_it_is_over() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.do(ev.Kill(invocation_id, 8))
    refused = only(d.AnswerRefused, bench.do(ev.Kill(invocation_id, 9)).effects)
    assert [one.failure.code for one in refused] == [StatusCode.FAILED_PRECONDITION]


def test_an_idempotency_key_finds_the_invocation_that_is_there() -> None:
    bench = Bench()
    first, _ = bench.submit(idempotency_key="k")
    second, out = bench.submit(idempotency_key="k")
    assert first == second
    assert only(d.AnswerAccepted, out.effects) == [d.AnswerAccepted(2, first, new=False)]
    assert [one.token for one in only(d.AnswerResult, bench.end(first).effects)] == [1, 2]


def test_a_workflow_runs_once_for_a_key() -> None:
    bench = Bench()
    first, _ = bench.submit("t.Flow", "Run", "k")
    second, out = bench.submit("t.Flow", "Run", "k")
    assert only(d.AnswerRefused, out.effects)[0].failure.code == StatusCode.ALREADY_EXISTS
    _, out = bench.submit("t.Flow", "Run", "k", wait=False)
    assert only(d.AnswerAccepted, out.effects) == [d.AnswerAccepted(3, first, new=False)]
    assert second == first


def test_what_is_past_its_retention_is_removed() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.end(invocation_id)
    assert not bench.do(ev.Expire(invocation_id)).writes
    bench.now_ms += 86_400_000
    assert bench.do(ev.Expire(invocation_id)).writes == [d.PurgeInvocation(invocation_id)]


def test_recovery_starts_the_next_attempt_and_records_the_lost_one() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.hot(invocation_id).phase = Phase.IDLE  # as loaded after a restart
    out = bench.do(ev.Recover(invocation_id))
    assert [one.epoch for one in only(d.StartAttempt, out.effects)] == [2]
    assert [one.attempt.outcome for one in only(d.RecordAttempt, out.writes)] == [AttemptOutcome.LOST]


def test_recovery_keeps_a_back_off() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.fail(invocation_id)
    bench.hot(invocation_id).phase = Phase.IDLE
    out = bench.do(ev.Recover(invocation_id))
    assert only(d.ArmTimer, out.effects)[0].timer.due_ms == bench.now_ms + 500
    assert not only(d.StartAttempt, out.effects)


def test_recovery_of_an_output_whose_end_was_not_heard_completes() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Output(j.Value(b"done")))
    bench.hot(invocation_id).phase = Phase.IDLE
    bench.do(ev.Recover(invocation_id))
    assert bench.hot(invocation_id).record.status is Status.COMPLETED
