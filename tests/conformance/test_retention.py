"""§16: how long what is completed is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from restate_client import InvocationNotFound
from restate_sdk import StatusCode, TerminalError

from .generated import AddRequest, CounterClient, CounterRequest, LabClient, LabFlowClient, LabRequest
from .services.counter import Counter
from .services.lab import Lab, LabFlow
from .world import World

DAY_MS = 86_400_000


async def body(ctx: Any, request: LabRequest) -> object:
    await ctx.sleep(timedelta(milliseconds=100))
    return "done"


async def completed(world: World, method: Any, **options: Any) -> Any:
    """The handle of an invocation that is completed."""
    sent = await method.send(LabRequest(), **options)
    await world.pass_time(seconds=1)
    await sent.attach()
    return sent


async def exists(world: World, sent: Any) -> bool:
    try:
        await sent.output()
    except InvocationNotFound:
        return False
    return True


async def test_RET_01_the_journal_is_kept(world: World) -> None:
    await world.start(Lab(body), skip_time=False)
    sent = await completed(world, LabClient(world.caller).do)
    assert await world.status(sent.invocation_id) == "completed"
    assert await world.journal(sent.invocation_id) == ["input", "sleep", "completion", "output"]


async def test_RET_02_a_purged_journal_leaves_the_result(world: World) -> None:
    await world.start(Lab(body), skip_time=False)
    client, admin = LabClient(world.caller), world.env.admin
    sent = await completed(world, client.do, idempotency_key="k")
    await admin.purge_journal(sent.invocation_id)
    assert await world.journal(sent.invocation_id) == []
    assert (await client.do(LabRequest(), idempotency_key="k")).text == "done"
    await admin.purge(sent.invocation_id)
    assert not await exists(world, sent)


async def test_RET_03_only_what_is_completed_is_purged(world: World) -> None:
    async def nap(ctx: Any, request: LabRequest) -> None:
        await ctx.sleep(timedelta(days=1))

    await world.start(Lab(nap), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    for verb in (world.env.admin.purge, world.env.admin.purge_journal):
        with pytest.raises(TerminalError) as caught:
            await verb(sent.invocation_id)
        assert caught.value.code is StatusCode.FAILED_PRECONDITION
        with pytest.raises(TerminalError) as caught:
            await verb(sent.invocation_id[:-4] + "0000")
        assert caught.value.code is StatusCode.NOT_FOUND


async def test_RET_04_the_cleaner_removes_what_is_over_and_nothing_else(world: World) -> None:
    async def handler(ctx: Any, request: LabRequest) -> object:
        if request.flag:
            await ctx.sleep(timedelta(days=1))
        return "done"

    await world.start(Lab(handler), skip_time=False)
    client = LabClient(world.caller)
    gone = await client.not_kept.send(LabRequest())
    journal_gone = await completed(world, client.kept_shortly, idempotency_key="k")
    kept = await completed(world, client.do)
    running = await client.do.send(LabRequest(flag=True))
    await world.pass_time(seconds=60)
    assert not await exists(world, gone)
    assert await exists(world, journal_gone)
    assert await world.journal(journal_gone.invocation_id) == []
    assert await world.journal(kept.invocation_id) == ["input", "output"]
    assert await running.output() is None


async def test_RET_05_an_idempotency_key_is_kept_for_its_retention(world: World) -> None:
    await world.start(Lab(body), skip_time=False)
    sent = await completed(world, LabClient(world.caller).kept_shortly, idempotency_key="k")
    await world.pass_time(seconds=118)
    assert await exists(world, sent)
    await world.pass_time(seconds=3)
    assert not await exists(world, sent)


async def test_RET_07_a_handlers_retention_wins_over_the_services_and_the_default(world: World) -> None:
    async def run(ctx: Any, request: LabRequest) -> None:
        return None

    await world.start(Lab(body), LabFlow(run=run), skip_time=False)
    client = LabClient(world.caller)
    short = await world.invocation((await completed(world, client.kept_shortly)).invocation_id)
    keyed = await world.invocation((await completed(world, client.kept_shortly, idempotency_key="k")).invocation_id)
    flow = await LabFlowClient(world.caller).run.send(LabRequest(key="w"))
    await flow.attach()
    kept = await world.invocation(flow.invocation_id)
    assert short.expires_at_ms - short.completed_at_ms == 30_000
    assert keyed.expires_at_ms - keyed.completed_at_ms in (30_000, 120_000)
    assert kept.expires_at_ms - kept.completed_at_ms == 60_000


async def test_RET_08_a_journal_is_not_kept_longer_than_its_result(world: World) -> None:
    await world.start(Lab(body), skip_time=False)
    sent = await completed(world, LabClient(world.caller).kept_oddly, idempotency_key="k")
    await world.pass_time(seconds=57)
    assert await exists(world, sent)
    await world.pass_time(seconds=4)
    assert not await exists(world, sent)


async def test_RET_09_the_default_is_a_day(world: World) -> None:
    await world.start(Lab(body), skip_time=False)
    sent = await completed(world, LabClient(world.caller).do)
    invocation = await world.invocation(sent.invocation_id)
    assert invocation.expires_at_ms - invocation.completed_at_ms == DAY_MS


async def test_RET_15_state_outlives_the_invocations_that_wrote_it(world: World) -> None:
    await world.start(Counter(), skip_time=False)
    client, key = CounterClient(world.caller), world.key()
    sent = await client.add.send(AddRequest(key=key, value=7))
    await sent.attach()
    await world.pass_time(days=2)
    assert not await exists(world, sent)
    assert (await client.get(CounterRequest(key=key))).value == 7


async def test_RET_16_what_is_not_kept_leaves_nothing(world: World) -> None:
    async def quick(ctx: Any, request: LabRequest) -> None:
        await ctx.run("step", lambda: "x" * 100)

    await world.start(Lab(quick))
    for _ in range(100):
        await LabClient(world.caller).not_kept(LabRequest())
    await world.pass_time(seconds=60)
    assert await world.env.admin.invocations() == []
