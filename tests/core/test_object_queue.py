"""Keys: one exclusive handler at a time, first in, first out, whatever happens to those in the queue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import Status, Timer, TimerKind
from restate_runtime.core.world import Phase, World

from tests.core.harness import Bench, only


def test_the_second_waits_for_the_first() -> None:
    bench = Bench()
    first, _ = bench.submit("t.Object", "Do", "k")
    second, out = bench.submit("t.Object", "Do", "k")
    assert bench.hot(second).record.status is Status.QUEUED
    assert not only(d.StartAttempt, out.effects)
    out = bench.end(first)
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [second]
    bench.end(second)
    assert bench.world.queues == {}


def test_other_keys_and_shared_handlers_do_not_wait() -> None:
    bench = Bench()
    bench.submit("t.Object", "Do", "k")
    for name, key in (("Do", "other"), ("Look", "k")):
        _, out = bench.submit("t.Object", name, key)
        assert only(d.StartAttempt, out.effects)


def test_the_key_is_held_through_suspension_back_off_and_pause() -> None:
    bench = Bench()
    first, _ = bench.submit("t.Object", "Do", "k")
    second, _ = bench.submit("t.Object", "Do", "k")
    bench.say(first, j.Sleep(bench.now_ms + 1))
    bench.do(ev.AttemptSuspended(first, 1, aw.OnCommand(1)))
    assert bench.hot(second).record.status is Status.QUEUED
    bench.do(ev.TimerFired(Timer(bench.now_ms + 1, first, 1, TimerKind.SLEEP)))
    bench.fail(first)
    assert bench.hot(second).record.status is Status.QUEUED
    bench.do(ev.Resume(first, 5))
    bench.fail(first, behavior=1)
    assert bench.hot(second).record.status is Status.QUEUED


def test_a_killed_one_leaves_the_queue_and_the_holder_keeps_the_key() -> None:
    bench = Bench()
    first, _ = bench.submit("t.Object", "Do", "k")
    second, _ = bench.submit("t.Object", "Do", "k")
    third, _ = bench.submit("t.Object", "Do", "k")
    out = bench.do(ev.Kill(second, 5))
    assert not only(d.StartAttempt, out.effects)
    out = bench.end(first)
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [third]


def test_a_delayed_one_joins_the_queue_when_it_is_due() -> None:
    bench = Bench()
    delayed, _ = bench.submit("t.Object", "Do", "k", delay_ms=10, wait=False)
    now, out = bench.submit("t.Object", "Do", "k")
    assert only(d.StartAttempt, out.effects)
    bench.now_ms += 10
    bench.do(ev.TimerFired(Timer(bench.now_ms, delayed, 0, TimerKind.START)))
    assert bench.hot(delayed).record.status is Status.QUEUED
    out = bench.end(now)
    assert [one.invocation.id for one in only(d.StartAttempt, out.effects)] == [delayed]


STEPS = ["submit", "delay", "end", "fail", "kill", "suspend", "fire", "pause", "resume", "cancel", "due", "restart"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), max_size=40))
def test_at_most_one_holds_a_key_and_order_is_kept(steps: list[tuple[str, int]]) -> None:
    bench = Bench()
    submitted: list[bytes] = []
    for step, which in steps:
        live = [one for one in submitted if bench.hot(one).record.status is not Status.COMPLETED]
        before = _queue(bench)
        if step == "submit" or (step == "delay" and which):
            delay_ms = None if step == "submit" else which
            submitted.append(bench.submit("t.Object", "Do", "k", wait=False, delay_ms=delay_ms)[0])
        elif step == "restart":
            submitted += _restart(bench, submitted, which)
        elif live:
            _step(bench, step, live[which % len(live)])
        holders = [one for one in submitted if _holds(bench, one)]
        assert len(holders) <= 1
        queue = _queue(bench)
        assert queue[:1] == holders
        assert {one for one in submitted if bench.hot(one).record.status is Status.QUEUED} == set(queue[1:])
        assert bench.world.queued == len(queue[1:])
        # Whoever is still in the queue stands as before, and who is new stands behind them.
        stayed = [one for one in before if one in queue]
        assert queue[: len(stayed)] == stayed


def _queue(bench: Bench) -> list[bytes]:
    return list(bench.world.queues.get(("t.Object", "k"), ()))


def _holds(bench: Bench, invocation_id: bytes) -> bool:
    record = bench.hot(invocation_id).record
    if record.status is Status.PAUSED:
        return record.queue_seq is not None
    return record.status in (Status.ACTIVE, Status.SUSPENDED)


def _restart(bench: Bench, submitted: list[bytes], which: int) -> list[bytes]:
    """A completed one begins anew, if there is one."""
    over = [one for one in submitted if bench.hot(one).record.status is Status.COMPLETED]
    if not over:
        return []
    bench.count += 1
    new = b"restarted" + bench.count.to_bytes(7, "big")
    old = bench.hot(over[which % len(over)]).record
    bench.do(ev.Restart(new, old, (j.encode(j.Input(b"in")),), None, 97))
    return [new]


def _step(bench: Bench, step: str, invocation_id: bytes) -> None:
    hot = bench.hot(invocation_id)
    asked: dict[str, ev.Event] = {
        "kill": ev.Kill(invocation_id, 99),
        "pause": ev.Pause(invocation_id, 99),
        "resume": ev.Resume(invocation_id, 99),
        "cancel": ev.Cancel(invocation_id, 99),
    }
    if step in asked:
        bench.do(asked[step])
    elif step == "due" and hot.record.scheduled_for_ms is not None:
        bench.now_ms = max(bench.now_ms, hot.record.scheduled_for_ms)
        bench.do(ev.TimerFired(Timer(hot.record.scheduled_for_ms, invocation_id, 0, TimerKind.START)))
    elif step == "fire" and hot.record.status is Status.SUSPENDED:
        bench.do(ev.TimerFired(Timer(0, invocation_id, hot.commands - 1, TimerKind.SLEEP)))
    elif hot.phase is Phase.ATTEMPT:
        _attempt_says(bench, step, invocation_id)


def _attempt_says(bench: Bench, step: str, invocation_id: bytes) -> None:
    hot = bench.hot(invocation_id)
    if step == "end":
        bench.end(invocation_id)
    elif step == "fail":
        bench.fail(invocation_id)
    elif step == "suspend":
        number = hot.commands
        bench.say(invocation_id, j.Sleep(bench.now_ms))
        bench.do(ev.AttemptSuspended(invocation_id, hot.record.epoch, aw.OnCommand(number)))


def test_a_key_is_a_queue_only_while_somebody_waits_for_it() -> None:
    world = World()
    key = ("bench.v1.Object", "one")
    assert world.enqueue(key, b"a")
    assert not world.enqueue(key, b"b")
    assert not world.enqueue(key, b"c")
    assert world.queued == 2
    assert world.follower(key, b"a") == b"b"
    assert world.dequeue(key, b"b") == b"a"
    assert world.dequeue(key, b"a") == b"c"
    assert world.queues == {key: (b"c",)}
    assert world.follower(key, b"c") is None
    assert world.dequeue(key, b"c") is None
    assert (world.queues, world.queued) == ({}, 0)
