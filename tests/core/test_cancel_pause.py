"""Cancelling, pausing, resuming and removing: what each does in each state of an invocation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import AttemptOutcome, Status, Timer, TimerKind
from restate_runtime.core.world import Phase

from tests.core.harness import Bench, handler, only

CANCELLED = j.Cancelled(StatusCode.CANCELLED, "cancelled")
TOKEN = 77


def _running(bench: Bench) -> bytes:
    return bench.submit("t.Object", "Do", "k")[0]


def _backing_off(bench: Bench) -> bytes:
    invocation_id = _running(bench)
    bench.fail(invocation_id)
    return invocation_id


def _suspended(bench: Bench) -> bytes:
    invocation_id = _running(bench)
    bench.say(invocation_id, j.Sleep(bench.now_ms + 1_000))
    bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    return invocation_id


def _paused(bench: Bench) -> bytes:
    invocation_id = _running(bench)
    bench.fail(invocation_id, behavior=1)
    return invocation_id


def _queued(bench: Bench) -> bytes:
    bench.submit("t.Object", "Do", "k")
    return _running(bench)


def _scheduled(bench: Bench) -> bytes:
    return bench.submit("t.Object", "Do", "k", wait=False, delay_ms=1_000)[0]


def _completed(bench: Bench) -> bytes:
    invocation_id = _running(bench)
    bench.end(invocation_id)
    return invocation_id


STATES: dict[str, Callable[[Bench], bytes]] = {
    "running": _running,
    "backing-off": _backing_off,
    "suspended": _suspended,
    "paused": _paused,
    "queued": _queued,
    "scheduled": _scheduled,
    "completed": _completed,
}


def state_of(bench: Bench, invocation_id: bytes) -> str:
    hot = bench.hot(invocation_id)
    if hot.record.status is not Status.ACTIVE:
        return str(hot.record.status.value)
    return "running" if hot.phase is Phase.ATTEMPT else str(hot.phase.value)


# (verb, state before) -> state after, and whether it is refused
AFTER = {
    ("cancel", "running"): "running",
    ("cancel", "backing-off"): "running",
    ("cancel", "suspended"): "running",
    ("cancel", "paused"): "paused",
    ("cancel", "queued"): "completed",
    ("cancel", "scheduled"): "completed",
    ("cancel", "completed"): None,
    ("pause", "running"): "paused",
    ("pause", "backing-off"): "paused",
    ("pause", "suspended"): "paused",
    ("pause", "paused"): "paused",
    ("pause", "queued"): "paused",
    ("pause", "scheduled"): "paused",
    ("pause", "completed"): None,
    ("resume", "running"): None,
    ("resume", "backing-off"): "running",
    ("resume", "suspended"): "running",
    ("resume", "paused"): "running",
    ("resume", "queued"): None,
    ("resume", "scheduled"): None,
    ("resume", "completed"): None,
    ("purge", "running"): None,
    ("purge", "suspended"): None,
    ("purge", "completed"): "completed",
    ("signal", "running"): "running",
    ("signal", "backing-off"): "backing-off",
    ("signal", "suspended"): "suspended",
    ("signal", "paused"): "paused",
    ("signal", "queued"): "queued",
    ("signal", "scheduled"): "scheduled",
    ("signal", "completed"): None,
}


def event(verb: str, invocation_id: bytes) -> ev.Event:
    match verb:
        case "cancel":
            return ev.Cancel(invocation_id, TOKEN)
        case "pause":
            return ev.Pause(invocation_id, TOKEN)
        case "resume":
            return ev.Resume(invocation_id, TOKEN)
        case "purge":
            return ev.Purge(invocation_id, TOKEN, journal_only=False)
        case _:
            return ev.SignalSent(invocation_id, "go", j.Value(b"v"), TOKEN)


@pytest.mark.parametrize(("verb", "before"), AFTER)
def test_every_verb_in_every_state(verb: str, before: str) -> None:
    bench = Bench()
    invocation_id = STATES[before](bench)
    assert state_of(bench, invocation_id) == before
    out = bench.do(event(verb, invocation_id))
    after = AFTER[verb, before]
    if after is None:
        (refused,) = only(d.AnswerRefused, out.effects)
        assert refused.failure.code == StatusCode.FAILED_PRECONDITION
        assert out.writes == []
    else:
        assert only(d.AnswerDone, out.effects) == [d.AnswerDone(TOKEN)]
    assert state_of(bench, invocation_id) == (after or before)


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "purge", "signal"])
def test_what_is_unknown_is_not_found(verb: str) -> None:
    bench = Bench()
    (refused,) = only(d.AnswerRefused, bench.do(event(verb, bytes(16))).effects)
    assert refused.failure.code == StatusCode.NOT_FOUND


def test_a_cancellation_is_told_each_time_somebody_asks() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    for count in (1, 2):
        out = bench.do(ev.Cancel(invocation_id, TOKEN))
        assert only(d.NotifyAttempt, out.effects) == [d.NotifyAttempt(invocation_id, 1, j.encode(CANCELLED))]
        assert bench.journal(invocation_id)[1:] == [CANCELLED] * count


def test_one_that_never_ran_ends_with_cancelled_and_leaves_its_queue_or_timer() -> None:
    bench = Bench()
    queued, scheduled = _queued(bench), _scheduled(bench)
    out = bench.do(ev.Cancel(queued, TOKEN))
    assert [one.result for one in only(d.AnswerResult, out.effects)] == [j.Failure(StatusCode.CANCELLED, "cancelled")]
    assert bench.world.queued == 0
    out = bench.do(ev.Cancel(scheduled, TOKEN))
    timer = Timer(bench.now_ms + 1_000, scheduled, 0, TimerKind.START)
    assert only(d.DeleteTimer, out.writes) == [d.DeleteTimer(timer)]
    bench.now_ms += 1_000
    assert not only(d.StartAttempt, bench.do(ev.TimerFired(timer)).effects)


def test_the_caller_of_a_queued_call_hears_that_it_is_cancelled() -> None:
    bench = Bench()
    bench.submit("t.Object", "Do", "k")
    caller, _ = bench.submit()
    callee, _ = bench.call(caller, "t.Object", "Do", "k")
    bench.do(ev.Cancel(callee, TOKEN))
    assert bench.journal(caller)[-1] == j.Completion(1, j.Failure(StatusCode.CANCELLED, "cancelled"))


def test_a_cancellation_that_meets_a_suspension_on_its_way_is_not_slept_through() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    bench.say(invocation_id, j.Sleep(bench.now_ms + 1_000))
    bench.do(ev.Cancel(invocation_id, TOKEN))
    out = bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    (start,) = only(d.StartAttempt, out.effects)
    assert j.encode(CANCELLED) in start.entries
    bench.do(ev.AttemptSuspended(invocation_id, 2, aw.OnCommand(1)))
    assert state_of(bench, invocation_id) == "suspended"


def test_a_paused_one_hears_of_its_cancellation_when_it_resumes() -> None:
    bench = Bench()
    invocation_id = _paused(bench)
    bench.do(ev.Cancel(invocation_id, TOKEN))
    (start,) = only(d.StartAttempt, bench.do(ev.Resume(invocation_id, TOKEN)).effects)
    assert start.entries[-1] == j.encode(CANCELLED)


def test_a_handler_cancels_others_and_is_not_told_what_became_of_it() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    target = _suspended(bench)
    over, _ = bench.submit()
    bench.end(over)
    for invocation_id in (target, over, bytes(16)):
        out = bench.say(caller, j.Cancel(invocation_id))
        assert not only(d.AbortAttempt, out.effects)
    assert bench.journal(target)[-1] == CANCELLED
    assert state_of(bench, target) == "running"
    assert bench.journal(over)[-1] != CANCELLED


def test_a_pause_ends_the_attempt_and_its_record_says_so() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    out = bench.do(ev.Pause(invocation_id, TOKEN))
    assert only(d.AbortAttempt, out.effects) == [d.AbortAttempt(invocation_id, 1, "paused")]
    assert [one.attempt.outcome for one in only(d.RecordAttempt, out.writes)] == [AttemptOutcome.PAUSED]
    for late in (ev.AttemptSuspended(invocation_id, 1, aw.OnSignal("x")), ev.AttemptEnded(invocation_id, 1)):
        assert bench.do(late).writes == []
    assert bench.do(ev.Recover(invocation_id)).writes == []


def test_a_paused_one_that_backed_off_keeps_its_failure_and_its_timer_does_nothing() -> None:
    bench = Bench()
    invocation_id = _backing_off(bench)
    due_ms = bench.hot(invocation_id).record.next_retry_ms
    assert due_ms is not None
    bench.do(ev.Pause(invocation_id, TOKEN))
    record = bench.hot(invocation_id).record
    assert record.last_failure is not None
    assert record.next_retry_ms is None
    bench.do(ev.TimerFired(Timer(due_ms, invocation_id, 1, TimerKind.RETRY)))
    assert state_of(bench, invocation_id) == "paused"


def test_what_is_awaited_comes_while_it_is_paused_and_wakes_nobody() -> None:
    bench = Bench()
    invocation_id = _suspended(bench)
    bench.do(ev.Pause(invocation_id, TOKEN))
    bench.do(ev.TimerFired(Timer(bench.now_ms + 1_000, invocation_id, 1, TimerKind.SLEEP)))
    assert state_of(bench, invocation_id) == "paused"
    (start,) = only(d.StartAttempt, bench.do(ev.Resume(invocation_id, TOKEN)).effects)
    assert start.entries[-1] == j.encode(j.Completion(1, j.Void()))


def test_a_paused_one_that_waited_for_its_key_lets_others_pass_and_joins_the_end_when_resumed() -> None:
    bench = Bench()
    holder = _running(bench)
    paused, other = _running(bench), _running(bench)
    bench.do(ev.Pause(paused, TOKEN))
    assert [one.invocation.id for one in only(d.StartAttempt, bench.end(holder).effects)] == [other]
    bench.do(ev.Resume(paused, TOKEN))
    assert state_of(bench, paused) == "queued"
    assert [one.invocation.id for one in only(d.StartAttempt, bench.end(other).effects)] == [paused]
    bench.end(paused)
    assert bench.world.queues == {}


@pytest.mark.parametrize("late", [False, True])
def test_a_paused_one_that_was_scheduled_is_due_when_it_was_or_when_it_resumes(late: bool) -> None:
    bench = Bench()
    invocation_id = _scheduled(bench)
    timer = Timer(bench.now_ms + 1_000, invocation_id, 0, TimerKind.START)
    bench.do(ev.Pause(invocation_id, TOKEN))
    if late:
        bench.now_ms += 1_000
        bench.do(ev.TimerFired(timer))
        assert state_of(bench, invocation_id) == "paused"
    out = bench.do(ev.Resume(invocation_id, TOKEN))
    assert state_of(bench, invocation_id) == ("running" if late else "scheduled")
    assert only(d.PutTimer, out.writes) == ([] if late else [d.PutTimer(timer)])


def test_an_invocation_resumes_on_the_deployment_that_is_asked_for() -> None:
    bench = Bench()
    invocation_id = _suspended(bench)
    (start,) = only(d.StartAttempt, bench.do(ev.Resume(invocation_id, TOKEN, "dep_2")).effects)
    assert start.invocation.deployment_id == "dep_2"
    bench.fail(invocation_id)
    bench.do(ev.Resume(invocation_id, TOKEN))
    assert bench.hot(invocation_id).record.deployment_id == "dep_2"


@pytest.mark.parametrize("deployment_id", ["dep_2", "latest"])
def test_it_does_not_resume_on_a_deployment_that_does_not_serve_it_or_serves_it_otherwise(deployment_id: str) -> None:
    bench = Bench()
    invocation_id = _paused(bench)
    for served in (None, (handler("Do", HandlerMode.SHARED), False)):
        if served is None:
            del bench.handlers["t.Object", "Do"]
        else:
            bench.handlers["t.Object", "Do"] = served
        (refused,) = only(d.AnswerRefused, bench.do(ev.Resume(invocation_id, TOKEN, deployment_id)).effects)
        assert refused.failure.code == StatusCode.FAILED_PRECONDITION
        assert "t.Object/Do" in refused.failure.message
    assert state_of(bench, invocation_id) == "paused"


def test_signals_of_one_name_are_counted_in_their_order() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnSignal("go", 2)))
    bench.do(ev.SignalSent(invocation_id, "go", j.Value(b"1"), TOKEN))
    bench.do(ev.SignalSent(invocation_id, "other", j.Value(b"x"), TOKEN))
    assert state_of(bench, invocation_id) == "suspended"
    (start,) = only(d.StartAttempt, bench.do(ev.SignalSent(invocation_id, "go", j.Void(), TOKEN)).effects)
    assert [j.decode(one) for one in start.entries[1:]] == [
        j.Signal("go", j.Value(b"1")),
        j.Signal("other", j.Value(b"x")),
        j.Signal("go", j.Void()),
    ]


def test_a_handler_sends_signals_to_others_and_to_itself() -> None:
    bench = Bench()
    sender, _ = bench.submit()
    waiting, _ = bench.submit()
    bench.do(ev.AttemptSuspended(waiting, 1, aw.OnSignal("go")))
    out = bench.say(sender, j.SendSignal(waiting, "go", j.Failure(3, "no")))
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [waiting]
    out = bench.say(sender, j.SendSignal(sender, "me", j.Value(b"v")))
    assert only(d.NotifyAttempt, out.effects) == [
        d.NotifyAttempt(sender, 1, j.encode(j.Signal("me", j.Value(b"v")))),
    ]
    assert not only(d.AbortAttempt, bench.say(sender, j.SendSignal(bytes(16), "go", j.Void())).effects)


@pytest.mark.parametrize("name", ["", "restate.cancel"])
def test_a_signal_with_a_name_that_is_none_fails_the_attempt(name: str) -> None:
    bench = Bench()
    sender, _ = bench.submit()
    out = bench.say(sender, j.SendSignal(sender, name, j.Void()))
    assert only(d.AbortAttempt, out.effects)
    assert len(bench.journal(sender)) == 1


@pytest.mark.parametrize("entry", [CANCELLED, j.Signal("x", j.Void()), j.RunDue(1, 1), j.Completion(1, j.Void())])
def test_a_handler_cannot_write_notifications(entry: j.Entry) -> None:
    bench = Bench()
    sender, _ = bench.submit()
    assert only(d.AbortAttempt, bench.say(sender, entry).effects)
    assert len(bench.journal(sender)) == 1


def test_a_purge_removes_a_completed_invocation_or_its_journal() -> None:
    bench = Bench()
    invocation_id = _completed(bench)
    assert bench.do(ev.Purge(invocation_id, TOKEN, journal_only=True)).writes == [d.PurgeJournal(invocation_id)]
    assert bench.do(ev.Purge(invocation_id, TOKEN, journal_only=False)).writes == [d.PurgeInvocation(invocation_id)]


def test_a_purged_workflow_takes_its_promises_along() -> None:
    bench = Bench()
    run, _ = bench.submit("t.Flow", "Run", "k")
    bench.say(run, j.CompletePromise(1, j.Value(b"v")))
    bench.end(run)
    bench.do(ev.Purge(run, TOKEN, journal_only=False))
    assert bench.world.promises == {}
    assert run == ids.workflow_invocation_id("t.Flow", "k")


@pytest.mark.parametrize("behavior", [0, 1])
@pytest.mark.parametrize("first", ["the failure", "the cancellation"])
def test_one_that_fails_before_it_did_anything_ends_with_its_cancellation(first: str, behavior: int) -> None:
    bench = Bench()
    invocation_id = _running(bench)
    following, _ = bench.submit("t.Object", "Do", "k")
    if first == "the failure":
        bench.fail(invocation_id)
    bench.do(ev.Cancel(invocation_id, TOKEN))
    out = bench.fail(invocation_id, behavior=behavior)
    assert only(d.AnswerResult, out.effects)[0].result == j.Failure(StatusCode.CANCELLED, "cancelled")
    assert [one.attempt.outcome for one in only(d.RecordAttempt, out.writes)] == [AttemptOutcome.FAILED]
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [following]


def test_one_that_did_something_hears_of_its_cancellation_however_often_it_fails() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    bench.say(invocation_id, j.Run("step"))
    bench.do(ev.Cancel(invocation_id, TOKEN))
    bench.fail(invocation_id)
    assert bench.hot(invocation_id).phase is Phase.BACKING_OFF


def test_a_lost_attempt_that_is_cancelled_is_followed_by_one_that_hears_of_it() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    bench.do(ev.Cancel(invocation_id, TOKEN))
    bench.do(ev.AttemptLost(invocation_id, 1, "gone", True))
    assert bench.hot(invocation_id).phase is Phase.BACKING_OFF


def test_a_failure_that_is_the_answer_stays_the_answer() -> None:
    bench = Bench()
    invocation_id = _running(bench)
    bench.do(ev.Cancel(invocation_id, TOKEN))
    out = bench.fail(invocation_id, behavior=2)
    assert only(d.AnswerResult, out.effects)[0].result == j.Failure(2, "boom")
