"""Replaying commands: equal ones pass without a word, others are mismatches that name what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from restate_protocol import journal as j
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Ended
from restate_protocol.status import StatusCode
from restate_sdk.vm.errors import Closed, JournalMismatch
from restate_sdk.vm.machine import Machine

from .journals import INVOCATION_ID, OK, Attempt, start_frame

Operation = Callable[[Machine], object]
CALL = ("shop.v1.Cart", "Add", "7")

OPERATIONS: dict[str, Operation] = {
    "run": lambda m: m.sys_run("step"),
    "sleep": lambda m: m.sys_sleep(1000, "nap"),
    "call": lambda m: m.sys_call(CALL, b"x"),
    "call with everything": lambda m: m.sys_call(CALL, b"x", idempotency_key="k", headers=(("x-a", b"1"),)),
    "send": lambda m: m.sys_send(CALL, b"x"),
    "delayed send": lambda m: m.sys_send(CALL, b"x", execute_at_ms=5),
    "workflow call": lambda m: m.sys_call(("o.v1.Order", "Run", "1"), b"x", workflow_run=True),
    "awakeable": lambda m: m.sys_awakeable("a.B"),
    "resolve": lambda m: m.sys_complete_awakeable("awk_1", OK),
    "reject": lambda m: m.sys_complete_awakeable("awk_1", j.Failure(2, "no")),
    "get": lambda m: m.sys_get_state(1),
    "set": lambda m: m.sys_set_state(1, b"v"),
    "clear": lambda m: m.sys_clear_state(1),
    "clear all": lambda m: m.sys_clear_all_state(),
    "keys": lambda m: m.sys_state_keys(),
    "get promise": lambda m: m.sys_get_promise(1),
    "peek promise": lambda m: m.sys_peek_promise(1),
    "complete promise": lambda m: m.sys_complete_promise(1, OK),
    "attach": lambda m: m.sys_attach(INVOCATION_ID),
    "output": lambda m: m.sys_output(j.Value(b"out")),
    "failed output": lambda m: m.sys_output(j.Failure(5, "none")),
}


def recorded(operation: Operation) -> list[j.Entry]:
    """What an operation journals."""
    attempt = Attempt()
    operation(attempt.machine)
    return attempt.commands


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_operation_replays_without_emitting_it_again(name: str) -> None:
    attempt = Attempt(*recorded(OPERATIONS[name]))
    OPERATIONS[name](attempt.machine)
    assert attempt.commands == []
    assert not attempt.machine.replaying


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_other_operation_is_a_mismatch(name: str) -> None:
    entries = recorded(OPERATIONS[name])
    for other, operation in OPERATIONS.items():
        attempt = Attempt(*entries)
        if recorded(operation) == entries:
            continue
        with pytest.raises(JournalMismatch) as caught:
            operation(attempt.machine)
        assert caught.value.report.command == 1, other


MISMATCHES: list[tuple[j.Command, Operation, str, str, str]] = [
    (j.Run("a"), lambda m: m.sys_run("b"), "name", "a", "b"),
    (j.Sleep(5, "a"), lambda m: m.sys_sleep(5, "b"), "name", "a", "b"),
    (j.GetState(1), lambda m: m.sys_get_state(2), "number", "1", "2"),
    (j.SetState(1, b"x"), lambda m: m.sys_set_state(2, b"x"), "number", "1", "2"),
    (j.SetState(1, b"x"), lambda m: m.sys_set_state(1, b"y"), "value", "b'x'", "b'y'"),
    (j.ClearState(1), lambda m: m.sys_clear_state(2), "number", "1", "2"),
    (j.GetPromise(1), lambda m: m.sys_get_promise(2), "number", "1", "2"),
    (j.CompletePromise(1, j.Value(b"x")), lambda m: m.sys_complete_promise(1, j.Value(b"y")), "result", "b'x'", "b'y'"),
    (
        j.CompleteAwakeable("awk_1", OK),
        lambda m: m.sys_complete_awakeable("awk_2", OK),
        "awakeable_id",
        "awk_1",
        "awk_2",
    ),
    (j.Awakeable(1, "a.B"), lambda m: m.sys_awakeable("a.C"), "type", "a.B", "a.C"),
    (j.Output(j.Value(b"x")), lambda m: m.sys_output(j.Value(b"y")), "result", "b'x'", "b'y'"),
    (j.Output(j.Value(b"x")), lambda m: m.sys_output(j.Failure(2, "no")), "result", "1 bytes", "failure 2: 'no'"),
    (j.Run("a"), lambda m: m.sys_sleep(1), "command", "run", "sleep"),
    (j.Attach(b"1" * 16), lambda m: m.sys_attach(b"2" * 16), "invocation_id", "inv_", "inv_"),
]


@pytest.mark.parametrize(("entry", "operation", "field", "then", "now"), MISMATCHES)
def test_a_mismatch_names_both_commands_and_the_field_that_differs(
    entry: j.Command, operation: Operation, field: str, then: str, now: str
) -> None:
    attempt = Attempt(entry)
    with pytest.raises(JournalMismatch) as caught:
        operation(attempt.machine)
    row = caught.value.report.differences[0]
    assert row.field == field
    assert then in (row.recorded or "")
    assert now in (row.attempted or "")
    assert f"* {field} " in str(caught.value)


def test_a_call_is_compared_by_target_payload_headers_and_idempotency_key() -> None:
    entries = recorded(lambda m: m.sys_call(CALL, b"x", idempotency_key="k", headers=(("x-a", b"1"),)))
    changes: dict[str, Operation] = {
        "service": lambda m: m.sys_call(("other", "Add", "7"), b"x", idempotency_key="k", headers=(("x-a", b"1"),)),
        "handler": lambda m: m.sys_call(("shop.v1.Cart", "Del", "7"), b"x", idempotency_key="k"),
        "key": lambda m: m.sys_call(("shop.v1.Cart", "Add", "8"), b"x", idempotency_key="k"),
        "payload": lambda m: m.sys_call(CALL, b"y", idempotency_key="k", headers=(("x-a", b"1"),)),
        "headers": lambda m: m.sys_call(CALL, b"x", idempotency_key="k", headers=(("x-a", b"2"),)),
    }
    for field, operation in changes.items():
        with pytest.raises(JournalMismatch) as caught:
            operation(Attempt(*entries).machine)
        assert field in [row.field for row in caught.value.report.differences]


def test_times_are_not_compared() -> None:
    entries = [*recorded(OPERATIONS["sleep"]), *recorded(OPERATIONS["delayed send"])]
    sent = next(entry for entry in entries if isinstance(entry, j.Send))
    entries[1] = j.Send(sent.service, sent.handler, sent.key, sent.payload, _child(2), execute_at_ms=5)
    attempt = Attempt(*entries)
    attempt.machine.sys_sleep(9999, "nap")
    attempt.machine.sys_send(CALL, b"x", execute_at_ms=7777)
    assert attempt.out == []


def _child(command: int) -> bytes:
    attempt = Attempt(*[j.Run("r")] * (command - 1))
    for _ in range(command - 1):
        attempt.machine.sys_run("r")
    return attempt.machine.sys_send(CALL, b"x")[1]


def test_a_delay_that_came_or_went_is_a_mismatch() -> None:
    with pytest.raises(JournalMismatch):
        Attempt(*recorded(OPERATIONS["delayed send"])).machine.sys_send(CALL, b"x")


def test_payloads_of_other_bytes_are_left_to_the_comparator() -> None:
    asked: list[tuple[Any, bytes, bytes]] = []

    def same(cls: type[Any] | None, then: bytes, now: bytes) -> list[tuple[str, str, str]]:
        asked.append((cls, then, now))
        return []

    entries = recorded(OPERATIONS["call"])
    machine = Attempt(*entries, compare=same).machine
    machine.sys_call(CALL, b"other bytes", message=int)
    assert asked == [(int, b"x", b"other bytes")]


def test_equal_bytes_never_reach_the_comparator() -> None:
    def refuse(*_: object) -> list[tuple[str, str, str]]:
        raise AssertionError("asked about equal bytes")

    Attempt(*recorded(OPERATIONS["call"]), compare=refuse).machine.sys_call(CALL, b"x")


def test_a_mismatch_pauses_the_invocation_and_closes_the_machine() -> None:
    attempt = Attempt(j.Run("a"), j.Run("b"))
    with pytest.raises(JournalMismatch):
        attempt.machine.sys_run("x")
    (failed,) = attempt.frames(pb.Failed)
    assert failed.behavior == pb.Failed.Behavior.PAUSE
    assert failed.failure.code == StatusCode.INTERNAL
    assert (failed.command, failed.command_type, failed.command_name) == (1, "run", "a")
    with pytest.raises(Closed):
        attempt.machine.sys_run("b")
    with pytest.raises(Closed):
        attempt.machine.poll(1)
    assert len(attempt.out) == 1


def test_a_handler_that_ends_while_commands_remain_is_a_mismatch() -> None:
    attempt = Attempt(j.Run("a"), j.Completion(1, OK), j.Run("b"))
    attempt.machine.sys_run("a")
    with pytest.raises(JournalMismatch) as caught:
        attempt.machine.sys_output(OK)
    assert caught.value.report.recorded == "run 'b'"
    assert "end of the handler" in caught.value.report.attempted


def test_an_await_that_was_added_is_a_mismatch_and_no_hang() -> None:
    attempt = Attempt(j.Sleep(5), j.Run("a"))
    handle = attempt.machine.sys_sleep(5)
    with pytest.raises(JournalMismatch) as caught:
        attempt.machine.poll(handle)
    assert "wait for command 1" in caught.value.report.attempted
    assert caught.value.report.recorded == "run 'a'"


def test_a_journal_with_its_output_ends_without_executing() -> None:
    attempt = Attempt(j.Run("a"), j.Completion(1, OK), j.Output(j.Value(b"out")))
    handle = attempt.machine.sys_run("a")
    assert attempt.machine.has_result(handle)
    assert attempt.machine.poll(handle)
    attempt.machine.sys_output(j.Value(b"out"))
    assert [type(frame) for frame in attempt.out] == [Ended]


def test_commands_after_the_recorded_ones_are_emitted_in_order_and_output_ends() -> None:
    attempt = Attempt(j.Run("a"), j.Completion(1, OK))
    attempt.machine.sys_run("a")
    attempt.machine.sys_run("b")
    attempt.machine.sys_sleep(7)
    attempt.machine.sys_output(OK)
    assert attempt.commands == [j.Run("b"), j.Sleep(7), j.Output(OK)]
    assert isinstance(attempt.out[-1], Ended)
    with pytest.raises(Closed):
        attempt.machine.sys_run("late")


def loaded(attempt: Attempt) -> bool:
    return attempt.machine.loaded


def test_the_handler_starts_only_when_the_announced_journal_is_complete() -> None:
    frame = start_frame(j.Run("a"))
    frame.journal_length = 3
    attempt = Attempt(start=frame)
    assert loaded(attempt) is False
    part = pb.JournalPart(invocation_id=INVOCATION_ID, epoch=1, entries=[j.encode(j.Completion(1, OK))])
    attempt.machine.journal_part(part)
    assert loaded(attempt) is True
    assert attempt.machine.payload == b"in"
    with pytest.raises(FrameError, match="more journal entries"):
        attempt.machine.journal_part(part)


def test_a_notification_before_the_journal_is_complete_breaks_the_protocol() -> None:
    frame = start_frame()
    frame.journal_length = 2
    attempt = Attempt(start=frame)
    with pytest.raises(FrameError, match="before the end"):
        attempt.complete(1)


@pytest.mark.parametrize("entries", [[], [j.encode(j.Run("a"))], [b"\xff\xff"]])
def test_a_journal_that_is_none_breaks_the_protocol(entries: list[bytes]) -> None:
    with pytest.raises(FrameError):
        Machine(pb.Start(entries=entries, journal_length=len(entries)), [])


def test_closing_is_silent() -> None:
    attempt = Attempt()
    attempt.machine.close("aborted")
    attempt.machine.fail(j.Failure(2, "late"))
    assert attempt.out == []
    with pytest.raises(Closed, match="aborted"):
        attempt.machine.sys_run("a")
