"""Runs that fail and are tried again: what is counted, what is timed, and who is woken."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import JournalRow, Status, Timer, TimerKind
from restate_runtime.core.world import load

from tests.core.harness import Bench, only

BOOM = j.Failure(2, "boom")


def running(bench: Bench) -> bytes:
    """An invocation whose command 1 is a run under way."""
    invocation_id, _ = bench.submit()
    bench.say(invocation_id, j.Run("step"))
    return invocation_id


def fail_run(
    bench: Bench,
    invocation_id: bytes,
    retry_at_ms: int,
    *,
    first_ms: int = 900,
    durable: bool = False,
    command: int = 1,
) -> d.Decision:
    epoch = bench.hot(invocation_id).record.epoch
    return bench.do(ev.RunTryFailed(invocation_id, epoch, command, BOOM, first_ms, retry_at_ms, durable))


def suspend(bench: Bench, invocation_id: bytes, command: int = 1) -> d.Decision:
    return bench.do(ev.AttemptSuspended(invocation_id, bench.hot(invocation_id).record.epoch, aw.OnCommand(command)))


def timer(invocation_id: bytes, due_ms: int, command: int = 1) -> Timer:
    return Timer(due_ms, invocation_id, command, TimerKind.RUN_RETRY)


def crash(bench: Bench, invocation_id: bytes) -> None:
    """The runtime dies and another one finds the invocation in the store."""
    hot = bench.hot(invocation_id)
    rows = [JournalRow(index, 0, data) for index, data in enumerate(hot.entries)]
    bench.world.invocations[invocation_id] = load(hot.record, rows, [], hot.target)
    bench.do(ev.Recover(invocation_id))


def test_each_failure_is_counted_told_and_dated_from_the_first_try() -> None:
    bench = Bench()
    invocation_id = running(bench)
    out = fail_run(bench, invocation_id, 1_100, first_ms=900)
    counted = j.RunFailed(1, 1, BOOM, 900, 1_100)
    assert only(d.NotifyAttempt, out.effects) == [d.NotifyAttempt(invocation_id, 1, j.encode(counted))]
    fail_run(bench, invocation_id, 1_300, first_ms=1_200)
    assert bench.journal(invocation_id)[2:] == [counted, j.RunFailed(1, 2, BOOM, 900, 1_300)]


def test_a_short_wait_costs_no_timer() -> None:
    bench = Bench()
    out = fail_run(bench, running(bench), 1_100)
    assert [type(write) for write in out.writes] == [d.AppendEntry]
    assert not only(d.ArmTimer, out.effects)


def test_counts_outlive_a_crash_of_the_runtime() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 1_100)
    crash(bench, invocation_id)
    fail_run(bench, invocation_id, 1_300)
    assert [one.failures for one in only(j.RunFailed, bench.journal(invocation_id))] == [1, 2]


def test_runs_are_counted_each_by_itself() -> None:
    bench = Bench()
    invocation_id = running(bench)
    bench.say(invocation_id, j.Run("other"))
    for command in (1, 2, 1):
        fail_run(bench, invocation_id, 1_100, command=command)
    counted = [(one.command, one.failures) for one in only(j.RunFailed, bench.journal(invocation_id))]
    assert counted == [(1, 1), (2, 1), (1, 2)]


def test_a_long_wait_has_a_durable_timer_that_wakes_a_suspended_invocation() -> None:
    bench = Bench()
    invocation_id = running(bench)
    out = fail_run(bench, invocation_id, 61_000, durable=True)
    assert only(d.PutTimer, out.writes) == [d.PutTimer(timer(invocation_id, 61_000))]
    assert only(d.ArmTimer, out.effects) == [d.ArmTimer(timer(invocation_id, 61_000))]
    suspend(bench, invocation_id)
    assert bench.hot(invocation_id).record.status is Status.SUSPENDED
    out = bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    assert bench.journal(invocation_id)[-1] == j.RunDue(1, 1)
    assert only(d.DeleteTimer, out.writes) == [d.DeleteTimer(timer(invocation_id, 61_000))]
    (start,) = only(d.StartAttempt, out.effects)
    assert j.decode(start.entries[-1]) == j.RunDue(1, 1)


def test_a_running_attempt_is_told_when_the_wait_is_over() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    out = bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    assert only(d.NotifyAttempt, out.effects) == [d.NotifyAttempt(invocation_id, 1, j.encode(j.RunDue(1, 1)))]
    assert not only(d.StartAttempt, out.effects)


def test_a_due_run_wakes_whatever_else_is_awaited() -> None:
    bench = Bench()
    invocation_id = running(bench)
    bench.say(invocation_id, j.Sleep(10**9))
    fail_run(bench, invocation_id, 61_000, durable=True)
    both = aw.Group(aw.Combinator.ALL_COMPLETED, (aw.OnCommand(1), aw.OnCommand(2)))
    bench.do(ev.AttemptSuspended(invocation_id, 1, both))
    assert only(d.StartAttempt, bench.do(ev.TimerFired(timer(invocation_id, 61_000))).effects)


def test_suspending_when_the_wait_is_over_already_starts_again_at_once() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    assert only(d.StartAttempt, suspend(bench, invocation_id).effects)


def test_suspending_on_a_failed_run_without_a_timer_gives_it_one() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 1_500)
    assert only(d.PutTimer, suspend(bench, invocation_id).writes) == [d.PutTimer(timer(invocation_id, 1_500))]


def test_a_timer_told_twice_or_of_an_earlier_wait_changes_nothing() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    fail_run(bench, invocation_id, 181_000, durable=True)
    bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    assert only(j.RunDue, bench.journal(invocation_id)) == [j.RunDue(1, 1)]
    bench.do(ev.TimerFired(timer(invocation_id, 181_000)))
    assert only(j.RunDue, bench.journal(invocation_id))[-1] == j.RunDue(1, 2)


def test_a_run_that_has_its_result_is_not_due_any_more() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    bench.propose(invocation_id, 1, j.Void())
    bench.do(ev.TimerFired(timer(invocation_id, 61_000)))
    assert not only(j.RunDue, bench.journal(invocation_id))


@pytest.mark.parametrize("over", ["completed", "unknown"])
def test_the_timer_of_what_is_over_just_goes(over: str) -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    bench.do(ev.Kill(invocation_id, 7))
    if over == "unknown":
        del bench.world.invocations[invocation_id]
    assert bench.do(ev.TimerFired(timer(invocation_id, 61_000))).writes == [d.DeleteTimer(timer(invocation_id, 61_000))]


def test_a_paused_invocation_hears_of_it_when_it_resumes() -> None:
    bench = Bench()
    invocation_id = running(bench)
    fail_run(bench, invocation_id, 61_000, durable=True)
    bench.fail(invocation_id, behavior=1)
    assert not only(d.StartAttempt, bench.do(ev.TimerFired(timer(invocation_id, 61_000))).effects)
    (start,) = only(d.StartAttempt, bench.do(ev.Resume(invocation_id, 1)).effects)
    assert j.decode(start.entries[-1]) == j.RunDue(1, 1)


@pytest.mark.parametrize("command", [0, 2, 9])
def test_a_failure_of_what_is_no_open_run_fails_the_attempt(command: int) -> None:
    bench = Bench()
    invocation_id = running(bench)
    bench.say(invocation_id, j.Sleep(5))
    out = fail_run(bench, invocation_id, 1_100, command=command)
    assert only(d.AbortAttempt, out.effects)
    assert not only(d.AppendEntry, out.writes)


def test_a_failure_told_by_a_stale_attempt_is_not_counted() -> None:
    bench = Bench()
    invocation_id = running(bench)
    out = bench.do(ev.RunTryFailed(invocation_id, 9, 1, BOOM, 900, 1_100, False))
    assert (out.writes, out.effects) == ([], [])


def test_a_counted_failure_is_progress() -> None:
    bench = Bench()
    invocation_id = running(bench)
    bench.fail(invocation_id)
    bench.do(ev.TimerFired(Timer(0, invocation_id, 1, TimerKind.RETRY)))
    fail_run(bench, invocation_id, 1_100)
    assert bench.hot(invocation_id).record.retry_count == 0
