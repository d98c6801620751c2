"""§10, §11 and §17, what ends attempts: time limits, what handlers say about retries, and whose policy counts."""

from __future__ import annotations

import asyncio
from collections import Counter as Counts
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import RetryableError, RetryPolicy, StatusCode, TerminalError, gather

from .generated import FailingClient, FailRequest, LabClient, LabRequest
from .services.failing import Failing
from .services.lab import Lab
from .world import World

FAST = timedelta(milliseconds=10)


async def test_RUN_11_an_error_of_a_run_may_be_made_terminal_with_a_code(world: World) -> None:
    async def pay() -> None:
        try:
            raise KeyError("card declined")
        except KeyError as error:
            raise TerminalError("card declined", code=StatusCode.FAILED_PRECONDITION) from error

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("pay", pay)

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="card declined") as caught:
        await LabClient(world.caller).do(LabRequest())
    assert caught.value.code is StatusCode.FAILED_PRECONDITION


async def test_RUN_13_an_attempt_that_stands_still_is_aborted(world: World) -> None:
    never = asyncio.Event()

    async def slow_first(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("slow", step)

    async def step() -> str:
        if lab.attempts == 1:
            await never.wait()
        return "second attempt"

    lab = Lab(slow_first)
    await world.start(lab, skip_time=False)
    sent = await LabClient(world.caller).hasty.send(LabRequest())
    await world.env.advance(timedelta(seconds=2), patience=timedelta(milliseconds=20))
    await world.env.advance(timedelta(seconds=2), patience=timedelta(milliseconds=20))
    assert (await sent.attach()).text == "second attempt"
    assert lab.attempts >= 2


@pytest.mark.parametrize("wrapped", [False, True])
async def test_RUN_17_a_handler_may_say_when_to_try_again(world: World, wrapped: bool) -> None:
    times: list[int] = []

    async def step() -> str:
        times.append(world.env.clock.now_ms)
        if len(times) == 1:
            busy = RetryableError("busy", retry_after=timedelta(minutes=10))
            raise (ValueError("wrapped") if wrapped else busy) from busy
        return "ok"

    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("step", step)

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.pass_time(minutes=9)
    assert len(times) == 1
    await world.pass_time(minutes=2)
    assert (await sent.attach()).text == "ok"
    assert len(times) == 2


@pytest.mark.parametrize(
    ("policy", "tries"),
    [
        (RetryPolicy(initial_interval=timedelta(seconds=2), factor=1, max_duration=timedelta(seconds=5)), 3),
        (RetryPolicy(initial_interval=timedelta(seconds=2), factor=1, max_duration=timedelta()), 1),
        (RetryPolicy(initial_interval=timedelta(seconds=2), factor=2, max_attempts=4), 4),
    ],
)
async def test_RUN_22_the_longest_duration_of_a_run(world: World, policy: RetryPolicy, tries: int) -> None:
    times: list[int] = []

    async def step() -> None:
        times.append(world.env.clock.now_ms)
        raise ValueError("always")

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", step, retry=policy)

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="always"):
        await LabClient(world.caller).do(LabRequest())
    assert len(times) == tries


async def test_RUN_23_each_run_counts_its_own_tries(world: World) -> None:
    executed: Counts[str] = Counts()

    async def step(name: str) -> str:
        executed[name] += 1
        if executed[name] < 3:
            raise ValueError(name)
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        policy = RetryPolicy(initial_interval=FAST, max_attempts=3)
        return [await ctx.run(name, step, name, retry=policy) for name in ("one", "two")]

    await world.start(Lab(body))
    assert list((await LabClient(world.caller).do(LabRequest())).items) == ["one", "two"]
    assert executed == {"one": 3, "two": 3}


async def test_RUN_32_the_last_error_of_five_tries_is_the_runs(world: World) -> None:
    tries: list[int] = []

    async def step() -> None:
        tries.append(1)
        raise ValueError(f"activity attempt {len(tries)} failed")

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", step, retry=RetryPolicy(initial_interval=FAST, max_attempts=5))

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="activity attempt 5 failed"):
        await LabClient(world.caller).do(LabRequest())
    assert len(tries) == 5


async def test_RUN_34_of_concurrent_runs_those_that_succeeded_are_not_executed_again(world: World) -> None:
    executed: Counts[str] = Counts()

    async def step(name: str) -> str:
        executed[name] += 1
        await asyncio.sleep(0)
        if name == "bad":
            raise TerminalError("bad")
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        names = ("a", "bad", "b")
        ended = await gather(*(ctx.run(name, step, name) for name in names), return_exceptions=True)
        await ctx.sleep(timedelta(seconds=1))
        return [one if isinstance(one, str) else one.message for one in ended]

    await world.start(Lab(body))
    assert list((await LabClient(world.caller).do(LabRequest())).items) == ["a", "bad", "b"]
    assert executed["a"] >= 1
    assert executed["bad"] >= 1


async def test_ERR_14_a_terminal_error_ends_it_though_the_policy_pauses(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> None:
        raise TerminalError("at once")

    lab = Lab(body)
    await world.start(lab)
    with pytest.raises(TerminalError, match="at once"):
        await LabClient(world.caller).pause_after_two(LabRequest())
    assert lab.attempts == 1


async def test_NDET_09_a_mismatch_pauses_though_the_policy_kills(world: World) -> None:
    deployed: list[int] = []

    async def nothing() -> None:
        return None

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("new" if deployed else "old", nothing)
        deployed.append(1)
        raise ValueError("again")

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).kill_after_three.send(LabRequest())
    await world.pass_time(seconds=1)
    invocation = await world.invocation(sent.invocation_id)
    assert invocation.status == "paused"
    assert "journal" in invocation.last_failure.message


async def test_NDET_11_messages_are_compared_by_value(world: World) -> None:
    failed: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        names = ["a", "b", "c"] if failed else ["c", "a", "b"]
        call = FailRequest(key="k", attempts=1, metadata={name: name for name in names})
        answer = await FailingClient(ctx).side_effect_succeeds_after_given_attempts(call)
        if len(failed) < 2:
            failed.append(1)
            raise ValueError("again")
        return answer.attempts

    await world.start(Lab(body), Failing())
    assert (await LabClient(world.caller).do(LabRequest())).count == 1


async def test_NDET_15_a_restarted_prefix_that_does_not_fit_the_code_is_a_mismatch(world: World) -> None:
    async def nothing() -> None:
        return None

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run(names[0], nothing)

    names = ["recorded"]
    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.attach()
    entries = len(await world.journal(sent.invocation_id)) - 1
    names[:] = ["attempted"]
    again = await world.env.admin.restart(sent.invocation_id, entries=entries)
    await world.until_status(again, "paused")
    message = (await world.invocation(again)).last_failure.message
    assert "recorded" in message
    assert "attempted" in message


async def test_TIMER_18_an_execution_timeout_counts_from_acceptance(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        try:
            await ctx.sleep(timedelta(days=1))
        except TerminalError as error:
            if request.flag:
                await ctx.sleep(timedelta(days=1))
            return error.code.name
        return "slept"

    await world.start(Lab(body), skip_time=False)
    client = LabClient(world.caller)
    polite = await client.limited.send(LabRequest())
    stubborn = await client.limited.send(LabRequest(flag=True))
    await world.pass_time(seconds=9.9)
    assert await polite.output() is None
    await world.pass_time(seconds=0.2)
    assert (await polite.attach()).text == "DEADLINE_EXCEEDED"
    assert await stubborn.output() is None
    await world.pass_time(seconds=5)
    with pytest.raises(TerminalError) as caught:
        await stubborn.attach()
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED


async def test_UPG_11_a_handlers_policy_wins_over_its_services(world: World) -> None:
    times: dict[str, list[int]] = {"do": [], "defaults": []}

    def failing(name: str) -> Any:
        async def body(ctx: Any, request: LabRequest) -> None:
            times[name].append(world.env.clock.now_ms)
            if len(times[name]) < 2:
                raise ValueError("again")

        return body

    await world.start(Lab(do=failing("do"), defaults=failing("defaults")))
    client = LabClient(world.caller)
    await client.do(LabRequest())
    await client.defaults(LabRequest())
    gaps = {name: found[1] - found[0] for name, found in times.items()}
    assert gaps["do"] <= 20
    assert gaps["defaults"] >= 250
