"""Journals under change: each way in which code departs from a journal is one report, and never a hang."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode
from restate_sdk.vm.errors import Closed, JournalMismatch
from restate_sdk.vm.machine import Machine
from restate_sdk.vm.mismatch import MismatchReport, Row

from .journals import INVOCATION_ID, OK, Attempt

CART = ("shop.v1.Cart", "Add", "7")
INV = ids.invocation_id_text(INVOCATION_ID)
DONE = j.Completion(1, OK)
BOOM = j.RunFailed(1, 1, j.Failure(2, "boom"), 5, 6)

Code = Callable[[Machine], object]


def report(*entries: j.Entry, code: Code, place: str = "") -> MismatchReport:
    attempt = Attempt(*entries, where=lambda: place)
    with pytest.raises(JournalMismatch) as caught:
        code(attempt.machine)
    (failed,) = attempt.out
    assert isinstance(failed, pb.Failed)
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure is not None
    assert failed.failure.code == StatusCode.INTERNAL
    assert failed.failure.message == str(caught.value) == str(caught.value.report)
    with pytest.raises(Closed):
        attempt.machine.sys_run("later")
    return caught.value.report


def awaits_first(machine: Machine) -> None:
    handle = machine.sys_sleep(5)
    machine.poll(handle)


def awaits_signal(machine: Machine) -> None:
    machine.sys_run("a")
    machine.poll(machine.sys_signal("go"))


def ends(machine: Machine) -> None:
    machine.sys_output(j.Value(b"out"))


def fails(machine: Machine) -> None:
    machine.sys_output(j.Failure(5, "none left"))


def adds_a_step(machine: Machine) -> None:
    machine.sys_run("a")
    machine.sys_run("new")


CHANGES: list[tuple[str, list[j.Entry], Code, int, str, str]] = [
    ("another command", [j.Run("a")], lambda m: m.sys_sleep(5), 1, "run 'a'", "sleep"),
    ("another name", [j.Run("a")], lambda m: m.sys_run("b"), 1, "run 'a'", "run 'b'"),
    ("another field", [j.GetState(1)], lambda m: m.sys_get_state(2), 1, "get_state of field 1", "get_state of field 2"),
    ("a step was removed", [j.Run("a"), j.Run("b")], lambda m: m.sys_run("b"), 1, "run 'a'", "run 'b'"),
    ("a step was added", [j.Run("a"), j.Output(OK)], adds_a_step, 2, "output (the end", "run 'new'"),
    ("it ends early", [j.Run("a")], ends, 1, "run 'a'", "output (the end of the handler, succeeded)"),
    ("it fails early", [j.Run("a")], fails, 1, "run 'a'", "output (the end of the handler, failed: 'none left')"),
    ("an await was added", [j.Sleep(5), j.Run("b")], awaits_first, 2, "run 'b'", "a wait for command 1"),
    ("a wait for a signal", [j.Run("a"), j.Run("b")], awaits_signal, 2, "run 'b'", "a wait for signal 'go' number 1"),
    ("an await of a failed run", [j.Run("a"), BOOM, j.Run("b")], awaits_signal, 2, "run 'b'", "a wait for signal"),
]


@pytest.mark.parametrize(("entries", "code", "command", "then", "now"), [one[1:] for one in CHANGES], ids=lambda _: "")
def test_every_change_is_one_report_that_names_both(
    entries: list[j.Entry], code: Code, command: int, then: str, now: str
) -> None:
    found = report(*entries, code=code)
    assert found.command == command
    assert found.recorded.startswith(then)
    assert found.attempted.startswith(now)
    assert f"journal mismatch at command {command}: the journal has {then}" in str(found)


def test_the_report_shows_both_side_by_side_says_where_and_what_can_be_done() -> None:
    entries = Attempt()
    entries.machine.sys_run("a")
    entries.machine.sys_call(CART, b"x", headers=(("x-a", b"1"),))

    def code(machine: Machine) -> None:
        machine.sys_run("a")
        machine.sys_call(("shop.v1.Cart", "Remove", "7"), b"y", headers=(("x-a", b"1"),))

    run, call = entries.commands
    callee = ids.invocation_id_text(call.invocation_id)  # type: ignore[union-attr]
    found = report(run, DONE, call, code=code, place="at app.py:41, in add\ncalled at app.py:12, in pay")
    assert str(found).splitlines() == [
        "journal mismatch at command 2: the journal has call shop.v1.Cart/Add, the handler now does call"
        " shop.v1.Cart/Remove",
        "  at app.py:41, in add",
        "  called at app.py:12, in pay",
        f"                   recorded{' ' * 24}attempted",
        f"    service        shop.v1.Cart{' ' * 20}shop.v1.Cart",
        f"  * handler        Add{' ' * 29}Remove",
        f"    key            7{' ' * 31}7",
        f"  * payload        b'x'{' ' * 28}b'y'",
        f"    invocation_id  {callee}  {callee}",
        f"    headers        x-a: 1{' ' * 26}x-a: 1",
        "Nothing of this attempt from here on took effect. A handler must repeat the steps of its earlier attempts:"
        " keep clocks, random numbers and I/O inside ctx.run. What you can do:",
        "  - serve the code that made the journal, or mended code that repeats it: restate-cli invocations resume"
        f" {INV}",
        f"  - the same on another deployment: restate-cli invocations resume {INV} --deployment dep_...",
        f"  - begin again: restate-cli invocations kill {INV}, then restate-cli invocations restart {INV};",
        "    with --entries 3 what came before this command is kept",
    ]


def test_two_commands_of_two_types_show_what_each_says() -> None:
    def code(machine: Machine) -> None:
        machine.sys_call(CART, b"xyz")

    found = report(j.Run("a"), code=code)
    assert [(row.field, row.recorded, row.attempted) for row in found.rows[:5]] == [
        ("command", "run", "call"),
        ("name", "a", None),
        ("service", None, "shop.v1.Cart"),
        ("handler", None, "Add"),
        ("key", None, "7"),
    ]
    assert found.differences == (Row("command", "run", "call"),)


def test_only_the_parts_of_a_message_that_differ_are_shown() -> None:
    def code(machine: Machine) -> None:
        machine.sys_set_state(1, b"new")

    attempt = Attempt(j.SetState(1, b"old"), compare=lambda *_: [("total", "1", "2"), ("items[0]", "a", "b")])
    with pytest.raises(JournalMismatch) as caught:
        code(attempt.machine)
    assert [row.field for row in caught.value.report.rows] == ["number", "value.total", "value.items[0]"]


def test_a_long_report_is_cut() -> None:
    attempt = Attempt(j.SetState(1, b"old"), compare=lambda *_: [(str(n), "1", "2") for n in range(50)])
    with pytest.raises(JournalMismatch, match="and 31 more"):
        attempt.machine.sys_set_state(1, b"new")


@pytest.mark.parametrize(
    ("entries", "before"),
    [
        ([j.Run("b")], 1),
        ([j.Run("a"), DONE, j.Run("b")], 3),
        ([j.Run("a", OK), j.Run("b"), DONE], 2),
        ([j.Run("a"), BOOM, DONE, j.Run("b"), DONE], 4),
    ],
)
def test_the_entries_before_the_command_are_counted(entries: list[j.Entry], before: int) -> None:
    def code(machine: Machine) -> None:
        for entry in entries:
            if isinstance(entry, j.Run) and entry.name == "a":
                machine.sys_run("a")
        machine.sys_run("x")

    assert report(*entries, code=code).entries == before


def test_an_await_that_was_removed_changes_nothing_that_is_recorded() -> None:
    """The commands are the same, and results still come in the journal's order: there is nothing to refuse."""
    attempt = Attempt(j.Sleep(5), j.Completion(1, j.Void()), j.Run("a"), j.Completion(2, OK))
    attempt.machine.sys_sleep(5)
    handle = attempt.machine.sys_run("a")
    assert attempt.machine.poll(handle)
    assert attempt.out == []


def test_a_recorded_result_that_the_code_cannot_read_is_a_mismatch() -> None:
    def code(machine: Machine) -> None:
        machine.result_mismatch(machine.sys_run("a"), "a", "application/json", "shop.v1.Address")

    found = report(j.Run("a"), DONE, code=code)
    assert found.differences == (Row("result", "application/json", "shop.v1.Address"),)
