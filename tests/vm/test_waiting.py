"""Awaiting: results are taken one at a time in the order of the journal, and that order alone decides."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as protocol
from restate_protocol import journal as j
from restate_protocol.awaiting import Combinator
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk.vm.awaiting import Group, Tree
from restate_sdk.vm.errors import Closed

from .journals import OK, Attempt

FAILED = j.Failure(2, "no")


def first(*children: Tree) -> Group:
    return Group(Combinator.FIRST_COMPLETED, children)


def every(*children: Tree) -> Group:
    return Group(Combinator.ALL_COMPLETED, children)


def first_ok(*children: Tree) -> Group:
    return Group(Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED, children)


def all_ok(*children: Tree) -> Group:
    return Group(Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED, children)


def sleeping(count: int) -> Attempt:
    """An attempt with timers 1 to count."""
    attempt = Attempt()
    for _ in range(count):
        attempt.machine.sys_sleep(1)
    return attempt


@pytest.mark.parametrize(
    ("tree", "order", "taken"),
    [
        (first(1, 2), [2, 1], {2}),
        (first(1, 2), [2, 1, 3], {2}),
        (every(first(1, 2), first(3, 2)), [3, 2], {3, 2}),
        (every(first(1, 2), first(3, 2)), [2, 1], {2}),
        (every(1, 2), [3, 2, 1], {3, 2, 1}),
        (first_ok(first(1, 2), first(3, 2)), [2, 1], {2}),
        (all_ok(1, 2, 3), [3, 1, 2], {1, 2, 3}),
    ],
)
def test_no_more_results_are_taken_than_settle_the_tree(tree: Tree, order: list[int], taken: set[int]) -> None:
    attempt = sleeping(3)
    for command in order:
        attempt.complete(command)
    assert attempt.machine.poll(tree)
    assert set(attempt.machine.seen) == taken


def test_the_next_wait_takes_the_rest() -> None:
    attempt = sleeping(3)
    for command in (2, 1, 3):
        attempt.complete(command)
    assert attempt.machine.poll(first(1, 2))
    assert attempt.machine.poll(every(1, 3))
    assert list(attempt.machine.seen) == [2, 1, 3]


def test_the_winner_is_the_first_in_the_journal_also_when_all_were_seen_before() -> None:
    attempt = sleeping(3)
    for command in (3, 1, 2):
        attempt.complete(command)
    assert attempt.machine.poll(every(1, 2, 3))
    race = first(1, 2, 3)
    assert attempt.machine.poll(race)
    assert attempt.machine.winner(race) == 2


def test_nested_groups_win_when_they_settle() -> None:
    attempt = sleeping(3)
    race = first(every(1, 2), 3)
    for command in (1, 3, 2):
        attempt.complete(command)
    assert attempt.machine.poll(race)
    assert attempt.machine.winner(race) == 1


def test_a_shared_leaf_settles_both_races() -> None:
    attempt = sleeping(3)
    attempt.complete(1)
    left, right = first(1, 2), first(1, 3)
    assert attempt.machine.poll(every(left, right))
    assert (attempt.machine.winner(left), attempt.machine.winner(right)) == (0, 0)


def test_a_failure_settles_all_succeeded_at_once_and_is_the_first_in_the_journal() -> None:
    attempt = sleeping(4)
    group = all_ok(1, 2, 3, 4)
    attempt.complete(4)
    attempt.complete(3, FAILED)
    attempt.complete(2, FAILED)
    assert attempt.machine.poll(group)
    assert attempt.machine.first_failed(group) == 2
    assert 2 not in attempt.machine.seen


def test_first_succeeded_passes_over_failures() -> None:
    attempt = sleeping(3)
    group = first_ok(1, 2, 3)
    attempt.complete(1, FAILED)
    assert not attempt.machine.poll(group)
    attempt.complete(2, FAILED)
    attempt.complete(3, FAILED)
    assert attempt.machine.poll(group)


def test_a_wide_fan_out_is_settled_by_its_last_leaf() -> None:
    attempt = sleeping(50)
    group = all_ok(*range(1, 51))
    for command in range(50, 1, -1):
        attempt.complete(command)
        assert not attempt.machine.poll(group)
    attempt.complete(1)
    assert attempt.machine.poll(group)


def test_an_awakeable_is_settled_by_its_signal_and_keeps_the_first() -> None:
    attempt = Attempt()
    handle = attempt.machine.sys_awakeable("")
    attempt.signal("elsewhere")
    attempt.signal(1, j.Value(b"first"))
    attempt.signal(1, j.Value(b"second"))
    assert attempt.machine.poll(handle)
    attempt.machine.sys_sleep(1)
    attempt.complete(2)
    assert attempt.machine.poll(2)
    assert attempt.machine.result(handle) == j.Value(b"first")


def test_a_signal_that_came_before_its_awakeable_is_kept() -> None:
    attempt = Attempt(j.Signal(1, OK))
    assert attempt.machine.poll(attempt.machine.sys_awakeable(""))


@pytest.mark.parametrize(
    ("tree", "done", "left"),
    [
        (every(1, 2), {2: OK}, protocol.Group(Combinator.ALL_COMPLETED, (protocol.OnCommand(1),))),
        (
            all_ok(every(1, 2), every(3, 4)),
            {2: FAILED},
            protocol.Group(
                Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED,
                (
                    protocol.Group(Combinator.ALL_COMPLETED, (protocol.OnCommand(1),)),
                    protocol.Group(Combinator.ALL_COMPLETED, (protocol.OnCommand(3), protocol.OnCommand(4))),
                ),
            ),
        ),
        (
            all_ok(first(1, 2), first(3, 4)),
            {2: OK},
            protocol.Group(
                Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED,
                (protocol.Group(Combinator.FIRST_COMPLETED, (protocol.OnCommand(3), protocol.OnCommand(4))),),
            ),
        ),
    ],
)
def test_a_suspension_waits_for_what_is_still_open(tree: Tree, done: dict[int, j.Result], left: protocol.Group) -> None:
    attempt = sleeping(4)
    for command, result in done.items():
        attempt.complete(command, result)
    assert not attempt.machine.poll(tree)
    attempt.machine.suspend(tree)
    (suspended,) = attempt.frames(pb.Suspended)
    assert protocol.from_pb(suspended.awaiting) == _ordered(left)
    with pytest.raises(Closed, match="suspended"):
        attempt.machine.poll(tree)


def _ordered(group: protocol.Group) -> protocol.Group:
    """As the stub has it: leaves before groups."""
    return protocol.from_pb(protocol.to_pb(group))


def test_a_lone_handle_suspends_as_a_group_of_one() -> None:
    attempt = Attempt()
    handle = attempt.machine.sys_awakeable("")
    assert not attempt.machine.poll(handle)
    attempt.machine.suspend(handle)
    (suspended,) = attempt.frames(pb.Suspended)
    assert protocol.leaves(protocol.from_pb(suspended.awaiting)) == [protocol.OnAwakeable(1)]


class TestRuns:
    def test_the_result_counts_when_it_is_acknowledged_and_not_before(self) -> None:
        attempt = Attempt()
        handle = attempt.machine.sys_run("a")
        assert not attempt.machine.has_result(handle)
        attempt.machine.propose(handle, OK)
        assert not attempt.machine.poll(handle)
        attempt.ack(handle)
        assert attempt.machine.poll(handle)
        assert attempt.machine.result(handle) == OK

    def test_the_acknowledgement_takes_its_place_among_the_notifications(self) -> None:
        attempt = Attempt()
        run, sleep = attempt.machine.sys_run("a"), attempt.machine.sys_sleep(1)
        attempt.machine.propose(run, OK)
        attempt.complete(sleep)
        attempt.ack(run)
        race = first(run, sleep)
        assert attempt.machine.poll(race)
        assert attempt.machine.winner(race) == 1

    def test_a_recorded_result_anywhere_in_the_journal_keeps_the_function_from_executing(self) -> None:
        attempt = Attempt(j.Run("a"), j.Sleep(1), j.Completion(2, OK), j.Completion(1, OK))
        assert attempt.machine.has_result(attempt.machine.sys_run("a"))

    def test_a_run_without_a_recorded_result_executes_although_commands_follow(self) -> None:
        attempt = Attempt(j.Run("a"), j.Run("b"), j.Completion(2, OK))
        assert not attempt.machine.has_result(attempt.machine.sys_run("a"))
        assert attempt.machine.has_result(attempt.machine.sys_run("b"))

    def test_an_acknowledgement_of_nothing_breaks_the_protocol(self) -> None:
        attempt = Attempt()
        attempt.machine.sys_run("a")
        with pytest.raises(FrameError, match="no proposal"):
            attempt.ack(1)

    def test_a_late_acknowledgement_after_the_end_is_dropped(self) -> None:
        attempt = Attempt()
        attempt.machine.sys_run("a")
        attempt.machine.close("over")
        attempt.ack(1)
