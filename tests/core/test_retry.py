"""When a failed attempt is tried again, in numbers, and which policy counts."""

from __future__ import annotations

import pytest
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts, RetryPolicy
from restate_protocol.gen.restate.protocol.v1 import session_pb
from restate_protocol.services import HandlerMode
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import LATEST_MS, Status, Timer, TimerKind
from restate_runtime.core.retry import exhausted, next_delay_ms

from tests.core.harness import Bench, handler, only


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]),
        (RetryPolicy(10, 1.0, 60_000), [10, 10, 10]),
        (RetryPolicy(100, 1.5, 200), [100, 150, 200, 200]),
        (RetryPolicy(100, 2.0, 50), [50, 50]),
        (RetryPolicy(1, 1e6, 315_360_000_000), [1, 1_000_000, 315_360_000_000]),
    ],
)
def test_waits_grow_by_the_factor_up_to_the_longest(policy: RetryPolicy, delays: list[int]) -> None:
    assert [next_delay_ms(policy, failures) for failures in range(1, len(delays) + 1)] == delays


@pytest.mark.parametrize(("factor", "delay_ms"), [(1.0, 5), (1.0000001, 3_600_000), (10.0, 3_600_000)])
def test_the_wait_after_very_many_failures_is_found_at_once(factor: float, delay_ms: int) -> None:
    assert next_delay_ms(RetryPolicy(5, factor, 3_600_000), 4_000_000_000) == delay_ms


def test_there_is_no_wait_before_the_first_failure() -> None:
    with pytest.raises(ValueError, match="first failure"):
        next_delay_ms(RetryPolicy(), 0)


@pytest.mark.parametrize(("most", "failures", "over"), [(1, 1, True), (2, 1, False), (2, 2, True), (2, 3, True)])
def test_attempts_count_the_first(most: int, failures: int, over: bool) -> None:
    assert exhausted(RetryPolicy(max_attempts=most), failures) is over


def failing(policy: RetryPolicy) -> tuple[Bench, bytes]:
    bench = Bench()
    bench.handlers["t.Plain", "Do"] = (handler("Do", HandlerMode.SERVICE, policy), False)
    return bench, bench.submit()[0]


@pytest.mark.parametrize("on_max", list(OnMaxAttempts))
def test_no_retry_ends_with_the_first_failure(on_max: OnMaxAttempts) -> None:
    bench, invocation_id = failing(RetryPolicy(max_attempts=1, on_max_attempts=on_max))
    out = bench.fail(invocation_id)
    assert not only(d.ArmTimer, out.effects)
    record = bench.hot(invocation_id).record
    assert record.last_failure is not None
    if on_max is OnMaxAttempts.KILL:
        assert [one.result for one in only(d.AnswerResult, out.effects)] == [j.Failure(2, "boom")]
    else:
        assert record.status is Status.PAUSED
        assert only(d.Report, out.effects)[-1] == d.Report("paused", invocation_id, "boom")
        assert not only(d.AnswerResult, out.effects)


def test_a_pause_frees_the_attempt_and_keeps_the_key() -> None:
    bench = Bench()
    bench.handlers["t.Object", "Do"] = (handler("Do", HandlerMode.EXCLUSIVE, RetryPolicy(max_attempts=1)), False)
    holder, _ = bench.submit("t.Object", "Do", "k")
    queued, _ = bench.submit("t.Object", "Do", "k")
    assert not only(d.StartAttempt, bench.fail(holder).effects)
    assert bench.hot(queued).record.status is Status.QUEUED
    bench.do(ev.Resume(holder, 7))
    assert [one.invocation.id for one in only(d.StartAttempt, bench.end(holder).effects)] == [queued]


def test_a_resumed_invocation_has_all_its_attempts_again() -> None:
    bench, invocation_id = failing(RetryPolicy(initial_ms=5, max_attempts=2))
    for _ in range(2):
        bench.fail(invocation_id)
        bench.do(ev.TimerFired(Timer(0, invocation_id, bench.hot(invocation_id).record.epoch, TimerKind.RETRY)))
        bench.fail(invocation_id)
        assert bench.hot(invocation_id).record.status is Status.PAUSED
        (start,) = only(d.StartAttempt, bench.do(ev.Resume(invocation_id, 9)).effects)
        assert start.retry_count == 0


def test_the_wait_an_endpoint_asks_for_does_not_make_attempts_last_longer() -> None:
    bench, invocation_id = failing(RetryPolicy(max_attempts=2))
    assert only(d.ArmTimer, bench.fail(invocation_id, retry_after_ms=0).effects)[0].timer.due_ms == bench.now_ms
    bench.do(ev.TimerFired(Timer(0, invocation_id, 1, TimerKind.RETRY)))
    bench.fail(invocation_id, retry_after_ms=0)
    assert bench.hot(invocation_id).record.status is Status.PAUSED


def test_the_policy_of_the_pinned_deployment_counts() -> None:
    bench, invocation_id = failing(RetryPolicy(initial_ms=7))
    bench.say(invocation_id, j.Run("step"))
    bench.handlers["t.Plain", "Do"] = (handler("Do", HandlerMode.SERVICE, RetryPolicy(initial_ms=9)), False)
    timer = only(d.ArmTimer, bench.fail(invocation_id).effects)[0].timer
    assert timer.due_ms == bench.now_ms + 7


def test_an_attempt_that_fails_after_its_output_completes() -> None:
    bench, invocation_id = failing(RetryPolicy(max_attempts=1))
    bench.say(invocation_id, j.Output(j.Value(b"done")))
    assert [one.result for one in only(d.AnswerResult, bench.fail(invocation_id).effects)] == [j.Value(b"done")]


def test_times_that_no_store_can_keep_are_as_good_as_never() -> None:
    most = 2**64 - 1
    bench, invocation_id = failing(RetryPolicy())
    bench.say(invocation_id, j.Run("step"))
    out = bench.say(invocation_id, j.Sleep(most))
    out.writes += bench.do(ev.RunTryFailed(invocation_id, 1, 1, j.Failure(2, "x"), 1, most, True)).writes
    assert {one.timer.due_ms for one in only(d.PutTimer, out.writes)} == {LATEST_MS}
    epoch = bench.hot(invocation_id).record.epoch
    frame = session_pb.Failed(invocation_id=invocation_id, epoch=epoch, retry_after_ms=most)
    bench.do(ev.AttemptFailed(invocation_id, epoch, frame))
    assert bench.hot(invocation_id).record.next_retry_ms == bench.now_ms + LATEST_MS
