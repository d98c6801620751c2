"""Journals under change: each way in which code departs from a journal is one report, and never a hang."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode
from restate_runtime.core.restart import prefix
from restate_sdk.vm.errors import Closed, JournalMismatch
from restate_sdk.vm.machine import Machine
from restate_sdk.vm.mismatch import MismatchReport, Row, Unfinished

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
    what = "an await was added: the handler now has" if now.startswith("a wait") else f"the journal has {then}"
    assert str(found).startswith(f"journal mismatch at command {command}: {what}")


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


CALL_FIELDS: dict[str, Any] = {"payload": b"x", "idempotency_key": "k", "headers": (("x-a", b"1"),)}
FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"payload": b"y"}, "payload: b'y' instead of b'x'"),
    ({"payload": b"y" * 99}, "payload"),
    ({"key": "8"}, "key: 8 instead of 7"),
    ({"idempotency_key": "l"}, "idempotency_key: l instead of k"),
    ({"idempotency_key": ""}, "idempotency_key: nothing instead of k"),
    ({"headers": (("x-a", b"2"),)}, "headers: x-a: 2 instead of x-a: 1"),
    ({"payload": b"y", "key": "8"}, "key, payload"),
    (
        {"payload": b"y", "key": "8", "idempotency_key": "l", "headers": ()},
        "key, payload, idempotency_key and 1 more",
    ),
]


def calls(machine: Machine, *, key: str = "7", **fields: Any) -> None:
    machine.sys_call(("shop.v1.Cart", "Add", key), **(CALL_FIELDS | fields))


@pytest.mark.parametrize(("changed", "named"), FIELDS, ids=lambda _: "")
def test_the_first_line_about_the_same_command_names_the_fields_that_differ(
    changed: dict[str, Any], named: str
) -> None:
    first = Attempt()
    calls(first.machine)
    found = report(*first.commands, code=lambda machine: calls(machine, **changed))
    assert str(found).splitlines()[0] == (
        "journal mismatch at command 1: the journal has call shop.v1.Cart/Add, the handler now does the same but for "
        + named
    )


def test_the_first_line_about_another_result_names_it() -> None:
    found = report(j.Output(j.Value(b"x")), code=ends)
    assert (
        str(found)
        .splitlines()[0]
        .endswith("succeeded), the handler now does the same but for result: b'out' instead of b'x'")
    )


def test_a_delay_that_went_is_named_in_the_first_line() -> None:
    attempt = Attempt()
    attempt.machine.sys_send(CART, b"x", execute_at_ms=5)
    found = report(*attempt.commands, code=lambda machine: machine.sys_send(CART, b"x"))
    assert str(found).splitlines()[0].endswith("the handler now does the same but for delay: without instead of with")


OPENED: list[tuple[j.Entry, Code]] = [
    (j.Call("s", "h", None, b"", bytes(16)), lambda m: m.sys_call(("s", "h", None), b"")),
    (j.Attach(INVOCATION_ID), lambda m: m.sys_attach(INVOCATION_ID)),
    (j.Awakeable(1), lambda m: m.sys_awakeable("")),
    (j.GetPromise(1), lambda m: m.sys_get_promise(1)),
    (j.PeekPromise(1), lambda m: m.sys_peek_promise(1)),
    (j.CompletePromise(1, OK), lambda m: m.sys_complete_promise(1, OK)),
    (j.Sleep(5), lambda m: m.sys_sleep(5)),
    (j.Run("open"), lambda m: m.sys_run("open")),
    (j.Send("s", "h", None, b"", bytes(16)), lambda m: m.sys_send(("s", "h", None), b"")),
]


@pytest.mark.parametrize("settled", ["never", "before", "after", "while it executes"])
@pytest.mark.parametrize(("entry", "operation"), OPENED, ids=lambda one: type(one).__name__)
def test_what_it_says_to_take_over_is_the_most_that_a_restart_accepts(
    entry: j.Entry, operation: Code, settled: str
) -> None:
    result = j.Signal(1, OK) if isinstance(entry, j.Awakeable) else j.Completion(3, OK)
    entries: list[j.Entry] = [j.Run("a"), BOOM, DONE, j.Run("b", OK), entry]
    entries += [result, j.Run("c")] if settled == "before" else [j.Run("c")]
    entries += [j.Run("d"), result] if settled == "after" else [j.Run("d")]
    attempt = Attempt(*entries)
    attempt.machine.sys_run("a")
    attempt.machine.sys_run("b")
    operation(attempt.machine)
    attempt.machine.sys_run("c")
    if settled == "while it executes":
        attempt.notify(result)
        entries.append(result)
    with pytest.raises(JournalMismatch) as caught:
        attempt.machine.sys_run("other")
    told = re.search(r"--entries (\d+)", str(caught.value))
    assert told is not None
    journal = [j.encode(one) for one in (j.Input(b"in"), *entries)]
    before = caught.value.report.entries
    accepted = [count for count in range(1, before + 1) if isinstance(prefix(journal, count), tuple)]
    assert int(told[1]) == max(accepted)


def test_an_entry_that_cannot_be_taken_over_is_named() -> None:
    def code(machine: Machine) -> None:
        machine.sys_run("a")
        machine.sys_awakeable("")
        machine.sys_run("x")

    found = report(j.Run("a"), DONE, j.Awakeable(1), j.Run("b"), code=code)
    assert found.unfinished == Unfinished(3, "awakeable 1")
    assert str(found).splitlines()[-1] == (
        "    with --entries 3 what came before it is kept: entry 3, awakeable 1, has no result and cannot be taken over"
    )


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
