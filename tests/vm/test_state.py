"""State in the machine: what a handler wrote it reads, and what it read is journaled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from restate_protocol import journal as j
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode
from restate_sdk.vm.machine import Machine

from .journals import Attempt, start_frame


def attempt(*entries: j.Entry, state: dict[int, bytes], partial: bool = False) -> Attempt:
    pairs = [pb.StateEntry(number=number, value=value) for number, value in state.items()]
    return Attempt(start=start_frame(*entries, state=pairs, partial_state=partial))


def get(one: Attempt, number: int = 1) -> j.Result | None:
    """What a read gives at once; None where it must be fetched."""
    handle = one.machine.sys_get_state(number)
    return one.machine.result(handle) if one.machine.poll(handle) else None


@pytest.mark.parametrize(
    ("state", "partial", "expected"),
    [
        ({1: b"x"}, False, j.Value(b"x")),
        ({}, False, j.Void()),
        ({1: b"x"}, True, j.Value(b"x")),
        ({}, True, None),
    ],
)
def test_a_read_is_answered_at_once_unless_the_map_may_lack_it(
    state: dict[int, bytes], partial: bool, expected: j.Result | None
) -> None:
    one = attempt(state=state, partial=partial)
    assert get(one) == expected
    assert one.commands == [j.GetState(1, expected)]


def test_a_fetched_read_gives_its_completion() -> None:
    one = attempt(state={}, partial=True)
    assert get(one) is None
    one.complete(1, j.Value(b"far"))
    assert one.machine.poll(1)
    assert one.machine.result(1) == j.Value(b"far")


@pytest.mark.parametrize("partial", [False, True])
def test_writes_are_read_back(partial: bool) -> None:
    one = attempt(state={1: b"Francesco"}, partial=partial)
    one.machine.sys_set_state(1, b"Till")
    assert get(one) == j.Value(b"Till")
    one.machine.sys_clear_state(1)
    assert get(one) == j.Void()


def test_after_clearing_all_nothing_needs_to_be_fetched() -> None:
    one = attempt(state={1: b"x"}, partial=True)
    one.machine.sys_clear_all_state()
    assert get(one, 1) == j.Void()
    assert get(one, 2) == j.Void()


def test_two_reads_of_an_empty_entry_are_both_recorded() -> None:
    one = attempt(j.GetState(1, j.Void()), state={})
    assert get(one) == j.Void()
    assert get(one) == j.Void()
    assert one.commands == [j.GetState(1, j.Void())]


def test_a_replayed_read_gives_what_was_seen_then_and_later_reads_what_is_there_now() -> None:
    one = attempt(j.GetState(1, j.Value(b"old")), j.SetState(1, b"new"), state={1: b"new"})
    assert get(one) == j.Value(b"old")
    one.machine.sys_set_state(1, b"new")
    assert get(one) == j.Value(b"new")


def test_a_replayed_clear_does_not_undo_a_later_write() -> None:
    one = attempt(j.ClearAllState(), j.SetState(1, b"x"), state={1: b"x"})
    one.machine.sys_clear_all_state()
    one.machine.sys_set_state(1, b"x")
    assert get(one) == j.Value(b"x")


def test_a_replayed_fetch_waits_for_its_completion() -> None:
    one = attempt(j.GetState(1), state={}, partial=True)
    assert get(one) is None
    one.complete(1, j.Void())
    assert one.machine.poll(1)


FETCHED: list[j.Entry] = [j.GetState(1), j.Completion(1, j.Value(b"then"))]


@pytest.mark.parametrize(
    ("entries", "replay", "expected"),
    [
        ([j.SetState(1, b"x")], lambda m: m.sys_set_state(1, b"x"), j.Value(b"x")),
        ([j.ClearState(1)], lambda m: m.sys_clear_state(1), j.Void()),
        ([j.ClearAllState()], lambda m: m.sys_clear_all_state(), j.Void()),
        ([j.SetState(2, b"x")], lambda m: m.sys_set_state(2, b"x"), None),
    ],
)
def test_replayed_writes_are_known_where_only_a_part_of_the_state_came(
    entries: list[j.Entry], replay: Callable[[Machine], object], expected: j.Result | None
) -> None:
    one = attempt(*entries, state={}, partial=True)
    replay(one.machine)
    assert get(one) == expected
    assert one.commands == [j.GetState(1, expected)]


def test_each_read_is_fetched_anew_for_others_may_have_written() -> None:
    one = attempt(*FETCHED, state={}, partial=True)
    assert get(one) == j.Value(b"then")
    assert get(one) is None
    one.complete(2, j.Value(b"now"))
    assert one.machine.poll(2)
    assert one.machine.result(2) == j.Value(b"now")


def test_a_write_is_read_back_while_an_earlier_read_is_still_on_its_way() -> None:
    one = attempt(state={}, partial=True)
    before = one.machine.sys_get_state(1)
    one.machine.sys_set_state(1, b"new")
    assert get(one) == j.Value(b"new")
    one.complete(before, j.Value(b"old"))
    assert one.machine.poll(before)
    assert one.machine.result(before) == j.Value(b"old")
    assert get(one) == j.Value(b"new")


@pytest.mark.parametrize("partial", [False, True])
def test_fetched_and_known_reads_replay_alike_whatever_came_with_the_attempt(partial: bool) -> None:
    """Whether the state came with an attempt is no part of the journal."""
    one = attempt(*FETCHED, j.GetState(1, j.Value(b"known")), state={1: b"later"}, partial=partial)
    assert get(one) == j.Value(b"then")
    assert get(one) == j.Value(b"known")
    assert one.out == []


def test_fetched_keys_give_their_completion() -> None:
    one = attempt(j.GetStateKeys(), state={}, partial=True)
    assert keys(one) is None
    one.complete(1, j.Value(journal_pb.StateKeys(numbers=[2, 5]).to_binary()))
    assert one.machine.poll(1)


def test_after_clearing_all_the_keys_are_known() -> None:
    one = attempt(state={}, partial=True)
    one.machine.sys_clear_all_state()
    one.machine.sys_set_state(3, b"x")
    assert keys(one) == [3]


def keys(one: Attempt) -> list[int] | None:
    handle = one.machine.sys_state_keys()
    if not one.machine.poll(handle):
        return None
    result = one.machine.result(handle)
    assert isinstance(result, j.Value)
    return list(journal_pb.StateKeys.from_binary(result.data).numbers)


def test_keys_are_ascending_and_know_local_writes() -> None:
    one = attempt(state={9: b"", 2: b"", 5: b""})
    assert keys(one) == [2, 5, 9]
    one.machine.sys_clear_state(5)
    one.machine.sys_set_state(1, b"")
    assert keys(one) == [1, 2, 9]


def test_keys_of_a_partial_map_are_fetched() -> None:
    assert keys(attempt(state={1: b""}, partial=True)) is None


def test_replayed_keys_are_those_seen_then() -> None:
    assert keys(attempt(j.GetStateKeys((1, 2)), state={7: b""})) == [1, 2]


def test_a_value_over_the_limit_is_refused_before_anything_is_emitted() -> None:
    one = Attempt(max_value_bytes=3)
    with pytest.raises(TerminalError, match="4 bytes, and a value may have 3") as caught:
        one.machine.sys_set_state(1, b"1234")
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    one.machine.sys_set_state(1, b"123")
    assert one.commands == [j.SetState(1, b"123")]
    for refused in (
        lambda: one.machine.sys_call(("a", "b", None), b"1234"),
        lambda: one.machine.sys_send(("a", "b", None), b"1234"),
        lambda: one.machine.sys_output(j.Value(b"1234")),
        lambda: one.machine.sys_complete_promise(1, j.Value(b"1234")),
        lambda: one.machine.sys_complete_awakeable("awk", j.Value(b"1234")),
    ):
        with pytest.raises(TerminalError):
            refused()
    assert len(one.out) == 1
