"""§5: awakeables."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from restate_client import IngressError, InvalidRequest, InvocationNotFound
from restate_sdk import TerminalError

from .generated import (
    AwakeableHolderClient,
    HolderRequest,
    HoldRequest,
    LabClient,
    LabRequest,
    LabResponse,
    UnlockRequest,
    WaiterClient,
)
from .services.awakeables import AwakeableHolder, Waiter
from .services.lab import Lab
from .world import World


async def held(world: World, key: str) -> str:
    """The id that Waiter shows for its key."""

    async def there() -> str:
        return str((await WaiterClient(world.caller).get_awakeable(HolderRequest(key=key))).value)

    return str(await world.until(there, "an awakeable"))


async def test_AWK_01_an_awakeable_is_resolved_from_outside(world: World) -> None:
    await world.start(Waiter())
    key = world.key()
    sent = await WaiterClient(world.caller).run.send(HolderRequest(key=key))
    await world.caller.resolve_awakeable(await held(world, key), "solved!")
    assert (await sent.attach()).value == "solved!"


async def test_AWK_02_an_awakeable_is_rejected_from_outside(world: World) -> None:
    await world.start(Waiter())
    key = world.key()
    sent = await WaiterClient(world.caller).run.send(HolderRequest(key=key))
    await world.caller.reject_awakeable(await held(world, key), "my bad!")
    with pytest.raises(TerminalError, match="my bad!"):
        await sent.attach()


async def test_AWK_03_no_accepted_completion_is_lost_when_the_runtime_dies(world: World) -> None:
    await world.start(Waiter())
    client = WaiterClient(world.caller)
    keys = [world.key() for _ in range(12)]
    for key in keys:
        await client.run.send(HolderRequest(key=key), idempotency_key=key)
    for number, key in enumerate(keys):
        await world.caller.resolve_awakeable(await held(world, key), f"resolved-{key}")
        if number % 4 == 3:
            await world.env.restart()
    for key in keys:
        assert (await client.run(HolderRequest(key=key), idempotency_key=key)).value == f"resolved-{key}"


async def test_AWK_04_somebody_else_does_the_work(world: World) -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def sort(numbers: list[int], awakeable_id: str) -> None:
        await world.caller.resolve_awakeable(awakeable_id, sorted(numbers))

    async def ask(numbers: list[int], awakeable_id: str) -> None:
        task = asyncio.get_running_loop().create_task(sort(numbers, awakeable_id))
        tasks.add(task)

    async def body(ctx: Any, request: LabRequest) -> object:
        awakeable = ctx.awakeable(list)
        await ctx.run("ask", ask, [ctx.random.randint(0, 99) for _ in range(10)], awakeable.id)
        return await awakeable

    await world.start(Lab(body))
    numbers = [int(one) for one in (await LabClient(world.caller).do(LabRequest())).items]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("reject", [False, True])
async def test_AWK_05_a_handler_resolves_or_rejects(world: World, reject: bool) -> None:
    await world.start(AwakeableHolder(), Lab(_wait_at_the_holder))
    sent = await LabClient(world.caller).do.send(LabRequest(flag=reject))
    holder = AwakeableHolderClient(world.caller)

    async def there() -> bool:
        return bool((await holder.has_awakeable(HolderRequest(key="k"))).has_awakeable)

    await world.until(there, "an awakeable")
    await holder.unlock(UnlockRequest(key="k", value="value"))
    assert (await sent.attach()).text == ("rejected" if reject else "value")
    with pytest.raises(TerminalError, match="no awakeable is registered"):
        await holder.unlock(UnlockRequest(key="k", value="again"))


async def _wait_at_the_holder(ctx: Any, request: LabRequest) -> object:
    """Waits for what the holder's unlock gives it, or for a rejection that it makes of it."""
    told, own = ctx.awakeable(str), ctx.awakeable(str)
    await AwakeableHolderClient(ctx).hold(HoldRequest(key="k", id=told.id))
    value = await told
    if not request.flag:
        return value
    ctx.reject_awakeable(own.id, "rejected")
    try:
        return await own
    except TerminalError as error:
        return error.message


async def test_AWK_06_a_value_that_fits_not_is_refused_and_the_awakeable_stays_open(world: World) -> None:
    ids: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        awakeable = ctx.awakeable(LabResponse)
        ids.append(awakeable.id)
        return (await awakeable).text

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    with pytest.raises(InvalidRequest):
        await world.caller.resolve_awakeable(ids[0], {"no such field": 1})
    await world.caller.resolve_awakeable(ids[0], LabResponse(text="fits"))
    assert (await sent.attach()).text == "fits"
    assert len(set(ids)) == 1


async def test_AWK_06_the_attempt_after_a_failed_one_gets_the_same_value(world: World) -> None:
    values: list[str] = []
    ids: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("before", lambda: 1)
        awakeable = ctx.awakeable(str)
        ids.append(awakeable.id)
        values.append(await awakeable)
        if len(values) == 1:
            json.loads("not JSON")
        return values[-1]

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.env.settle()
    await world.caller.resolve_awakeable(ids[0], "once")
    assert (await sent.attach()).text == "once"
    assert values == ["once", "once"]
    assert len(set(ids)) == 1


async def test_AWK_07_a_second_completion_is_refused(world: World) -> None:
    await world.start(Waiter())
    key = world.key()
    sent = await WaiterClient(world.caller).run.send(HolderRequest(key=key))
    id_ = await held(world, key)
    await world.caller.resolve_awakeable(id_, "first")
    with pytest.raises(IngressError):
        await world.caller.resolve_awakeable(id_, "second")
    assert (await sent.attach()).value == "first"


async def test_AWK_07_an_awakeable_that_was_never_made_is_unknown(world: World) -> None:
    await world.start(Waiter())
    key = world.key()
    await WaiterClient(world.caller).run.send(HolderRequest(key=key))
    id_ = await held(world, key)
    with pytest.raises(InvocationNotFound):
        await world.caller.resolve_awakeable(_other_invocation(id_), "x")


def _other_invocation(awakeable_id: str) -> str:
    from restate_protocol.ids import awakeable_id_text, parse_awakeable_id

    _, number = parse_awakeable_id(awakeable_id)
    return awakeable_id_text(bytes(16), number)
