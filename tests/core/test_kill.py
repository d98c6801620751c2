"""Killing: the invocation and the calls it waits for end in one decision, what it sent goes on."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts, RetryPolicy
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.needs import NeedInvocation, missing
from restate_runtime.core.records import Status, Timer, TimerKind

from tests.core.harness import Bench, handler, only

KILLED = j.Failure(StatusCode.ABORTED, "killed")


def _status(bench: Bench, *found: bytes) -> list[Status]:
    return [bench.hot(one).record.status for one in found]


def test_it_ends_the_attempt_and_the_calls_it_waits_for_but_not_what_it_sent() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    awaited, _ = bench.call(caller, "t.Plain", "Do")
    over, _ = bench.call(caller, "t.Plain", "Do")
    bench.end(over)
    sent = ids.child_invocation_id(caller, bench.hot(caller).commands)
    bench.say(caller, j.Send("t.Plain", "Do", None, b"p", sent))
    out = bench.do(ev.Kill(caller, 8))
    assert [one.invocation_id for one in only(d.AbortAttempt, out.effects)] == [caller, awaited]
    assert only(d.AnswerResult, out.effects) == [d.AnswerResult(1, KILLED)]
    assert _status(bench, caller, awaited, sent) == [Status.COMPLETED, Status.COMPLETED, Status.ACTIVE]
    assert not [entry for entry in bench.journal(caller) if entry == j.Completion(1, KILLED)]


def test_it_reaches_the_whole_tree_in_one_decision() -> None:
    bench = Bench()
    found = [bench.submit()[0]]
    for _ in range(3):
        found.append(bench.call(found[-1], "t.Plain", "Do")[0])
    bench.do(ev.AttemptSuspended(found[0], 1, aw.OnCommand(1)))
    out = bench.do(ev.Kill(found[0], 8))
    assert _status(bench, *found) == [Status.COMPLETED] * 4
    assert {one.invocation.id for one in only(d.SaveInvocation, out.writes)} == set(found)


def test_a_call_that_waits_behind_its_own_caller_ends_too_and_the_key_goes_to_the_next() -> None:
    bench = Bench()
    root, _ = bench.submit()
    holder, _ = bench.call(root, "t.Object", "Do", "k")
    inner, _ = bench.call(holder, "t.Object", "Do", "k")
    stranger, _ = bench.submit("t.Object", "Do", "k")
    out = bench.do(ev.Kill(root, 8))
    assert _status(bench, root, holder, inner) == [Status.COMPLETED] * 3
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [stranger]
    bench.end(stranger)
    assert bench.world.queues == {}
    assert bench.world.queued == 0


def test_a_call_that_found_the_invocation_of_somebody_else_leaves_it_alone() -> None:
    bench = Bench()
    theirs, _ = bench.submit(idempotency_key="once")
    caller, _ = bench.submit()
    bench.say(caller, j.Call("t.Plain", "Do", None, b"p", theirs, idempotency_key="once"))
    bench.do(ev.Kill(caller, 8))
    assert _status(bench, caller, theirs) == [Status.COMPLETED, Status.ACTIVE]


def test_used_up_attempts_end_the_calls_it_waits_for_too() -> None:
    bench = Bench()
    policy = RetryPolicy(max_attempts=1, on_max_attempts=OnMaxAttempts.KILL)
    bench.handlers["t.Plain", "Do"] = (handler("Do", HandlerMode.SERVICE, policy), False)
    caller, _ = bench.submit()
    awaited, _ = bench.call(caller, "t.Plain", "Do")
    bench.fail(caller)
    assert _status(bench, caller, awaited) == [Status.COMPLETED, Status.COMPLETED]


def test_before_a_last_failure_the_calls_it_may_end_are_asked_for() -> None:
    bench = Bench()
    policy = RetryPolicy(max_attempts=1, on_max_attempts=OnMaxAttempts.KILL)
    bench.handlers["t.Plain", "Do"] = (handler("Do", HandlerMode.SERVICE, policy), False)
    caller, _ = bench.submit()
    awaited, _ = bench.call(caller, "t.Plain", "Do")
    del bench.world.invocations[awaited]
    lost = ev.AttemptLost(caller, 1, "the session ended", delivered=True)
    assert missing(bench.world, lost) == [NeedInvocation(awaited)]


def test_a_caller_outside_of_the_tree_hears_of_it() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee, _ = bench.call(caller, "t.Plain", "Do")
    bench.do(ev.Kill(callee, 8))
    assert bench.journal(caller)[-1] == j.Completion(1, KILLED)


def test_a_scheduled_one_ends_and_its_timer_goes() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit(delay_ms=100, wait=False)
    out = bench.do(ev.Kill(invocation_id, 8))
    timer = Timer(bench.now_ms + 100, invocation_id, 0, TimerKind.START)
    assert only(d.DeleteTimer, out.writes) == [d.DeleteTimer(timer)]
    assert _status(bench, invocation_id) == [Status.COMPLETED]


@pytest.mark.parametrize("state", ["running", "backing-off", "suspended", "paused"])
def test_it_ends_an_invocation_in_every_state(state: str) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    if state == "backing-off":
        bench.fail(invocation_id)
    elif state == "suspended":
        bench.say(invocation_id, j.Sleep(bench.now_ms + 1))
        bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    elif state == "paused":
        bench.fail(invocation_id, behavior=1)
    out = bench.do(ev.Kill(invocation_id, 8))
    assert bool(only(d.AbortAttempt, out.effects)) is (state == "running")
    assert _status(bench, invocation_id) == [Status.COMPLETED]
    assert bench.world.queues == {}


def test_one_that_gave_its_output_keeps_it() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Output(j.Value(b"done")))
    out = bench.do(ev.Kill(invocation_id, 8))
    assert only(d.AnswerResult, out.effects) == [d.AnswerResult(1, j.Value(b"done"))]
    assert [one.failure.code for one in only(d.AnswerRefused, out.effects)] == [StatusCode.FAILED_PRECONDITION]
