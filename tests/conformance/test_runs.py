"""§10: runs and retry policies. Executions are counted exactly (§0.4 item 3)."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import RetryPolicy, TerminalError, gather

from .generated import FailingClient, FailRequest, LabClient, LabRequest, ToolRequest, ToolsClient
from .services.failing import Failing
from .services.lab import Lab
from .services.tools import Tools
from .settings import only
from .world import World

FAST = timedelta(milliseconds=10)


async def test_RUN_01_a_run_is_tried_until_it_succeeds(world: World) -> None:
    failing = Failing()
    await world.start(failing)
    key = world.key()
    request = FailRequest(key=key, attempts=3)
    answer = await FailingClient(world.caller).side_effect_succeeds_after_given_attempts(request)
    assert (answer.attempts, failing.executed[key]) == (3, 3)


async def test_RUN_02_a_run_is_executed_once_when_it_succeeds(world: World) -> None:
    failing = Failing()
    await world.start(failing)
    key = world.key()
    request = FailRequest(key=key, attempts=1)
    await FailingClient(world.caller).side_effect_succeeds_after_given_attempts(request)
    assert failing.executed[key] == 1


async def test_RUN_03_a_run_whose_tries_are_used_up_fails(world: World) -> None:
    failing = Failing()
    await world.start(failing)
    key = world.key()
    answer = await FailingClient(world.caller).side_effect_fails_after_given_attempts(FailRequest(key=key, attempts=3))
    assert (answer.attempts, failing.executed[key]) == (3, 3)


@only("suspend", "lazy-suspend", "all", because="elsewhere a run need not suspend")
async def test_RUN_04_a_run_is_acknowledged_by_the_journal(world: World) -> None:
    await world.start(Tools())
    answer = await ToolsClient(world.caller).count_executed_side_effects(ToolRequest(count=3))
    assert answer.count == 0


async def test_RUN_05_an_attempt_replays_the_runs_of_the_one_before(world: World) -> None:
    executed: list[str] = []
    failed: list[int] = []

    async def step(name: str) -> str:
        executed.append(name)
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        one = await ctx.run("step-1", step, "one")
        if not failed:
            failed.append(1)
            raise ValueError("once")
        return one + await ctx.run("step-2", step, "two")

    await world.start(Lab(body))
    assert (await LabClient(world.caller).do(LabRequest())).text == "onetwo"
    assert executed == ["one", "two"]


async def test_RUN_06_a_run_that_raises_fails_the_attempt_and_says_which_run(world: World) -> None:
    failures: list[int] = []

    async def step() -> str:
        failures.append(1)
        if len(failures) == 1:
            raise ValueError("not yet")
        return "ok"

    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("charge", step)

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).defaults.send(LabRequest())
    await world.env.settle()
    failed = (await world.invocation(sent.invocation_id)).last_failure
    assert "not yet" in failed.message
    assert "charge" in failed.command
    await world.pass_time(seconds=1)
    assert (await sent.attach()).text == "ok"
    assert len(failures) == 2


async def test_RUN_07_a_terminal_error_of_a_run_keeps_its_metadata(world: World) -> None:
    metadata = {"source": "run-closure", "severity": "critical"}

    async def step() -> None:
        raise TerminalError("no", metadata=metadata)

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", step)

    await world.start(Lab(body))
    with pytest.raises(TerminalError) as caught:
        await LabClient(world.caller).do(LabRequest())
    assert metadata.items() <= dict(caught.value.metadata).items()


async def test_RUN_09_a_result_that_is_not_serialisable_ends_it(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", lambda: {1, 2})

    lab = Lab(body)
    await world.start(lab)
    with pytest.raises(TerminalError, match="step"):
        await LabClient(world.caller).kill_after_two(LabRequest())


async def test_RUN_10_what_fails_after_a_run_does_not_execute_it_again(world: World) -> None:
    executed: list[int] = []
    mapped: list[int] = []

    async def step() -> str:
        executed.append(1)
        return "raw"

    async def body(ctx: Any, request: LabRequest) -> object:
        raw = await ctx.run("step", step)
        mapped.append(1)
        if len(mapped) == 1:
            raise ValueError("mapping")
        raise TerminalError(f"mapped {raw}")

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="mapped raw"):
        await LabClient(world.caller).do(LabRequest())
    assert len(executed) == 1


async def test_RUN_12_of_two_runs_at_once_the_one_that_succeeded_is_kept(world: World) -> None:
    executed = {"run-1": 0, "run-2": 0}
    kept = asyncio.Event()

    async def one() -> str:
        executed["run-1"] += 1
        return "1"

    async def two() -> str:
        executed["run-2"] += 1
        await kept.wait()
        if executed["run-2"] < 3:
            raise ValueError("run-2 failed")
        return "2"

    async def body(ctx: Any, request: LabRequest) -> object:
        first, second = ctx.run("run-1", one), ctx.run("run-2", two)
        await first
        kept.set()
        return await gather(first, second)

    await world.start(Lab(body))
    assert list((await LabClient(world.caller).do(LabRequest())).items) == ["1", "2"]
    assert executed["run-1"] == 1
    assert executed["run-2"] >= 3


@pytest.mark.parametrize("inside", [True, False])
async def test_RUN_14_failures_inside_and_outside_a_run(world: World, inside: bool) -> None:
    executed: list[int] = []
    outside: list[int] = []

    async def step() -> str:
        executed.append(1)
        if inside and len(executed) < 3:
            raise ValueError("inside")
        return f"ok-after-{len(executed)}"

    async def body(ctx: Any, request: LabRequest) -> object:
        text = await ctx.run("step", step)
        outside.append(1)
        if not inside and len(outside) < 3:
            raise ValueError("outside")
        return text

    await world.start(Lab(body))
    text = (await LabClient(world.caller).do(LabRequest())).text
    assert (text, len(executed)) == (("ok-after-3", 3) if inside else ("ok-after-1", 1))


@pytest.mark.parametrize(("attempts", "terminal"), [(2, False), (5, True)])
async def test_RUN_15_a_bounded_run_ends_with_its_error(world: World, attempts: int, terminal: bool) -> None:
    executed: list[int] = []

    async def step() -> None:
        executed.append(1)
        raise TerminalError("doomed") if terminal else ValueError("doomed")

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", step, retry=RetryPolicy(initial_interval=FAST, max_attempts=attempts))

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="doomed"):
        await LabClient(world.caller).do(LabRequest())
    assert len(executed) == (1 if terminal else attempts)


@pytest.mark.parametrize("fails_at", [None, "reserve", "charge", "create"])
async def test_RUN_16_a_saga_compensates_what_was_done_once(world: World, fails_at: str | None) -> None:
    done: list[str] = []

    async def act(name: str) -> str:
        if name == fails_at:
            raise TerminalError(f"{name} failed")
        done.append(name)
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        compensations: list[str] = []
        try:
            for name in ("reserve", "charge", "create"):
                await ctx.run(name, act, name)
                compensations.append(f"undo {name}")
        except TerminalError:
            for name in reversed(compensations):
                await ctx.run(name, act, name)
            raise
        return "booked"

    await world.start(Lab(body))
    steps = ["reserve", "charge", "create"]
    before = steps if fails_at is None else steps[: steps.index(fails_at)]
    if fails_at is None:
        assert (await LabClient(world.caller).do(LabRequest())).text == "booked"
        assert done == steps
        return
    with pytest.raises(TerminalError, match=f"{fails_at} failed"):
        await LabClient(world.caller).do(LabRequest())
    assert done == [*before, *(f"undo {name}" for name in reversed(before))]


async def test_RUN_18_an_error_made_from_a_terminal_one_is_retried_by_the_policy(world: World) -> None:
    lab = Lab(_raise_from_terminal)
    await world.start(lab)
    with pytest.raises(TerminalError, match="wrapped"):
        await LabClient(world.caller).kill_after_two(LabRequest())
    assert lab.attempts == 2


async def _raise_from_terminal(ctx: Any, request: LabRequest) -> None:
    try:
        raise TerminalError("inner")
    except TerminalError as error:
        raise ValueError("wrapped") from error


async def test_RUN_25_a_policy_may_pause_when_it_is_exhausted(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        if not mended:
            raise ValueError("broken")
        return "mended"

    mended: list[int] = []
    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).pause_after_two.send(LabRequest())
    await world.pass_time(seconds=1)
    assert await world.status(sent.invocation_id) == "paused"
    mended.append(1)
    await world.env.admin.resume(sent.invocation_id)
    assert (await sent.attach()).text == "mended"


async def test_RUN_26_the_default_policy_doubles_from_half_a_second_and_pauses(world: World) -> None:
    times: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        times.append(world.env.clock.now_ms)
        raise ValueError("always")

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).defaults.send(LabRequest())
    await world.pass_time(hours=2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 70
    for gap, expected in zip(gaps, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000], strict=False):
        assert gap >= expected / 2
    assert max(gaps) <= 60_000 * 1.5
    assert await world.status(sent.invocation_id) == "paused"


async def test_RUN_27_progress_begins_the_count_of_attempts_anew(world: World) -> None:
    done: list[int] = []

    async def step() -> int:
        done.append(1)
        return len(done)

    async def body(ctx: Any, request: LabRequest) -> object:
        for number in range(4):
            before = len(done)
            await ctx.run(f"step {number}", step)
            if len(done) > before:
                raise ValueError("after a step of progress")
        return "ok"

    await world.start(Lab(body))
    assert (await LabClient(world.caller).kill_after_two(LabRequest())).text == "ok"
    assert len(done) == 4


async def test_RUN_28_tries_of_a_step_are_exact(world: World) -> None:
    executed: list[int] = []

    async def step() -> None:
        executed.append(world.env.clock.now_ms)
        raise ValueError(f"try {len(executed)}")

    async def body(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", step, retry=RetryPolicy(initial_interval=FAST, factor=2, max_attempts=4))

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="try 4"):
        await LabClient(world.caller).do(LabRequest())
    assert len(executed) == 4
