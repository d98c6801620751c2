"""What each command does, and which are refused."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status
from restate_runtime.core.world import Phase

from tests.core.harness import Bench, only


def test_a_run_result_is_recorded_before_it_is_acknowledged() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Run("step"))
    out = bench.propose(invocation_id, 1, j.Value(b"1", j.JSON))
    assert [write.entry for write in only(d.AppendEntry, out.writes)] == [
        j.encode(j.Completion(1, j.Value(b"1", j.JSON)))
    ]
    assert out.effects == [d.AckRun(invocation_id, 1, 1)]


def test_a_run_that_comes_with_its_result_is_one_entry_and_acknowledged() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.say(invocation_id, j.Run("step", j.Value(b"1", j.JSON), 3))
    assert len(only(d.AppendEntry, out.writes)) == 1
    assert out.effects == [d.AckRun(invocation_id, 1, 1)]
    out = bench.do(ev.AttemptSuspended(invocation_id, 1, aw.OnCommand(1)))
    assert only(d.StartAttempt, out.effects), "what is awaited is there already"
    out = bench.propose(invocation_id, 1, j.Void())
    assert only(d.AbortAttempt, out.effects), "it has its result"


@pytest.mark.parametrize("command", [0, 1, 2, 7])
def test_a_result_for_what_is_no_open_run_fails_the_attempt(command: int) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Sleep(5))
    bench.say(invocation_id, j.Run("step"))
    bench.propose(invocation_id, 2, j.Void())
    out = bench.propose(invocation_id, command, j.Void())
    assert only(d.AbortAttempt, out.effects)
    assert not only(d.AppendEntry, out.writes)


def test_a_call_and_its_callee_are_one_write_and_the_result_comes_back() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee, out = bench.call(caller, "t.Plain", "Do")
    assert {type(write) for write in out.writes} >= {d.AppendEntry, d.CreateInvocation}
    out = bench.end(callee, j.Value(b"r"))
    assert bench.journal(caller)[-1] == j.Completion(1, j.Value(b"r"))
    assert [one.invocation_id for one in only(d.NotifyAttempt, out.effects)] == [caller]


def test_a_send_brings_nothing_back() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee = ids.child_invocation_id(caller, 1)
    bench.say(caller, j.Send("t.Plain", "Do", None, b"p", callee))
    bench.end(callee)
    assert len(bench.journal(caller)) == 2


def test_a_delayed_send_is_scheduled() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee = ids.child_invocation_id(caller, 1)
    bench.say(caller, j.Send("t.Plain", "Do", None, b"p", callee, execute_at_ms=bench.now_ms + 10))
    assert bench.hot(callee).record.status is Status.SCHEDULED


def test_a_call_wakes_its_suspended_caller() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee, _ = bench.call(caller, "t.Plain", "Do")
    bench.do(ev.AttemptSuspended(caller, 1, aw.OnCommand(1)))
    out = bench.end(callee)
    assert [(one.invocation.id, one.epoch) for one in only(d.StartAttempt, out.effects)] == [(caller, 2)]


def test_calling_what_nobody_serves_is_tried_again_and_not_journaled() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    _, out = bench.call(caller, "t.Unknown", "Do")
    assert not only(d.AppendEntry, out.writes)
    assert only(d.AbortAttempt, out.effects)
    assert bench.hot(caller).phase is Phase.BACKING_OFF


@pytest.mark.parametrize(
    "entry",
    [
        j.Call("t.Plain", "Do", "key", b"", b"x" * 16),
        j.Call("t.Object", "Do", None, b"", b"x" * 16),
        j.Call("t.Plain", "Do", None, b"", b"x" * 16),
        j.Call("t.Flow", "Run", "k", b"", b"x" * 16, idempotency_key="i"),
        j.Send("t.Plain", "Do", None, b"", b""),
        j.Input(b""),
        j.Completion(0, j.Void()),
        j.Signal(1, j.Void()),
        j.SetState(1, b""),
        j.GetState(1, j.Void()),
        j.GetStateKeys(()),
        j.ClearAllState(),
        j.GetPromise(1),
        j.CompleteAwakeable("awk_nonsense", j.Void()),
    ],
    ids=lambda entry: f"{j.type_name(entry)}-{getattr(entry, 'key', '')}",
)
def test_a_command_that_cannot_be_is_not_journaled(entry: j.Entry) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.say(invocation_id, entry)
    assert not only(d.AppendEntry, out.writes)
    assert only(d.AbortAttempt, out.effects)


def test_nothing_comes_after_the_output() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Output(j.Void()))
    out = bench.say(invocation_id, j.Run("late"))
    assert not only(d.AppendEntry, out.writes)


def test_a_shared_handler_reads_state_and_does_not_write_it() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Look", "k")
    assert only(d.AppendEntry, bench.say(invocation_id, j.GetState(1, j.Void())).writes)
    out = bench.say(invocation_id, j.SetState(1, b"v"))
    assert not only(d.PutState, out.writes)
    assert only(d.AbortAttempt, out.effects)


def test_state_is_written_with_its_command() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    out = bench.say(invocation_id, j.SetState(1, b"v"))
    assert only(d.PutState, out.writes) == [d.PutState("t.Object", "k", 1, b"v")]
    out = bench.say(invocation_id, j.ClearState(1))
    assert only(d.PutState, out.writes) == [d.PutState("t.Object", "k", 1, None)]
    out = bench.say(invocation_id, j.ClearAllState())
    assert only(d.ClearState, out.writes) == [d.ClearState("t.Object", "k")]


def test_a_promise_is_completed_once_and_tells_all_who_wait() -> None:
    bench = Bench()
    run, _ = bench.submit("t.Flow", "Run", "k")
    bench.say(run, j.GetPromise(1))
    tell, _ = bench.submit("t.Flow", "Tell", "k")
    bench.say(tell, j.PeekPromise(1))
    bench.say(tell, j.CompletePromise(1, j.Value(b"v")))
    bench.say(tell, j.CompletePromise(1, j.Value(b"w")))
    bench.say(tell, j.PeekPromise(1))
    bench.say(run, j.GetPromise(1))
    assert [e for e in bench.journal(run) if isinstance(e, j.Completion)] == [
        j.Completion(1, j.Value(b"v")),
        j.Completion(2, j.Value(b"v")),
    ]
    results = [e.result for e in bench.journal(tell) if isinstance(e, j.Completion)]
    assert results[0] == j.Void()
    assert results[1] == j.Void()
    assert isinstance(results[2], j.Failure)
    assert results[2].code == StatusCode.FAILED_PRECONDITION
    assert results[3] == j.Value(b"v")


def test_the_shared_handlers_of_an_object_have_no_promises() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Look", "k")
    assert only(d.AbortAttempt, bench.say(invocation_id, j.GetPromise(1)).effects)


def test_an_awakeable_is_completed_once_also_before_it_is_recorded() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    out = bench.do(ev.AwakeableCompleted(invocation_id, 1, j.Value(b"v"), 4))
    assert only(d.AnswerDone, out.effects) == [d.AnswerDone(4)]
    bench.say(invocation_id, j.Awakeable(1))
    out = bench.do(ev.AwakeableCompleted(invocation_id, 1, j.Value(b"w"), 5))
    assert only(d.AnswerRefused, out.effects)[0].failure.code == StatusCode.FAILED_PRECONDITION
    assert bench.journal(invocation_id)[1:] == [j.Signal(1, j.Value(b"v")), j.Awakeable(1)]


def test_an_awakeable_of_what_is_over_is_not_found() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    bench.end(invocation_id)
    out = bench.do(ev.AwakeableCompleted(invocation_id, 1, j.Void(), 4))
    assert only(d.AnswerRefused, out.effects)[0].failure.code == StatusCode.NOT_FOUND


def test_a_handler_completes_the_awakeable_of_another() -> None:
    bench = Bench()
    waiting, _ = bench.submit()
    bench.say(waiting, j.Awakeable(1))
    bench.do(ev.AttemptSuspended(waiting, 1, aw.OnAwakeable(1)))
    other, _ = bench.submit()
    out = bench.say(other, j.CompleteAwakeable(ids.awakeable_id_text(waiting, 1), j.Value(b"v")))
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [waiting]


def test_attaching_from_a_handler() -> None:
    bench = Bench()
    target, _ = bench.submit()
    waiter, _ = bench.submit()
    bench.say(waiter, j.Attach(target))
    bench.end(target, j.Value(b"r"))
    bench.say(waiter, j.Attach(target))
    bench.say(waiter, j.Attach(b"?" * 16))
    results = [e.result for e in bench.journal(waiter) if isinstance(e, j.Completion)]
    assert results[:2] == [j.Value(b"r"), j.Value(b"r")]
    assert isinstance(results[2], j.Failure)


def test_calling_a_workflow_that_was_started_is_an_error_and_sending_is_not() -> None:
    bench = Bench()
    run, _ = bench.submit("t.Flow", "Run", "k")
    caller, _ = bench.submit()
    bench.call(caller, "t.Flow", "Run", "k")
    completion = bench.journal(caller)[-1]
    assert isinstance(completion, j.Completion)
    assert isinstance(completion.result, j.Failure)
    assert completion.result.code == StatusCode.ALREADY_EXISTS
    out = bench.say(caller, j.Send("t.Flow", "Run", "k", b"", run))
    assert not only(d.CreateInvocation, out.writes)


def test_two_calls_with_one_idempotency_key_share_one_invocation() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee = ids.idempotent_invocation_id("t.Plain", "Do", None, "i")
    for _ in range(2):
        bench.say(caller, j.Call("t.Plain", "Do", None, b"p", callee, idempotency_key="i"))
    bench.end(callee, j.Value(b"r"))
    bench.say(caller, j.Call("t.Plain", "Do", None, b"p", callee, idempotency_key="i"))
    completions = [e for e in bench.journal(caller) if isinstance(e, j.Completion)]
    assert completions == [j.Completion(number, j.Value(b"r")) for number in (1, 2, 3)]
