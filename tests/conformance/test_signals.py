"""§6: named signals to an invocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from restate_client import InvocationNotFound
from restate_client.errors import IngressError
from restate_sdk import TerminalError, gather, select

from .generated import LabClient, LabRequest, LabResponse, ToolRequest, ToolsClient
from .services.lab import Lab
from .services.tools import Tools
from .world import World


async def wait_for_one(ctx: Any, request: LabRequest) -> object:
    return await ctx.signal("mysignal", str)


async def collect(ctx: Any, request: LabRequest) -> object:
    """Texts of one signal, until the empty one."""
    found: list[str] = []
    while text := await ctx.signal("item", str):
        found.append(text)
    return found


async def test_SIG_01_a_handler_resolves_a_signal_of_another(world: World) -> None:
    await world.start(Lab(wait_for_one), Tools())
    sent = await LabClient(world.caller).do.send(LabRequest())
    request = ToolRequest(invocation_id=sent.invocation_id, signal="mysignal", text="hello")
    await ToolsClient(world.caller).resolve_signal(request)
    assert (await sent.attach()).text == "hello"


async def test_SIG_02_a_handler_rejects_a_signal_of_another(world: World) -> None:
    await world.start(Lab(wait_for_one), Tools())
    sent = await LabClient(world.caller).do.send(LabRequest())
    request = ToolRequest(invocation_id=sent.invocation_id, signal="mysignal", text="no reason")
    await ToolsClient(world.caller).reject_signal(request)
    with pytest.raises(TerminalError, match="no reason"):
        await sent.attach()


async def test_SIG_03_a_signal_carries_structure(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        as_json = await ctx.signal("json", dict)
        as_message = await ctx.signal("message", LabResponse)
        return [as_json["key"], as_json["count"], as_message.text]

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.signal("json", {"key": "test-key", "count": 42})
    await sent.signal("message", LabResponse(text="typed"))
    assert list((await sent.attach()).items) == ["test-key", "42", "typed"]


async def test_SIG_04_two_signals_in_the_other_order(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return await gather(ctx.signal("a", str), ctx.signal("b", str))

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    for name in ("b", "a"):
        await sent.signal(name, f"{name}-value")
    assert list((await sent.attach()).items) == ["a-value", "b-value"]


@pytest.mark.parametrize(("milliseconds", "expected"), [(1, "timeout"), (60_000, "fast")])
async def test_SIG_05_a_signal_or_a_timeout(world: World, milliseconds: int, expected: str) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        late = ctx.sleep(timedelta(milliseconds=milliseconds))
        first = await select(value=ctx.signal("go", str), late=late)
        return first.value if first.name == "value" else "timeout"

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.pass_time(seconds=1)
    if expected == "fast":
        await sent.signal("go", "fast")
    assert (await sent.attach()).text == expected


@pytest.mark.parametrize("texts", [["alpha", "beta", "gamma"], ["a"], []])
async def test_SIG_06_signals_of_one_name_are_a_queue(world: World, texts: list[str]) -> None:
    await world.start(Lab(collect))
    sent = await LabClient(world.caller).do.send(LabRequest())
    for text in [*texts, ""]:
        await sent.signal("item", text)
    assert list((await sent.attach()).items) == texts


async def test_SIG_06_signals_between_which_the_handler_waits_keep_their_order(world: World) -> None:
    await world.start(Lab(collect))
    sent = await LabClient(world.caller).do.send(LabRequest())
    for text in ("one", "two", "three", ""):
        await world.env.settle()
        await sent.signal("item", text)
    assert list((await sent.attach()).items) == ["one", "two", "three"]


async def test_SIG_07_a_signal_reaches_what_is_suspended_scheduled_or_paused(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.signal("mysignal", str)

    await world.start(Lab(body), skip_time=False)
    client = LabClient(world.caller)
    suspended = await client.do.send(LabRequest())
    scheduled = await client.do.send(LabRequest(), delay=timedelta(seconds=5))
    paused = await client.do.send(LabRequest())
    await world.env.settle()
    await world.env.admin.pause(paused.invocation_id)
    await world.until_status(paused.invocation_id, "paused")
    for one in (suspended, scheduled, paused):
        await one.signal("mysignal", "told")
    assert (await suspended.attach()).text == "told"
    await world.pass_time(seconds=5)
    assert (await scheduled.attach()).text == "told"
    assert await world.status(paused.invocation_id) == "paused"
    await world.env.admin.resume(paused.invocation_id)
    assert (await paused.attach()).text == "told"


async def test_SIG_08_a_handler_waits_for_signals_awakeables_and_state_at_once(world: World) -> None:
    ids: list[str] = []

    async def note(id_: str) -> None:
        ids[:] = [id_]

    async def body(ctx: Any, request: LabRequest) -> object:
        awakeable = ctx.awakeable(str)
        await ctx.run("note", note, awakeable.id)
        return await gather(ctx.signal("mysignal", str), awakeable, ctx.sleep(timedelta(seconds=1)))

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await world.pass_time(seconds=1)
    await world.caller.resolve_awakeable(ids[0], "awakeable")
    await world.env.settle()
    assert await sent.output() is None
    await sent.signal("mysignal", "signal")
    assert list((await sent.attach()).items) == ["signal", "awakeable", "None"]


async def test_SIG_09_a_signal_right_after_the_send_is_seen_once(world: World) -> None:
    await world.start(Lab(collect))
    client = LabClient(world.caller)
    for _ in range(2):
        sent = await client.do.send(LabRequest(), idempotency_key="k")
        await sent.signal("item", "x")
    await sent.signal("item", "")
    assert list((await sent.attach()).items) == ["x", "x"]


async def test_SIG_11_a_signal_to_what_does_not_exist_is_an_error_outside(world: World) -> None:
    await world.start(Lab(wait_for_one))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.signal("mysignal", "done")
    await sent.attach()
    with pytest.raises(IngressError):
        await sent.signal("mysignal", "late")
    with pytest.raises(InvocationNotFound):
        await world.caller.signal(sent.invocation_id[:-4] + "0000", "mysignal", "x")
    with pytest.raises(ValueError, match="restate"):
        await sent.signal("restate.own", "x")


async def test_SIG_11_a_handler_signals_what_it_called(world: World) -> None:
    async def parent(ctx: Any, request: LabRequest) -> object:
        sent = await LabClient(ctx).other.send(LabRequest())
        await sent.signal("mysignal", "from the parent")
        return (await sent.attach()).text

    await world.start(Lab(do=parent, other=wait_for_one))
    assert (await LabClient(world.caller).do(LabRequest())).text == "from the parent"
