"""§2: order and exclusivity of keys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import StatusCode, TerminalError, gather

from .generated import (
    AddRequest,
    AppendRequest,
    CounterClient,
    LabClient,
    LabObjectClient,
    LabRequest,
    ListObjectClient,
    ListRequest,
)
from .services.collections import ListObject
from .services.counter import Counter
from .services.lab import Lab, LabObject
from .world import World


async def waits(ctx: Any, request: LabRequest) -> object:
    """An exclusive handler that holds its key until its awakeable is resolved."""
    awakeable = ctx.awakeable(str)
    ctx.state.note.set(awakeable.id)
    return await awakeable


async def held(ctx: Any, request: LabRequest) -> object:
    return await ctx.state.note.get()


async def awakeable_of(world: World, key: str) -> str:
    """The id that `waits` left in the state of its key."""

    async def there() -> str:
        return str((await LabObjectClient(world.caller).look(LabRequest(key=key))).text)

    return str(await world.until(there, "an awakeable"))


async def test_ORD_04_the_second_invocation_of_a_key_waits_for_the_first(world: World) -> None:
    await world.start(LabObject(do=waits, look=held), skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    first, second = [await client.do.send(LabRequest(key=key)) for _ in range(2)]
    id_ = await awakeable_of(world, key)
    await world.until_waits(first.invocation_id)
    assert await world.status(second.invocation_id) == "queued"
    await world.caller.resolve_awakeable(id_, "one")
    assert (await first.attach()).text == "one"
    await world.env.settle()
    next_id = await awakeable_of(world, key)
    assert next_id != id_
    await world.until_waits(second.invocation_id)
    await world.caller.resolve_awakeable(next_id, "two")
    assert (await second.attach()).text == "two"


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_ORD_04_a_ring_of_keys_ends_without_waiting_for_any_timeout(world: World, size: int) -> None:
    """Each object calls the next one, the last calls the first: that call fails, and the clock stands still."""
    key = world.key()

    async def body(ctx: Any, request: LabRequest) -> object:
        following = (request.count + 1) % size
        try:
            answer = await LabObjectClient(ctx).do(LabRequest(key=f"{key}/{following}", count=following))
        except TerminalError as error:
            return f"{error.code is StatusCode.ABORTED}: {error.message}"
        return answer.text

    await world.start(LabObject(body), skip_time=False)
    answer = await LabObjectClient(world.caller).do(LabRequest(key=f"{key}/0"))
    assert answer.text.startswith("True: a wait cycle, in which each waits for the next")
    assert all(f"'{key}/{number}'" in answer.text for number in range(size))


async def test_ORD_06_a_delayed_send_joins_the_queue_when_it_is_due(world: World) -> None:
    async def quick(ctx: Any, request: LabRequest) -> object:
        return request.text

    await world.start(LabObject(do=waits, once=quick, look=held), skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    first = await client.do.send(LabRequest(key=key))
    id_ = await awakeable_of(world, key)
    delayed = await client.once.send(LabRequest(key=key, text="late"), delay=timedelta(seconds=5))
    assert await world.status(delayed.invocation_id) == "scheduled"
    between = await client.once.send(LabRequest(key=key, text="between"))
    await world.pass_time(seconds=5)
    assert await world.status(delayed.invocation_id) == "queued"
    await world.caller.resolve_awakeable(id_, "")
    for sent, text in ((first, ""), (between, "between"), (delayed, "late")):
        assert (await sent.attach()).text == text


async def test_ORD_07_interleaved_keys_do_not_mix(world: World) -> None:
    await world.start(ListObject())
    client = ListObjectClient(world.caller)
    for number in range(1, 7):
        await client.append(AppendRequest(key="A" if number % 2 else "B", value=str(number)))
    lists = [list((await client.get(ListRequest(key=key))).values) for key in "AB"]
    assert lists == [["1", "3", "5"], ["2", "4", "6"]]


async def test_ORD_08_ten_adds_on_one_key_are_ten_values(world: World) -> None:
    await world.start(Counter())
    key = world.key()
    adds = [CounterClient(world.caller).add(AddRequest(key=key, value=1)) for _ in range(10)]
    answers = await asyncio.gather(*adds)
    assert sorted(one.new_value for one in answers) == list(range(1, 11))


async def test_ORD_11_a_key_is_a_queue_of_concurrency_one(world: World) -> None:
    inside: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        inside.append(f"in {request.text}")
        await ctx.run("work", _turn_of_the_loop)
        inside.append(f"out {request.text}")
        return None

    await world.start(LabObject(body))
    key, client = world.key(), LabObjectClient(world.caller)
    sent = [await client.do.send(LabRequest(key=key, text=str(number))) for number in range(5)]
    for one in sent:
        await one.attach()
    order = list(dict.fromkeys(inside))  # an attempt that replays enters again
    assert order == [f"{what} {number}" for number in range(5) for what in ("in", "out")]


async def test_ORD_13_commands_of_a_gather_are_numbered_in_the_order_of_the_calls(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return await gather(*(ctx.run(f"step {number}", _turn_of_the_loop) for number in range(6)))

    await world.start(Lab(body))
    for _ in range(10):
        sent = await LabClient(world.caller).do.send(LabRequest())
        await sent.attach()
        entries = await world.env.admin.journal_json(sent.invocation_id)
        names = [entry.name for entry in entries if entry.type == "run"]
        assert names == [f"step {number}" for number in range(6)]


async def test_ORD_14_two_starts_under_one_key_execute_one_body(world: World) -> None:
    inside = most = bodies = 0

    async def step() -> None:
        nonlocal inside, most, bodies
        inside += 1
        bodies += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    async def body(ctx: Any, request: LabRequest) -> object:
        await ctx.run("step", step)
        return "done"

    await world.start(Lab(body))
    client = LabClient(world.caller)
    answers = await asyncio.gather(*(client.do(LabRequest(), idempotency_key="k") for _ in range(2)))
    assert [one.text for one in answers] == ["done", "done"]
    assert (most, bodies) == (1, 1)


async def _turn_of_the_loop() -> None:
    await asyncio.sleep(0)
