"""Failed tries of runs: counted by the journal, known in every attempt, never shown to the handler."""

from __future__ import annotations

import pytest
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk.vm.errors import Closed
from restate_sdk.vm.tries import RunTries

from .journals import INVOCATION_ID, OK, Attempt

BOOM = j.Failure(2, "boom")
ONCE = j.RunFailed(1, 1, BOOM, 100, 150)
TWICE = j.RunFailed(1, 2, BOOM, 100, 250)
COUNTED_ONCE = RunTries(1, 100, 150)
COUNTED_TWICE = RunTries(2, 100, 250)
DUE = RunTries(2, 100, 250, due=True)


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ([], None),
        ([ONCE], COUNTED_ONCE),
        ([ONCE, TWICE], COUNTED_TWICE),
        ([ONCE, TWICE, j.RunDue(1, 2)], DUE),
        ([ONCE, TWICE, j.RunDue(1, 1)], COUNTED_TWICE),  # the end of an earlier wait
        ([ONCE, j.RunDue(1, 1), TWICE], COUNTED_TWICE),
        ([j.RunDue(1, 1)], None),
        ([j.RunFailed(2, 7, BOOM, 1, 2)], None),  # another run
    ],
)
def test_the_count_is_the_journals_now_and_on_replay(told: list[j.Notification], known: RunTries | None) -> None:
    live, replayed = Attempt(j.Run("step")), Attempt(j.Run("step"), *told)
    for one in told:
        live.notify(one)
    for attempt in (live, replayed):
        handle = attempt.machine.sys_run("step")
        assert attempt.machine.tries(handle) == known
        assert not attempt.machine.has_result(handle)
        assert not attempt.machine.poll(handle)


def test_a_result_after_failures_counts() -> None:
    machine = Attempt(j.Run("step"), ONCE, j.Completion(1, OK)).machine
    assert machine.has_result(machine.sys_run("step"))
    assert machine.poll(1)


def test_a_failed_try_is_told_with_its_times() -> None:
    attempt = Attempt()
    handle = attempt.machine.sys_run("step")
    attempt.machine.try_failed(handle, BOOM, (100, 150), durable=True)
    assert attempt.frames(pb.RunFailure) == [
        pb.RunFailure(
            invocation_id=INVOCATION_ID,
            epoch=1,
            command=1,
            failure=j.failure_to_pb(BOOM),
            first_try_at_ms=100,
            retry_at_ms=150,
            durable_timer=True,
        )
    ]


def test_a_result_after_a_failed_try_travels_by_itself() -> None:
    attempt = Attempt()
    handle = attempt.machine.sys_run("step")
    attempt.machine.try_failed(handle, BOOM, (100, 150), durable=False)
    attempt.machine.propose(handle, OK)
    assert attempt.commands == [j.Run("step")]
    assert len(attempt.frames(pb.RunProposal)) == 1


def test_nothing_is_told_once_the_attempt_is_over() -> None:
    attempt = Attempt()
    handle = attempt.machine.sys_run("step")
    attempt.machine.close("over")
    with pytest.raises(Closed):
        attempt.machine.try_failed(handle, BOOM, (100, 150), durable=False)
