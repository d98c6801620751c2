"""Runs that fail: tried again by their own policy with counts from the journal, and how long a try may take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from restate_protocol import awaiting
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_sdk import MisuseError, RetryableError, RetryPolicy, StatusCode, TerminalError, gather

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import PAY, Checkout
from .runtime import NOW_MS, FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Any]

BOOM = j.Failure(2, "ValueError: boom")
SECOND = timedelta(seconds=1)
FAST = RetryPolicy(initial_interval=timedelta(milliseconds=1))
LONG = RetryPolicy(initial_interval=timedelta(hours=1), max_interval=timedelta(hours=1))


def text(invocation: Invocation) -> str:
    response = invocation.result(PayResponse)
    assert isinstance(response, PayResponse)
    return response.text


def failures(invocation: Invocation) -> list[j.RunFailed]:
    return [one for one in invocation.notifications if isinstance(one, j.RunFailed)]


async def go_on(invocation: Invocation, *entries: j.Entry) -> None:
    """Starts an attempt that finds these entries after the input."""
    await invocation.start([invocation.entries[0], *(j.encode(entry) for entry in entries)])


class Flaky:
    """Fails a number of times, then gives how often it was called."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.calls = 0
        self._times = times
        self._error = error or ValueError("boom")

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return self.calls


POLICY = RetryPolicy(initial_interval=SECOND, factor=3, max_interval=5 * SECOND)


class TestPolicy:
    @pytest.mark.parametrize(("failures", "wait"), [(1, 1000), (2, 3000), (3, 5000), (4, 5000), (100_000, 5000)])
    def test_waits_grow_by_the_factor_up_to_the_longest(self, failures: int, wait: int) -> None:
        assert POLICY.next_try(failures, 0, 10_000) == 10_000 + wait

    @pytest.mark.parametrize(("most", "failures", "again"), [(1, 1, False), (2, 1, True), (2, 2, False), (2, 3, False)])
    def test_the_first_try_counts(self, most: int, failures: int, again: bool) -> None:
        assert (RetryPolicy(max_attempts=most).next_try(failures, 0, 0) is not None) is again

    @pytest.mark.parametrize(("now", "at"), [(0, 1000), (1000, 2000), (1001, None)])
    def test_no_try_begins_after_the_longest_duration(self, now: int, at: int | None) -> None:
        policy = RetryPolicy(initial_interval=SECOND, factor=1, max_duration=2 * SECOND)
        assert policy.next_try(1, 0, now) == at

    def test_the_error_may_know_better_how_long_to_wait(self) -> None:
        policy = RetryPolicy(initial_interval=SECOND, max_attempts=2)
        assert policy.next_try(1, 0, 0, timedelta(milliseconds=7)) == 7
        assert policy.next_try(2, 0, 0, timedelta(milliseconds=7)) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"factor": 0.5},
            {"max_attempts": 0},
            {"initial_interval": timedelta(seconds=-1)},
            {"max_duration": timedelta(seconds=-1)},
            {"initial_interval": timedelta(seconds=11)},
            {"max_interval": timedelta(milliseconds=49)},
        ],
    )
    def test_nonsense_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"RetryPolicy|max_attempts"):
            RetryPolicy(**wrong)

    def test_two_intervals_that_do_not_fit_are_both_named(self) -> None:
        with pytest.raises(ValueError, match=r"max_interval \(10 s.*initial_interval \(60 s\)"):
            RetryPolicy(initial_interval=60 * SECOND)


class TestInPlace:
    async def test_a_misuse_is_not_tried_again(self) -> None:
        flaky = Flaky(1, MisuseError("not like this"))

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=FAST)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        (failed,) = one.failures
        assert failed.behavior == pb.Failed.Behavior.PAUSE
        assert flaky.calls == 1

    @pytest.mark.parametrize("inactivity_ms", [60_000, 0])
    async def test_each_failure_is_journaled_and_the_function_tried_again(self, inactivity_ms: int) -> None:
        flaky = Flaky(2)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=FAST)

        async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert text(one) == "3"
        assert failures(one) == [
            j.RunFailed(1, 1, BOOM, NOW_MS, NOW_MS + 1),
            j.RunFailed(1, 2, BOOM, NOW_MS, NOW_MS + 2),
        ]
        assert one.durable_waits == []

    async def test_the_next_try_waits_until_the_failure_is_counted(self) -> None:
        flaky = Flaky(1)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=FAST)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            one.hold_failures = True
            await one.until(lambda it: bool(it.held_failures))
            await runtime.send(pb.Describe())
            await runtime.frames.get()
            assert flaky.calls == 1
            await one.release_failures()
            assert text(await one.ended()) == "2"

    async def test_several_runs_are_retried_beside_each_other(self) -> None:
        left, right = Flaky(2), Flaky(1)

        async def body(ctx: CheckoutContext) -> object:
            return await gather(ctx.run("left", left, retry=FAST), ctx.run("right", right, retry=FAST))

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert text(one) == "(3, 2)"
        assert sorted((failed.command, failed.failures) for failed in failures(one)) == [(1, 1), (1, 2), (2, 1)]

    async def test_a_terminal_error_is_never_retried(self) -> None:
        flaky = Flaky(5, TerminalError("no", code=StatusCode.NOT_FOUND))

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=FAST)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert (one.failure.code, flaky.calls, failures(one)) == (StatusCode.NOT_FOUND, 1, [])

    async def test_an_exhausted_policy_is_a_journaled_terminal_error_with_the_last_error(self) -> None:
        flaky = Flaky(9)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=RetryPolicy(initial_interval=timedelta(), max_attempts=3))

        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert flaky.calls == 3
        assert len(failures(one)) == 2
        assert one.failure.message == (
            "run 'step' failed 3 times, and its retry policy allows no more: ValueError: boom"
        )
        assert one.failure.code == StatusCode.UNKNOWN

    @pytest.mark.parametrize("wrapped", [False, True])
    async def test_a_retryable_error_says_when_to_try_again(self, wrapped: bool) -> None:
        calls: list[int] = []

        async def step() -> int:
            calls.append(1)
            if len(calls) > 1:
                return len(calls)
            busy = RetryableError("busy", retry_after=timedelta(milliseconds=3))
            if wrapped:
                raise OSError("wrapped") from busy
            raise busy

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", step, retry=LONG)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert text(one) == "2"
        assert failures(one)[0].retry_at_ms == NOW_MS + 3


class TestDurable:
    @pytest.mark.parametrize("inactivity_ms", [60_000, 0])
    async def test_a_long_wait_is_left_to_the_runtime(self, inactivity_ms: int) -> None:
        flaky = Flaky(1)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=LONG)

        async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.until(lambda it: len(it.durable_waits) == 1 and (len(it.suspensions) == 1 or inactivity_ms > 0))
            assert flaky.calls == 1
            await one.run_due(1)
            assert text(await one.ended()) == "2"
        assert one.durable_waits == [3_600_000]
        assert len(one.suspensions) == (0 if inactivity_ms else 2)

    async def test_a_result_of_something_else_does_not_end_the_wait(self) -> None:
        flaky = Flaky(1)

        async def body(ctx: CheckoutContext) -> object:
            step, other = ctx.run("step", flaky, retry=LONG), ctx.awakeable(int)
            return await gather(step, other)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.until(lambda it: len(it.durable_waits) == 1)
            await one.signal(1, j.Value(b"7", j.JSON))
            await runtime.send(pb.Describe())
            await runtime.frames.get()
            assert flaky.calls == 1
            await one.run_due(1)
            assert text(await one.ended()) == "(2, 7)"

    async def test_a_new_attempt_counts_on_from_the_journal(self) -> None:
        flaky = Flaky(9)
        policy = RetryPolicy(initial_interval=timedelta(), max_attempts=3)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=policy)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest(), first=False)
            await go_on(one, j.Run("step"), j.RunFailed(1, 2, BOOM, 5, NOW_MS))
            await one.ended()
        assert flaky.calls == 1
        assert "failed 3 times" in one.failure.message

    async def test_the_longest_duration_counts_from_the_journals_first_try(self) -> None:
        flaky = Flaky(9)
        policy = RetryPolicy(initial_interval=timedelta(), max_duration=SECOND)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=policy)

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest(), first=False)
            failed = j.RunFailed(1, 1, BOOM, NOW_MS - 1001, NOW_MS)
            await go_on(one, j.Run("step"), failed)
            await one.ended()
        assert flaky.calls == 1
        assert "failed 2 times" in one.failure.message

    @pytest.mark.parametrize("due", [False, True])
    async def test_a_new_attempt_waits_for_the_rest_of_a_wait(self, due: bool) -> None:
        flaky = Flaky(0)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", flaky, retry=LONG)

        entries: list[j.Entry] = [j.Run("step"), j.RunFailed(1, 1, BOOM, NOW_MS, NOW_MS + 3_600_000)]
        if due:
            entries.append(j.RunDue(1, 1))
        async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
            one = await runtime.invoke(PAY, PayRequest(), first=False)
            await go_on(one, *entries)
            await one.until(lambda it: bool(it.suspensions))
            assert flaky.calls == int(due)
            if not due:
                await one.run_due(1)
            assert text(await one.ended()) == "1"

    async def test_an_attempt_whose_waiting_run_was_cancelled_suspends_like_others(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            try:
                await ctx.run("step", Flaky(9), retry=LONG)
            except TerminalError:
                await ctx.sleep(timedelta(days=1))
            return "slept"

        async with FakeRuntime(Checkout(body), inactivity_ms=200) as runtime:
            one = await runtime.invoke(PAY, PayRequest())
            await one.until(lambda it: len(it.durable_waits) == 1)
            await one.cancel()
            await one.until(lambda it: any(awaiting.OnCommand(2) in tree.children for tree in it.suspensions))
            await one.complete(2, j.Void())
            assert text(await one.ended()) == "slept"

    async def test_a_lost_policy_leaves_failures_to_the_handlers_policy(self) -> None:
        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", Flaky(1))

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.invoke(PAY, PayRequest(), first=False)
            failed = j.RunFailed(1, 1, BOOM, NOW_MS, NOW_MS + 3_600_000)
            await go_on(one, j.Run("step"), failed)
            await one.ended()
        assert one.failures[0].command_name == "step"


class TestTimeout:
    @pytest.mark.parametrize("plain", [False, True])
    async def test_a_try_that_takes_too_long_fails_the_attempt(self, plain: bool) -> None:
        never, ended = threading.Event(), asyncio.Event()

        async def coroutine() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        function: Any = never.wait if plain else coroutine

        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", function, timeout=timedelta(milliseconds=1))

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
            never.set()
        assert ended.is_set() is not plain
        assert one.failures[0].failure is not None
        assert one.failures[0].failure.message == "TimeoutError: run 'step' took longer than its timeout of 0.001 s"

    async def test_each_try_has_the_time(self) -> None:
        calls: list[int] = []

        async def step() -> int:
            calls.append(1)
            if len(calls) < 3:
                await asyncio.Event().wait()
            return len(calls)

        async def body(ctx: CheckoutContext) -> object:
            return await ctx.run("step", step, retry=FAST, timeout=timedelta(milliseconds=50))

        async with FakeRuntime(Checkout(body)) as runtime:
            assert text(await runtime.run(PAY, PayRequest())) == "3"

    async def test_timeouts_to_the_end_of_the_policy_are_a_deadline(self) -> None:
        async def body(ctx: CheckoutContext) -> None:
            policy = RetryPolicy(initial_interval=timedelta(), max_attempts=2)
            await ctx.run("step", asyncio.Event().wait, retry=policy, timeout=timedelta(milliseconds=1))

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert one.failure.code == StatusCode.DEADLINE_EXCEEDED
        assert "failed 2 times" in one.failure.message

    async def test_a_timeout_of_the_functions_own_is_its_error(self) -> None:
        async def step() -> None:
            raise TimeoutError("mine")

        async def body(ctx: CheckoutContext) -> None:
            await ctx.run("step", step, timeout=timedelta(hours=1))

        async with FakeRuntime(Checkout(body)) as runtime:
            one = await runtime.run(PAY, PayRequest())
        assert one.failures[0].failure is not None
        assert one.failures[0].failure.message == "TimeoutError: mine"
