"""Wait cycles: who waits for whom is followed over calls and keys, and a call that could never end is ended."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status

from tests.core.harness import Bench, only

FIRST, ALL = aw.Combinator.FIRST_COMPLETED, aw.Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED


def suspend(bench: Bench, invocation_id: bytes, tree: aw.Awaiting) -> d.Decision:
    return bench.do(ev.AttemptSuspended(invocation_id, bench.hot(invocation_id).record.epoch, tree))


def failures(bench: Bench, invocation_id: bytes) -> list[j.Failure]:
    """What its commands failed with."""
    found = [entry for entry in bench.journal(invocation_id) if isinstance(entry, j.Completion)]
    return [entry.result for entry in found if isinstance(entry.result, j.Failure)]


def test_a_handler_that_calls_itself_on_its_own_key_hears_that_this_cannot_end() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    callee, _ = bench.call(caller, "t.Object", "Do", "k")
    out = suspend(bench, caller, aw.OnCommand(1))
    (failure,) = failures(bench, caller)
    assert failure.code == StatusCode.ABORTED
    caller_text, callee_text = ids.invocation_id_text(caller), ids.invocation_id_text(callee)
    assert failure.message == (
        f"a wait cycle, in which each waits for the next: {caller_text} (t.Object/Do of 'k') -> "
        f"{callee_text} (t.Object/Do of 'k', which waits for its key) -> {caller_text} (t.Object/Do of 'k')"
    )
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [caller]
    assert bench.hot(callee).record.status is Status.COMPLETED
    bench.end(caller)
    assert bench.world.queues == {}


def _ring(bench: Bench, size: int) -> tuple[list[bytes], bytes]:
    """Objects k0, k1, …, each called by the one before; the last calls the first."""
    found = [bench.submit("t.Object", "Do", "k0")[0]]
    for number in range(1, size):
        found.append(bench.call(found[-1], "t.Object", "Do", f"k{number}")[0])
    return found, bench.call(found[-1], "t.Object", "Do", "k0")[0]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("last", [0, 1, -1])
def test_a_ring_of_objects_is_found_whoever_suspends_last(size: int, last: int) -> None:
    bench = Bench()
    ring, closing = _ring(bench, size)
    order = [one for one in ring if one != ring[last]] + [ring[last]]
    for number, one in enumerate(order):
        assert bench.hot(closing).record.status is Status.QUEUED, number
        suspend(bench, one, aw.OnCommand(1))
    assert bench.hot(closing).record.status is Status.COMPLETED
    (failure,) = failures(bench, ring[-1])
    assert failure.code == StatusCode.ABORTED
    assert all(ids.invocation_id_text(one) in failure.message for one in [*ring, closing])
    assert bench.hot(ring[-1]).record.status is Status.ACTIVE
    for one in ring[:-1]:
        assert failures(bench, one) == []
        assert bench.hot(one).record.status is Status.SUSPENDED


def test_a_ring_that_is_not_in_memory_is_loaded() -> None:
    bench = Bench()
    ring, closing = _ring(bench, 3)
    cold = {}
    for one in ring[:-1]:
        suspend(bench, one, aw.OnCommand(1))
        cold[one] = bench.world.invocations.pop(one)
    cold[closing] = bench.world.invocations.pop(closing)
    bench.stored.update(cold)
    suspend(bench, ring[-1], aw.OnCommand(1))
    assert [failure.code for failure in failures(bench, ring[-1])] == [StatusCode.ABORTED]


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (aw.Group(FIRST, (aw.OnCommand(1), aw.OnCommand(2))), False),
        (aw.Group(ALL, (aw.OnCommand(1), aw.OnCommand(2))), True),
        (aw.Group(FIRST, (aw.OnCommand(1), aw.OnSignal("go"))), False),
        (aw.Group(FIRST, (aw.OnCommand(1), aw.OnAwakeable(1))), False),
        (aw.Group(FIRST, (aw.Group(ALL, (aw.OnCommand(1), aw.OnCommand(2))), aw.OnCommand(1))), True),
    ],
)
def test_only_what_cannot_go_on_in_any_other_way_is_a_cycle(tree: aw.Awaiting, found: bool) -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    bench.call(caller, "t.Object", "Do", "k")
    bench.say(caller, j.Sleep(bench.now_ms + 1_000))
    suspend(bench, caller, tree)
    assert bool(failures(bench, caller)) is found


def test_waiting_for_a_key_whose_holder_runs_pauses_or_sleeps_is_no_cycle() -> None:
    for state in ("running", "paused", "asleep"):
        bench = Bench()
        holder, _ = bench.submit("t.Object", "Do", "k")
        caller, _ = bench.submit("t.Object", "Do", "other")
        bench.call(caller, "t.Object", "Do", "k")
        bench.submit("t.Object", "Do", "other")
        if state == "paused":
            bench.do(ev.Pause(holder, 9))
        elif state == "asleep":
            bench.say(holder, j.Sleep(bench.now_ms + 1))
            suspend(bench, holder, aw.OnCommand(1))
        suspend(bench, caller, aw.OnCommand(1))
        assert failures(bench, caller) == []


def test_several_calls_of_oneself_all_end() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    for _ in range(3):
        bench.call(caller, "t.Object", "Do", "k")
    suspend(bench, caller, aw.Group(aw.Combinator.ALL_COMPLETED, tuple(aw.OnCommand(n) for n in (1, 2, 3))))
    assert [failure.code for failure in failures(bench, caller)] == [StatusCode.ABORTED] * 3
    assert bench.hot(caller).record.status is Status.ACTIVE


def test_one_that_somebody_else_asked_for_goes_on_and_only_the_waiting_command_ends() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    theirs, _ = bench.submit("t.Object", "Do", "k", idempotency_key="once")
    bench.say(caller, j.Attach(theirs))
    suspend(bench, caller, aw.OnCommand(1))
    assert [failure.code for failure in failures(bench, caller)] == [StatusCode.ABORTED]
    out = bench.end(caller)
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [theirs]


def test_two_that_are_attached_to_each_other_are_a_cycle_too() -> None:
    bench = Bench()
    first, _ = bench.submit()
    second, _ = bench.submit()
    bench.say(first, j.Attach(second))
    bench.say(second, j.Attach(first))
    suspend(bench, first, aw.OnCommand(1))
    assert failures(bench, first) == []
    suspend(bench, second, aw.OnCommand(1))
    assert [failure.code for failure in failures(bench, second)] == [StatusCode.ABORTED]
    assert bench.hot(first).record.status is Status.SUSPENDED


def test_one_that_waits_for_a_first_success_is_stuck_once_all_else_failed() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    bench.call(caller, "t.Object", "Do", "k")
    hope, _ = bench.call(caller, "t.Plain", "Do")
    tree = aw.Group(aw.Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED, (aw.OnCommand(1), aw.OnCommand(2)))
    suspend(bench, caller, tree)
    assert failures(bench, caller) == []
    bench.end(hope, j.Failure(2, "no"))
    suspend(bench, caller, tree)
    assert [failure.code for failure in failures(bench, caller)] == [2, StatusCode.ABORTED]
    assert bench.hot(caller).record.status is Status.ACTIVE
