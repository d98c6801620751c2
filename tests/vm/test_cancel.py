"""Cancellation in the replay machine: taken in the journal's order, at the wait that meets it, told to open calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from restate_protocol import journal as j
from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode
from restate_sdk.vm.awaiting import Group, Handle
from restate_sdk.vm.errors import JournalMismatch

from .journals import OK, Attempt, completions

CANCELLED = j.Cancelled(StatusCode.CANCELLED, "enough")
CALL = ("s.S", "H", None)


def call(attempt: Attempt) -> int:
    return attempt.machine.sys_call(CALL, b"")


def call_entry(attempt: Attempt, number: int) -> j.Call:
    """The command as an attempt emitted it."""
    entry = attempt.commands[number - 1]
    assert isinstance(entry, j.Call)
    return entry


def recorded_calls(count: int) -> list[j.Call]:
    attempt = Attempt()
    return [call_entry(attempt, call(attempt)) for _ in range(count)]


@pytest.mark.parametrize("operation", ["sleep", "call", "awakeable", "signal", "promise", "attach", "late run"])
def test_any_wait_ends_with_the_cancellation(operation: str) -> None:
    attempt = Attempt()
    machine = attempt.machine
    operations: dict[str, Callable[[], Handle]] = {
        "sleep": lambda: machine.sys_sleep(1),
        "call": lambda: call(attempt),
        "awakeable": lambda: machine.sys_awakeable(""),
        "signal": lambda: machine.sys_signal("go"),
        "promise": lambda: machine.sys_get_promise(1),
        "attach": lambda: machine.sys_attach(bytes(16)),
        "late run": lambda: machine.sys_run("a"),
    }
    handle = operations[operation]()
    assert not machine.poll(handle)
    attempt.cancel("enough")
    with pytest.raises(TerminalError, match="enough") as raised:
        machine.poll(handle)
    assert raised.value.code is StatusCode.CANCELLED


def test_the_code_of_the_cancellation_is_the_code_of_the_error() -> None:
    attempt = Attempt(j.Sleep(1), j.Cancelled(StatusCode.DEADLINE_EXCEEDED, "too long"))
    with pytest.raises(TerminalError) as raised:
        attempt.machine.poll(attempt.machine.sys_sleep(1))
    assert raised.value.code is StatusCode.DEADLINE_EXCEEDED


def test_a_result_before_the_cancellation_is_the_wait_s_and_the_next_wait_is_cancelled() -> None:
    attempt = Attempt(j.Sleep(1), j.Sleep(1), j.Completion(1, OK), CANCELLED, j.Completion(2, OK))
    first, second = attempt.machine.sys_sleep(1), attempt.machine.sys_sleep(1)
    assert attempt.machine.poll(first)
    with pytest.raises(TerminalError):
        attempt.machine.poll(second)
    assert attempt.machine.poll(second)


def test_a_wait_for_what_was_seen_leaves_the_cancellation_to_the_next() -> None:
    attempt = Attempt(j.Sleep(1), j.Completion(1, OK), CANCELLED)
    sleep = attempt.machine.sys_sleep(1)
    assert attempt.machine.poll(sleep)
    assert attempt.machine.poll(sleep)
    with pytest.raises(TerminalError):
        attempt.machine.poll(attempt.machine.sys_awakeable(""))


def test_waits_after_the_cancellation_are_as_ever_and_a_second_one_is_delivered_too() -> None:
    attempt = Attempt()
    one = attempt.machine.sys_sleep(1)
    for _ in range(2):
        attempt.cancel("again")
        with pytest.raises(TerminalError, match="again"):
            attempt.machine.poll(one)
    two = attempt.machine.sys_sleep(1)
    attempt.complete(two)
    assert attempt.machine.poll(two)


def test_two_requests_at_once_end_two_waits() -> None:
    attempt = Attempt(j.Sleep(1), CANCELLED, CANCELLED)
    sleep = attempt.machine.sys_sleep(1)
    for _ in range(2):
        with pytest.raises(TerminalError):
            attempt.machine.poll(sleep)
    assert not attempt.machine.poll(sleep)


@pytest.mark.parametrize("combinator", list(Combinator))
def test_a_cancellation_ends_a_group_that_is_open_and_the_group_can_be_awaited_again(combinator: Combinator) -> None:
    attempt = Attempt()
    group = Group(combinator, tuple(attempt.machine.sys_sleep(1) for _ in range(3)))
    assert not attempt.machine.poll(group)
    attempt.cancel("enough")
    with pytest.raises(TerminalError):
        attempt.machine.poll(group)
    for handle in (3, 1, 2):
        attempt.complete(handle)
    assert attempt.machine.poll(group)


class TestCalls:
    def test_every_call_without_a_result_is_cancelled_in_order_and_nothing_else(self) -> None:
        attempt = Attempt()
        calls = [call(attempt) for _ in range(3)]
        attempt.machine.sys_send(CALL, b"")
        attempt.machine.sys_attach(bytes(16))
        attempt.complete(calls[1])
        sleep = attempt.machine.sys_sleep(1)
        assert not attempt.machine.poll(sleep)
        attempt.cancel("enough")
        with pytest.raises(TerminalError):
            attempt.machine.poll(sleep)
        callees = [call_entry(attempt, number).invocation_id for number in (calls[0], calls[2])]
        assert attempt.commands[-2:] == [j.Cancel(callee) for callee in callees]
        assert attempt.machine.sys_sleep(1) == sleep + 3

    def test_a_result_behind_the_cancellation_counts_as_none(self) -> None:
        """It was not seen: an attempt that was told earlier could not know it."""
        (entry,) = recorded_calls(1)
        attempt = Attempt(entry, CANCELLED, *completions(1))
        with pytest.raises(TerminalError):
            attempt.machine.poll(call(attempt))
        assert attempt.commands == [j.Cancel(entry.invocation_id)]
        assert attempt.machine.poll(1)

    def test_a_second_cancellation_tells_them_again(self) -> None:
        attempt = Attempt()
        handle = call(attempt)
        for _ in range(2):
            attempt.cancel("enough")
            with pytest.raises(TerminalError):
                attempt.machine.poll(handle)
        assert attempt.commands[1:] == [j.Cancel(call_entry(attempt, 1).invocation_id)] * 2

    def test_the_commands_are_compared_on_replay(self) -> None:
        entry, other = recorded_calls(2)
        good = Attempt(entry, CANCELLED, j.Cancel(entry.invocation_id), j.Sleep(1))
        with pytest.raises(TerminalError):
            good.machine.poll(call(good))
        good.machine.sys_sleep(1)
        assert good.commands == []

        bad = Attempt(entry, CANCELLED, j.Cancel(other.invocation_id))
        with pytest.raises(JournalMismatch, match="invocation_id"):
            bad.machine.poll(call(bad))


class TestRuns:
    def test_an_awaited_run_that_still_executes_fails_with_the_cancellation(self) -> None:
        attempt = Attempt()
        awaited, other = attempt.machine.sys_run("a"), attempt.machine.sys_run("b")
        attempt.cancel("enough")
        with pytest.raises(TerminalError):
            attempt.machine.poll(awaited)
        assert attempt.machine.poll(awaited)
        assert attempt.machine.result(awaited) == j.Failure(StatusCode.CANCELLED, "enough")
        assert not attempt.machine.poll(other)

    def test_a_run_whose_result_is_under_way_keeps_it(self) -> None:
        attempt = Attempt()
        run = attempt.machine.sys_run("a")
        attempt.machine.propose(run, OK, None)
        attempt.cancel("enough")
        attempt.ack(run)
        with pytest.raises(TerminalError):
            attempt.machine.poll(run)
        assert attempt.machine.poll(run)
        assert attempt.machine.result(run) == OK

    def test_replay_sees_the_same_for_both(self) -> None:
        attempt = Attempt(j.Run("lost"), j.Run("kept"), CANCELLED, j.Completion(2, OK))
        lost, kept = attempt.machine.sys_run("lost"), attempt.machine.sys_run("kept")
        group = Group(Combinator.ALL_COMPLETED, (lost, kept))
        with pytest.raises(TerminalError):
            attempt.machine.poll(group)
        assert attempt.machine.poll(group)
        assert attempt.machine.result(lost) == j.Failure(StatusCode.CANCELLED, "enough")
        assert attempt.machine.result(kept) == OK

    def test_the_journal_is_told_that_the_run_ended_and_replay_shows_it_in_the_same_place(self) -> None:
        live = Attempt()
        run, sleep = live.machine.sys_run("a"), live.machine.sys_sleep(1)
        live.cancel("enough")
        with pytest.raises(TerminalError):
            live.machine.poll(run)
        live.complete(sleep)
        live.ack(run)
        (proposal,) = live.frames(pb.RunProposal)
        ended = j.Completion(run, j.result_from_pb(proposal.result))
        replayed = Attempt(j.Run("a"), j.Sleep(1), CANCELLED, j.Completion(sleep, OK), ended)
        replayed.machine.sys_run("a")
        replayed.machine.sys_sleep(1)
        with pytest.raises(TerminalError):
            replayed.machine.poll(run)
        for attempt in (live, replayed):
            race = Group(Combinator.FIRST_COMPLETED, (sleep, run))
            assert attempt.machine.poll(race)
            assert attempt.machine.winner(race) == 1
            assert attempt.machine.poll(sleep)
        assert replayed.out == []

    def test_what_executes_is_interrupted_by_a_cancellation_in_its_turn_only(self) -> None:
        attempt = Attempt()
        sleep, run = attempt.machine.sys_sleep(1), attempt.machine.sys_run("a")
        attempt.complete(sleep)
        assert not attempt.machine.interrupts(run)
        attempt.cancel("enough")
        assert attempt.machine.cancellation_waits
        assert attempt.machine.interrupts(run)
        with pytest.raises(TerminalError):
            attempt.machine.poll(run)
        assert not attempt.machine.cancellation_waits
