"""Commands that may close a wait cycle: the attempts of who would be in it are asked to suspend, and nobody else's."""

from __future__ import annotations

import pytest
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode
from restate_runtime.core import closing
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status

from tests.core.harness import Bench, only


def asked(out: d.Decision) -> set[bytes]:
    """Whose attempts are asked to suspend."""
    return {one.invocation_id for one in only(d.SuspendAttempt, out.effects)}


def suspend(bench: Bench, one: bytes, tree: aw.Awaiting) -> d.Decision:
    return bench.do(ev.AttemptSuspended(one, bench.hot(one).record.epoch, tree))


def aborted(bench: Bench, one: bytes) -> list[int]:
    found = [entry.result for entry in bench.journal(one) if isinstance(entry, j.Completion)]
    return [result.code for result in found if isinstance(result, j.Failure)]


def ring(bench: Bench, size: int) -> tuple[list[bytes], d.Decision]:
    """Objects k0, k1, …, each called by the one before; the last calls the first."""
    found = [bench.submit("t.Object", "Do", "k0")[0]]
    for number in range(1, size):
        callee, out = bench.call(found[-1], "t.Object", "Do", f"k{number}")
        assert asked(out) == set()
        found.append(callee)
    return found, bench.call(found[-1], "t.Object", "Do", "k0")[1]


def test_a_call_of_the_own_key_asks_the_caller() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    _, out = bench.call(caller, "t.Object", "Do", "k")
    assert only(d.SuspendAttempt, out.effects) == [d.SuspendAttempt(caller, 1)]
    suspend(bench, caller, aw.OnCommand(1))
    assert aborted(bench, caller) == [StatusCode.ABORTED]


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_call_that_closes_a_ring_asks_all_of_it_and_the_last_to_suspend_shows_it(size: int) -> None:
    bench = Bench()
    members, out = ring(bench, size)
    assert asked(out) == set(members)
    for one in members:
        suspend(bench, one, aw.OnCommand(1))
    assert aborted(bench, members[-1]) == [StatusCode.ABORTED]


def test_plain_services_between_are_asked_too() -> None:
    bench = Bench()
    holder, _ = bench.submit("t.Object", "Do", "k")
    between, _ = bench.call(holder, "t.Plain", "Do")
    _, out = bench.call(between, "t.Object", "Do", "k")
    assert asked(out) == {holder, between}


def test_an_attachment_closes_a_ring_too() -> None:
    bench = Bench()
    first, _ = bench.submit()
    second, _ = bench.submit()
    assert asked(bench.say(first, j.Attach(second))) == set()
    assert asked(bench.say(second, j.Attach(first))) == {first, second}
    assert asked(bench.say(first, j.Attach(first))) == {first}


def test_only_running_attempts_are_asked_and_cold_ones_are_loaded() -> None:
    bench = Bench()
    members = [bench.submit("t.Object", "Do", "k0")[0]]
    for number in (1, 2, 3):
        members.append(bench.call(members[-1], "t.Object", "Do", f"k{number}")[0])
    for one in members[:2]:
        suspend(bench, one, aw.OnCommand(1))
        bench.stored[one] = bench.world.invocations.pop(one)
    _, out = bench.call(members[-1], "t.Object", "Do", "k0")
    assert asked(out) == set(members[2:])


def test_others_that_wait_for_a_ring_or_are_waited_for_by_it_are_left_alone() -> None:
    bench = Bench()
    holder, _ = bench.submit("t.Object", "Do", "k")
    bench.submit("t.Object", "Do", "k")
    child, _ = bench.call(holder, "t.Plain", "Do")
    outside, _ = bench.submit("t.Object", "Do", "o")
    bench.submit("t.Object", "Do", "o")
    _, out = bench.call(outside, "t.Object", "Do", "k")
    assert asked(out) == set(), "it waits for the holder, who does not wait for it"
    between, _ = bench.call(holder, "t.Plain", "Do")
    _, out = bench.call(between, "t.Object", "Do", "k")
    assert asked(out) == {holder, between}
    assert bench.hot(child).record.status is Status.ACTIVE


def test_paused_ones_go_on_only_when_somebody_resumes_them() -> None:
    bench = Bench()
    holder, _ = bench.submit("t.Object", "Do", "k")
    between, _ = bench.call(holder, "t.Plain", "Do")
    bench.do(ev.Pause(holder, 9))
    _, out = bench.call(between, "t.Object", "Do", "k")
    assert asked(out) == set()


def test_a_send_makes_no_ring() -> None:
    bench = Bench()
    caller, _ = bench.submit("t.Object", "Do", "k")
    entry = j.Send("t.Object", "Do", "k", b"p", ids.child_invocation_id(caller, 1))
    assert asked(bench.say(caller, entry)) == set()


def test_calls_that_cannot_close_a_ring_look_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    holder, _ = bench.submit("t.Object", "Do", "k")
    plain, _ = bench.submit()

    def nobody(*_: object) -> None:
        raise AssertionError("nothing is to be followed")

    monkeypatch.setattr(closing, "_follow", nobody)
    bench.call(holder, "t.Plain", "Do")
    bench.call(holder, "t.Object", "Do", "free")
    bench.call(plain, "t.Object", "Do", "k")  # the key is held, but nobody waits for the caller


def test_no_more_than_so_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "MOST_SEEN", 3)
    members, out = ring(Bench(), 6)
    assert asked(out) == set()
    assert len(members) == 6
