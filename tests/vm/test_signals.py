"""Named signals in the replay machine: the i-th that the handler asks for is the i-th that came."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as protocol
from restate_protocol import journal as j
from restate_protocol.awaiting import Combinator, OnSignal
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk.vm.awaiting import Deadline, Group, Tree, to_protocol
from restate_sdk.vm.errors import JournalMismatch

from .journals import OK, Attempt


def value(text: str) -> j.Value:
    return j.Value(text.encode(), j.JSON)


@pytest.mark.parametrize("recorded", [True, False])
def test_signals_of_one_name_are_a_queue(recorded: bool) -> None:
    entries = [j.Signal("go", value(text)) for text in "abc"]
    attempt = Attempt(*entries) if recorded else Attempt()
    first, second = attempt.machine.sys_signal("go"), attempt.machine.sys_signal("go")
    if not recorded:
        for entry in entries:
            attempt.signal(entry.target, entry.result)
    assert attempt.machine.poll(second)
    assert attempt.machine.poll(attempt.machine.sys_signal("go"))
    assert attempt.machine.result(first) == value("a")
    assert attempt.machine.result(second) == value("b")
    assert attempt.machine.result(OnSignal("go", 3)) == value("c")


def test_names_do_not_mix_with_each_other_nor_with_awakeables() -> None:
    attempt = Attempt(j.Signal("b", value("b")), j.Signal("a", value("a")), j.Signal(1, OK))
    a, b, awakeable = (
        attempt.machine.sys_signal("a"),
        attempt.machine.sys_signal("b"),
        attempt.machine.sys_awakeable(""),
    )
    race = Group(Combinator.FIRST_COMPLETED, (a, b, awakeable))
    assert attempt.machine.poll(race)
    assert attempt.machine.winner(race) == 1
    assert attempt.machine.poll(a)
    assert attempt.machine.result(a) == value("a")


def test_asking_for_a_signal_is_no_command() -> None:
    attempt = Attempt()
    attempt.machine.sys_signal("go")
    assert attempt.commands == []
    assert attempt.machine.sys_sleep(1) == 1


def test_a_wait_for_a_signal_that_replay_does_not_know_is_a_mismatch() -> None:
    attempt = Attempt(j.Sleep(1))
    with pytest.raises(JournalMismatch, match="signal 'go' number 1"):
        attempt.machine.poll(attempt.machine.sys_signal("go"))


@pytest.mark.parametrize(
    ("asked", "leaf"),
    [(1, OnSignal("go", 1)), (3, OnSignal("go", 3))],
)
def test_a_suspension_names_the_signal_and_its_number(asked: int, leaf: OnSignal) -> None:
    attempt = Attempt()
    for _ in range(asked):
        handle = attempt.machine.sys_signal("go")
    attempt.machine.suspend(handle)
    (suspended,) = attempt.frames(pb.Suspended)
    assert protocol.leaves(protocol.from_pb(suspended.awaiting)) == [leaf]


def test_a_suspension_on_a_mixed_set_names_all_of_it() -> None:
    attempt = Attempt()
    handles: list[Tree] = [
        attempt.machine.sys_awakeable(""),
        attempt.machine.sys_signal("go"),
        attempt.machine.sys_sleep(1),
    ]
    attempt.machine.suspend(Group(Combinator.FIRST_COMPLETED, tuple(handles)))
    (suspended,) = attempt.frames(pb.Suspended)
    assert set(protocol.leaves(protocol.from_pb(suspended.awaiting))) == {
        protocol.OnAwakeable(1),
        OnSignal("go"),
        protocol.OnCommand(2),
    }


def test_sending_a_signal_and_a_cancellation_are_commands_that_are_settled_at_once() -> None:
    attempt = Attempt()
    signal = attempt.machine.sys_send_signal(bytes(16), "go", OK)
    cancel = attempt.machine.sys_cancel(bytes(16))
    assert attempt.machine.poll(signal)
    assert attempt.machine.poll(cancel)
    assert attempt.commands == [j.SendSignal(bytes(16), "go", OK), j.Cancel(bytes(16))]


def test_a_signal_longer_than_a_value_may_be_is_refused() -> None:
    attempt = Attempt(max_value_bytes=3)
    with pytest.raises(TerminalError, match="signal 'go' has 4 bytes"):
        attempt.machine.sys_send_signal(bytes(16), "go", j.Value(b"1234"))


@pytest.mark.parametrize("combinator", list(Combinator))
def test_a_deadline_counts_as_a_failure_and_always_wakes(combinator: Combinator) -> None:
    attempt = Attempt()
    timer, other = attempt.machine.sys_sleep(1), attempt.machine.sys_sleep(1)
    timeout = Group(Combinator.FIRST_COMPLETED, (9, Deadline(timer)))
    tree = Group(combinator, (timeout, other))
    attempt.complete(timer, j.Void())
    fired = protocol.settled(to_protocol(tree), lambda leaf: j.Void() if leaf == protocol.OnCommand(timer) else None)
    assert fired
    settled = attempt.machine.poll(tree)
    assert settled is (combinator in (Combinator.FIRST_COMPLETED, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED))
