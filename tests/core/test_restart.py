"""Restarting: where a journal may be cut, and what the new invocation begins with."""

from __future__ import annotations

from typing import Any

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status, Timer, TimerKind
from restate_runtime.core.restart import prefix, problem

from tests.core.harness import Bench, only

ID = bytes(16)
OK = j.Value(b"v")
INPUT = j.Input(b"in")
OUTPUT = j.Output(OK)
CALL = j.Call("t.Plain", "Do", None, b"p", ID)
SEND = j.Send("t.Plain", "Do", None, b"p", ID)


def cut(count: int, *entries: j.Entry) -> list[j.Entry] | StatusCode:
    found = prefix([j.encode(entry) for entry in entries], count)
    return StatusCode(found.code) if isinstance(found, j.Failure) else [j.decode(data) for data in found]


STEPS = (INPUT, j.Run("a", OK), j.Run("b"), j.Completion(2, OK), j.Sleep(9), j.Completion(3, j.Void()), SEND, OUTPUT)


@pytest.mark.parametrize("count", range(8))
def test_the_first_entries_are_taken_over_and_the_results_of_what_they_began(count: int) -> None:
    kept = max(1, count)
    later = {3: [STEPS[3]], 5: [STEPS[5]]}.get(kept, [])
    assert cut(count, *STEPS) == [*STEPS[:kept], *later]


def test_the_output_is_never_taken_over() -> None:
    assert cut(8, *STEPS) is StatusCode.INVALID_ARGUMENT
    assert cut(99, *STEPS) is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("entry", [CALL, j.Attach(ID), j.GetPromise(1), j.Awakeable(1)])
def test_what_only_the_old_one_can_wait_for_must_have_its_result(entry: j.Entry) -> None:
    assert cut(2, INPUT, entry, SEND, OUTPUT) is StatusCode.FAILED_PRECONDITION
    assert cut(1, INPUT, entry, SEND, OUTPUT) == [INPUT]
    result = j.Signal(1, OK) if isinstance(entry, j.Awakeable) else j.Completion(1, OK)
    assert cut(2, INPUT, entry, SEND, result, OUTPUT) == [INPUT, entry, result]


@pytest.mark.parametrize("entry", [j.Run("a"), j.Sleep(9), SEND])
def test_what_the_new_one_can_do_itself_needs_none(entry: j.Entry) -> None:
    assert cut(2, INPUT, entry, OUTPUT) == [INPUT, entry]


def test_failed_tries_of_a_run_that_has_no_result_are_forgotten() -> None:
    failed = j.RunFailed(1, 1, j.Failure(2, "boom"), 1, 2)
    assert cut(4, INPUT, j.Run("a"), failed, j.RunDue(1, 1), OUTPUT) == [INPUT, j.Run("a")]
    done = j.Completion(1, OK)
    assert cut(3, INPUT, j.Run("a"), failed, done, OUTPUT) == [INPUT, j.Run("a"), failed, done]


def test_signals_and_cancellations_are_taken_over_as_far_as_they_were_there() -> None:
    told = (j.Signal("go", OK), j.Cancelled(1, "cancelled"))
    assert cut(3, INPUT, *told, SEND, j.Signal("go", OK), OUTPUT) == [INPUT, *told]


def _completed(bench: Bench, service: str = "t.Plain", name: str = "Do", key: str | None = None) -> bytes:
    invocation_id, _ = bench.submit(service, name, key)
    bench.end(invocation_id)
    return invocation_id


def restarted(bench: Bench, old: bytes, *more: j.Entry, new: bytes = b"n" * 16, **fields: Any) -> d.Decision:
    entries = tuple(j.encode(entry) for entry in (INPUT, *more))
    event = ev.Restart(new, bench.hot(old).record, entries, fields.get("deployment_id"), 55)
    return bench.do(event)


def test_a_new_invocation_begins_with_the_same_request_and_knows_where_it_comes_from() -> None:
    bench = Bench()
    old, _ = bench.submit(idempotency_key="once")
    bench.end(old)
    out = restarted(bench, old)
    record = bench.hot(b"n" * 16).record
    assert (record.service, record.handler, record.idempotency_key, record.reply) == ("t.Plain", "Do", None, False)
    assert record.restarted_from == old
    assert [j.decode(one.entry) for one in only(d.AppendEntry, out.writes)] == [INPUT]
    assert only(d.AnswerAccepted, out.effects) == [d.AnswerAccepted(55, record.id, new=True)]
    (start,) = only(d.StartAttempt, out.effects)
    assert start.entries == (j.encode(INPUT),)
    bench.end(record.id)
    assert bench.hot(old).record.status is Status.COMPLETED


def test_a_copy_of_a_copy_comes_from_the_first() -> None:
    bench = Bench()
    old = _completed(bench)
    restarted(bench, old)
    bench.end(b"n" * 16)
    restarted(bench, b"n" * 16, new=b"m" * 16)
    assert bench.hot(b"m" * 16).record.restarted_from == old


def test_a_call_is_not_a_restart() -> None:
    bench = Bench()
    caller, _ = bench.submit()
    callee, _ = bench.call(caller, "t.Plain", "Do")
    assert bench.hot(callee).record.restarted_from is None


def test_it_joins_the_queue_of_its_key() -> None:
    bench = Bench()
    old = _completed(bench, "t.Object", "Do", "k")
    holder, _ = bench.submit("t.Object", "Do", "k")
    assert not only(d.StartAttempt, restarted(bench, old).effects)
    assert bench.hot(b"n" * 16).record.status is Status.QUEUED
    assert [one.invocation.id for one in only(d.StartAttempt, bench.end(holder).effects)] == [b"n" * 16]


def test_open_sleeps_get_timers_of_their_own() -> None:
    bench = Bench()
    old = _completed(bench)
    out = restarted(bench, old, j.Run("a", OK), j.Sleep(bench.now_ms + 5))
    timer = Timer(bench.now_ms + 5, b"n" * 16, 2, TimerKind.SLEEP)
    assert only(d.PutTimer, out.writes) == [d.PutTimer(timer)]
    assert only(d.ArmTimer, out.effects) == [d.ArmTimer(timer)]
    bench.do(ev.TimerFired(timer))
    assert bench.journal(b"n" * 16)[-1] == j.Completion(2, j.Void())


@pytest.mark.parametrize("wanted", ["dep_7", "latest", None])
def test_it_starts_on_the_deployment_that_is_asked_for(wanted: str | None) -> None:
    bench = Bench()
    old = _completed(bench, "t.Object", "Do", "k")
    holder, _ = bench.submit("t.Object", "Do", "k")
    restarted(bench, old, deployment_id=wanted)
    (start,) = only(d.StartAttempt, bench.end(holder).effects)
    assert start.invocation.deployment_id == ("dep_7" if wanted == "dep_7" else "dep_1")


def test_it_does_not_start_where_nobody_serves_it() -> None:
    bench = Bench()
    old = _completed(bench)
    del bench.handlers["t.Plain", "Do"]
    out = restarted(bench, old)
    assert [one.failure.code for one in only(d.AnswerRefused, out.effects)] == [StatusCode.FAILED_PRECONDITION]
    assert out.writes == []


def test_a_workflow_and_one_without_a_journal_do_not_restart() -> None:
    bench = Bench()
    plain = bench.hot(_completed(bench)).record
    run = bench.hot(_completed(bench, "t.Flow", "Run", "k")).record
    assert run.mode is HandlerMode.RUN
    assert problem(plain, [j.encode(INPUT)]) is None
    for record, journal in ((plain, []), (run, [j.encode(INPUT)])):
        refused = problem(record, journal)
        assert refused is not None
        assert refused.code == StatusCode.FAILED_PRECONDITION
    assert run.id == ids.workflow_invocation_id("t.Flow", "k")
