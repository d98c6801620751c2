"""§3: state of objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from restate_sdk import TerminalError

from .generated import (
    AddRequest,
    CounterClient,
    CounterRequest,
    LabObjectClient,
    LabRequest,
    LabResponse,
    MapObjectClient,
    SetRequest,
    SlotRequest,
)
from .services.collections import MapObject
from .services.counter import Counter
from .services.lab import LabObject
from .world import World


async def prepare(ctx: Any, request: LabRequest) -> None:
    """Two entries."""
    ctx.state.text.set("Francesco")
    ctx.state.note.set("another")


async def told(world: World, body: Callable[[Any, LabRequest], Awaitable[Any]], *, prepared: bool = True) -> list[str]:
    """What a body says on a key that `prepare` has prepared."""
    await world.start(LabObject(do=prepare, once=body))
    client, key = LabObjectClient(world.caller), world.key()
    if prepared:
        await client.do(LabRequest(key=key))
    return list((await client.once(LabRequest(key=key))).items)


async def test_STATE_01_a_value_is_there_for_the_next_invocation(world: World) -> None:
    await world.start(Counter())
    client, key = CounterClient(world.caller), world.key()
    answers = [await client.add(AddRequest(key=key, value=value)) for value in (1, 2)]
    assert [(one.old_value, one.new_value) for one in answers] == [(0, 1), (1, 3)]


async def test_STATE_03_clearing_all_gives_the_entries_of_one_key(world: World) -> None:
    await world.start(MapObject())
    client = MapObjectClient(world.caller)
    for key, slot, value in (("m", "slot_0", "v0"), ("m", "slot_1", "v1"), ("m2", "slot_2", "my-value-2")):
        await client.set(SetRequest(key=key, slot=slot, value=value))
    assert dict((await client.clear_all(SlotRequest(key="m"))).entries) == {"slot_0": "v0", "slot_1": "v1"}
    for slot in ("slot_0", "slot_1"):
        assert (await client.get(SlotRequest(key="m", slot=slot))).value == ""
    assert (await client.get(SlotRequest(key="m2", slot="slot_2"))).value == "my-value-2"


async def test_STATE_05_what_was_set_before_a_terminal_error_stays(world: World) -> None:
    await world.start(Counter())
    client, key = CounterClient(world.caller), world.key()
    with pytest.raises(TerminalError, match=key):
        await client.add_then_fail(AddRequest(key=key, value=1))
    assert (await client.get(CounterRequest(key=key))).value == 1


async def test_STATE_06_entries_accumulate_are_isolated_and_listed(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        match request.text:
            case "add":
                ctx.state.count.set(await ctx.state.count.get() + request.count)
                ctx.state.text.set("secondary")
                return await ctx.state.count.get()
            case "clear one":
                ctx.state.text.clear()
            case "clear all":
                ctx.clear_state()
        return LabResponse(items=await ctx.state_keys(), count=await ctx.state.count.get())

    await world.start(LabObject(body))
    client = LabObjectClient(world.caller)

    async def do(key: str, text: str, count: int = 0) -> Any:
        return await client.do(LabRequest(key=key, text=text, count=count))

    assert [(await do("c", "add", value)).count for value in (1, 2, 7)] == [1, 3, 10]
    assert [(await do("A", "add", 5)).count, (await do("B", "add", 11)).count] == [5, 11]
    assert list((await do("c", "list")).items) == ["text", "count"]
    assert list((await do("c", "clear one")).items) == ["count"]
    cleared = await do("c", "clear all")
    assert (list(cleared.items), cleared.count) == ([], 0)
    assert (await do("A", "add", 1)).count == 6


async def test_STATE_07_a_handler_reads_what_it_wrote(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        ctx.state.text.set(await ctx.state.text.get() + "Till")
        return [await ctx.state.text.get()]

    assert await told(world, body) == ["FrancescoTill"]


async def test_STATE_08_a_cleared_entry_is_empty(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        before = await ctx.state.text.get()
        ctx.state.text.clear()
        return [before, await ctx.state.text.get(), await ctx.state.note.get()]

    assert await told(world, body) == ["Francesco", "", "another"]


async def test_STATE_09_after_clearing_all_every_entry_is_empty(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        before = await ctx.state.text.get()
        ctx.clear_state()
        return [before, await ctx.state.text.get(), await ctx.state.note.get(), *await ctx.state_keys()]

    assert await told(world, body) == ["Francesco", "", "None"]


@pytest.mark.parametrize("prepared", [True, False])
async def test_STATE_10_a_read_gives_the_value_or_nothing(world: World, prepared: bool) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return [await ctx.state.note.get(), await ctx.state.limit.get()]

    assert await told(world, body, prepared=prepared) == (["another", "None"] if prepared else ["None", "None"])


async def test_STATE_11_a_read_is_the_same_in_every_attempt(world: World) -> None:
    seen: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        seen.append(await ctx.state.text.get())
        if len(seen) < 3:
            raise ValueError("again")
        return [await ctx.state.text.get()]

    await world.start(LabObject(do=body, once=prepare))
    client, key = LabObjectClient(world.caller), world.key()
    await client.once(LabRequest(key=key))
    assert list((await client.do(LabRequest(key=key))).items) == ["Francesco"]
    assert set(seen) == {"Francesco"}


async def test_STATE_12_two_reads_of_an_empty_entry_are_both_recorded(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return [await ctx.state.note.get(), await ctx.state.note.get()]

    await world.start(LabObject(body))
    sent = await LabObjectClient(world.caller).do.send(LabRequest(key=world.key()))
    assert list((await sent.attach()).items) == ["None", "None"]
    assert (await world.journal(sent.invocation_id)).count("get_state") == 2


async def test_STATE_13_keys_come_in_the_order_of_the_fields(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        ctx.state.flag.set(True)
        ctx.state.count.set(1)
        return await ctx.state_keys()

    assert await told(world, body) == ["text", "count", "note", "flag"]


async def test_STATE_14_clearing_all_leaves_other_objects_alone(world: World) -> None:
    async def clear(ctx: Any, request: LabRequest) -> None:
        ctx.clear_state()

    async def keys(ctx: Any, request: LabRequest) -> object:
        return await ctx.state_keys()

    await world.start(LabObject(do=prepare, once=clear, look=keys))
    client = LabObjectClient(world.caller)
    for key in ("a", "b"):
        await client.do(LabRequest(key=key))
    await client.once(LabRequest(key="a"))
    left = [list((await client.look(LabRequest(key=key))).items) for key in ("a", "b")]
    assert left == [[], ["text", "note"]]


async def test_STATE_16_values_that_count_as_false_are_kept(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        state = ctx.state
        state.flag.set(False)
        state.ratio.set(0.0)
        state.text.set("")
        state.note.set("")
        state.limit.set(0)
        values = [await one.get() for one in (state.flag, state.ratio, state.text, state.note, state.limit)]
        return [*map(repr, values), *await ctx.state_keys()]

    await world.start(LabObject(body))
    answer = await LabObjectClient(world.caller).do(LabRequest(key=world.key()))
    assert list(answer.items) == ["False", "0.0", "''", "''", "0", "text", "note", "limit", "flag", "ratio"]


async def test_STATE_18_a_run_that_is_tried_again_keeps_the_last_value(world: World) -> None:
    tries: list[int] = []

    async def step() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("badvalue")
        return "value4"

    async def body(ctx: Any, request: LabRequest) -> object:
        ctx.state.text.set("value1")
        ctx.state.note.set(None)
        ctx.state.items.set([await ctx.run("step", step)])
        return [await ctx.state.text.get(), await ctx.state.note.get(), *await ctx.state.items.get()]

    await world.start(LabObject(body))
    request = LabRequest(key=world.key())
    for _ in range(2):
        answer = await LabObjectClient(world.caller).do(request, idempotency_key="k")
        assert list(answer.items) == ["value1", "None", "value4"]
    assert len(tries) == 3
