"""Awaits under change: a command says how many results its handler had awaited, and a replay compares."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate_protocol import journal as j
from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_entries import taken_bytes
from restate_protocol.hot_frames import Command, Ended
from restate_runtime.core.restart import prefix
from restate_sdk.vm.awaiting import Group
from restate_sdk.vm.errors import JournalMismatch
from restate_sdk.vm.machine import Machine
from restate_sdk.vm.mismatch import Awaits, MismatchReport

from .journals import INVOCATION_ID, OK, Attempt

INPUT = j.encode(j.Input(b"in"))
CANCELLED = j.Cancelled(1, "stop")

Code = Callable[[Machine], object]


def command(entry: j.Command, taken: int) -> bytes:
    return j.encode(entry) + taken_bytes(taken)


def journal(*entries: j.Notification | bytes) -> list[bytes]:
    return [INPUT, *(one if isinstance(one, bytes) else j.encode(one) for one in entries)]


def attempt(data: list[bytes]) -> Attempt:
    start = pb.Start(invocation_id=INVOCATION_ID, epoch=1, entries=data, journal_length=len(data))
    return Attempt(start=start, where=lambda: "at app.py:7, in pay")


def report(data: list[bytes], code: Code) -> MismatchReport:
    one = attempt(data)
    with pytest.raises(JournalMismatch) as caught:
        code(one.machine)
    (failed,) = one.out
    assert isinstance(failed, pb.Failed)
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    return caught.value.report


def first(*children: int) -> Group:
    return Group(Combinator.FIRST_COMPLETED, children)


SLEPT = journal(command(j.Sleep(5), 0), j.Completion(1, j.Void()), command(j.Run("b"), 1))
STEPPED = journal(command(j.Run("a", OK, 3), 0), command(j.Run("b", OK, 3), 1), command(j.Output(OK), 2))
PENDING = journal(command(j.Sleep(5), 0), j.Completion(1, j.Void()), command(j.Run("b"), 0))
SIGNALLED = journal(j.Signal("go", OK), command(j.Run("b"), 1))
TOLD = journal(command(j.Awakeable(1), 0), j.Signal(1, OK), command(j.Run("b"), 1))
STOPPED = journal(command(j.Sleep(5), 0), CANCELLED, command(j.Run("b"), 1))


def forgets_the_sleep(machine: Machine) -> None:
    machine.sys_sleep(5)
    machine.sys_run("b")


def awaits_the_sleep(machine: Machine) -> None:
    machine.poll(machine.sys_sleep(5))
    machine.sys_run("b")


def forgets_the_last_step(machine: Machine) -> None:
    machine.poll(machine.sys_run("a"))
    machine.sys_run("b")
    machine.sys_output(OK)


def fails_without_the_last_step(machine: Machine) -> None:
    machine.poll(machine.sys_run("a"))
    machine.sys_run("b")
    machine.sys_output(j.Failure(5, "none"))


def forgets_the_signal(machine: Machine) -> None:
    machine.sys_signal("go")
    machine.sys_run("b")


def forgets_the_awakeable(machine: Machine) -> None:
    machine.sys_awakeable("")
    machine.sys_run("b")


CHANGES: list[tuple[str, list[bytes], Code, Awaits, int, str]] = [
    ("a sleep", SLEPT, forgets_the_sleep, Awaits.REMOVED, 2, "command 1, sleep"),
    ("a step before the end", STEPPED, forgets_the_last_step, Awaits.REMOVED, 3, "command 2, run 'b'"),
    ("a signal", SIGNALLED, forgets_the_signal, Awaits.REMOVED, 1, "signal 'go'"),
    ("an awakeable", TOLD, forgets_the_awakeable, Awaits.REMOVED, 2, "awakeable 1"),
    ("a cancelled await", STOPPED, forgets_the_sleep, Awaits.REMOVED, 2, "a cancellation"),
    ("an await that came", PENDING, awaits_the_sleep, Awaits.ADDED, 2, "command 1, sleep"),
]


@pytest.mark.parametrize(("data", "code", "awaits", "number", "what"), [one[1:] for one in CHANGES], ids=lambda _: "")
def test_an_await_that_came_or_went_is_a_report_that_names_it(
    data: list[bytes], code: Code, awaits: Awaits, number: int, what: str
) -> None:
    found = report(data, code)
    assert found.awaits is awaits
    assert found.command == number
    assert [row.field for row in found.rows] == ["results awaited before", what]
    assert what in str(found).splitlines()[0]
    cut = prefix(data, found.entries)
    assert isinstance(cut, tuple), "the advice holds"


def test_the_report_shows_both_sides_the_place_and_what_to_do() -> None:
    lines = str(report(SLEPT, forgets_the_sleep)).splitlines()
    assert lines[:5] == [
        "journal mismatch at command 2: an await was removed: before run 'b' there was one of command 1, sleep; now"
        " there is none",
        "  at app.py:7, in pay",
        "                            recorded  attempted",
        "  * results awaited before  1         0",
        "  * command 1, sleep        awaited   not awaited",
    ]
    assert "with --entries 3 what came before this command is kept" in lines[-1]


def test_a_restart_from_the_reported_place_goes_on_with_the_changed_code() -> None:
    cut = prefix(SLEPT, report(SLEPT, forgets_the_sleep).entries)
    assert isinstance(cut, tuple)
    again = attempt(list(cut))
    forgets_the_sleep(again.machine)
    assert again.commands == [j.Run("b")]


def test_another_end_says_what_differs_even_where_awaits_do_too() -> None:
    assert report(STEPPED, fails_without_the_last_step).awaits is Awaits.AS_RECORDED


def test_journals_without_the_numbers_are_not_compared() -> None:
    data = journal(j.encode(j.Sleep(5)), j.Completion(1, j.Void()), j.encode(j.Run("b")), j.encode(j.Output(OK)))
    one = attempt(data)
    forgets_the_sleep(one.machine)
    one.machine.sys_output(OK)
    assert [type(frame) for frame in one.out] == [Ended]


def test_an_earlier_result_comes_with_a_later_one_whoever_awaits() -> None:
    data = journal(
        command(j.Sleep(5), 0),
        command(j.Sleep(6), 0),
        j.Completion(1, j.Void()),
        j.Completion(2, j.Void()),
        command(j.Run("b"), 2),
    )
    one = attempt(data)
    one.machine.sys_sleep(5)
    assert one.machine.poll(one.machine.sys_sleep(6))
    one.machine.sys_run("b")
    assert one.out == []


def test_a_cancellation_that_interrupts_a_step_counts_once() -> None:
    one = Attempt()
    run = one.machine.sys_run("slow")
    one.cancel("stop")
    assert one.machine.interrupts(run)
    with pytest.raises(TerminalError):
        one.machine.poll(run)
    one.machine.sys_run("cleanup")
    assert [j.taken(frame.entry) for frame in one.frames(Command)] == [0, 1]


def test_a_group_takes_no_more_than_settles_it() -> None:
    one = Attempt()
    group = first(one.machine.sys_sleep(5), one.machine.sys_sleep(6))
    one.complete(2)
    one.complete(1)
    assert one.machine.poll(group)
    one.machine.sys_run("b")
    assert [j.taken(frame.entry) for frame in one.frames(Command)] == [0, 0, 1]


@given(st.integers(0, 2**32 - 1), st.text(max_size=5))
def test_the_number_is_that_of_the_stub_and_changes_nothing_else(taken: int, name: str) -> None:
    data = j.encode(j.Run(name)) + taken_bytes(taken)
    entry = journal_pb.Entry.from_binary(j.encode(j.Run(name)))
    entry.taken = taken
    assert entry.to_binary() == data
    assert j.taken(data) == taken
    assert j.decode(data) == j.Run(name)
    assert j.taken(j.encode(j.Run(name))) is None
