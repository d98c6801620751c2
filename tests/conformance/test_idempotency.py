"""§9: idempotency keys, attach, and reading results."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from restate_client import IdempotencyKeyReused, InvocationNotFound, SendStatus
from restate_client.errors import InvalidRequest
from restate_sdk import StatusCode, TerminalError

from .generated import (
    AddRequest,
    CounterClient,
    CounterRequest,
    HolderRequest,
    LabClient,
    LabObjectClient,
    LabRequest,
    WaiterClient,
)
from .services.awakeables import Waiter
from .services.counter import Counter
from .services.lab import Lab, LabObject
from .test_awakeables import held
from .world import World


async def add_one_way(ctx: Any, request: LabRequest) -> None:
    """CounterProxy of §26.2."""
    await CounterClient(ctx).add.send(AddRequest(key=request.key, value=request.count))


async def wait_for_it(ctx: Any, request: LabRequest) -> object:
    awakeable = ctx.awakeable(str)
    ctx.state.text.set(awakeable.id)
    return await awakeable


async def test_IDEM_01_a_key_may_be_used_again_when_its_retention_is_over(world: World) -> None:
    executed: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        executed.append(1)
        return len(executed)

    await world.start(Lab(body), skip_time=False)
    client = LabClient(world.caller)
    first = await client.kept_shortly(LabRequest(), idempotency_key="k")
    await world.pass_time(seconds=119)
    assert (await client.kept_shortly(LabRequest(), idempotency_key="k")).count == first.count
    handle = client.kept_shortly.handle(idempotency_key="k")
    old = await world.invocation((await handle.lookup()).invocation_id)
    assert old.expires_at_ms == old.completed_at_ms + 120_000
    await world.pass_time(seconds=2)
    with pytest.raises(InvocationNotFound):
        await handle.lookup()
    assert (await client.kept_shortly(LabRequest(text="another"), idempotency_key="k")).count > first.count


async def test_IDEM_02_a_service_executes_once_for_a_key(world: World) -> None:
    await world.start(Lab(add_one_way), Counter())
    key, counter = world.key(), CounterClient(world.caller)
    for _ in range(2):
        await LabClient(world.caller).do(LabRequest(key=key, count=2), idempotency_key="k")

    async def two() -> bool:
        return bool((await counter.get(CounterRequest(key=key))).value == 2)

    await world.until(two, "the count")
    answer = await counter.add(AddRequest(key=key, value=2), idempotency_key="other")
    assert (answer.old_value, answer.new_value) == (2, 4)


async def test_IDEM_03_a_second_send_finds_the_first(world: World) -> None:
    await world.start(Counter())
    key, client = world.key(), CounterClient(world.caller)
    sent = [await client.add.send(AddRequest(key=key, value=2), idempotency_key="k") for _ in range(2)]
    assert [one.status for one in sent] == [SendStatus.ACCEPTED, SendStatus.PREVIOUSLY_ACCEPTED]
    assert len({one.invocation_id for one in sent}) == 1
    assert sent[0].invocation_id.startswith("inv")
    assert (await sent[1].attach()).new_value == 2
    assert (await client.get(CounterRequest(key=key))).value == 2
    answer = await client.add(AddRequest(key=key, value=2), idempotency_key="other")
    assert (answer.old_value, answer.new_value) == (2, 4)


async def test_IDEM_04_whoever_has_the_key_attaches(world: World) -> None:
    await world.start(Waiter())
    key, client = world.key(), WaiterClient(world.caller)
    first = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    assert first.status is SendStatus.ACCEPTED
    handle = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    attached = asyncio.ensure_future(handle.attach())
    id_ = await held(world, key)
    await world.env.settle()
    assert await handle.output() is None
    assert not attached.done()
    await world.caller.resolve_awakeable(id_, "response")
    assert (await attached).value == "response"
    assert (await handle.output()).value == "response"


async def test_IDEM_07_two_increments_with_one_key_count_once(world: World) -> None:
    await world.start(Counter())
    key, client = world.key(), CounterClient(world.caller)
    for _ in range(2):
        assert (await client.add(AddRequest(key=key, value=1), idempotency_key="k")).new_value == 1


@pytest.mark.parametrize("object_", [False, True])
async def test_IDEM_08_a_completed_invocation_answers_at_once(world: World, object_: bool) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return str(ctx.uuid())

    lab, object_lab = Lab(body), LabObject(body)
    await world.start(lab, object_lab)
    client = LabObjectClient(world.caller) if object_ else LabClient(world.caller)
    texts = [(await client.do(LabRequest(key="k"), idempotency_key="i")).text for _ in range(3)]
    assert len(set(texts)) == 1
    assert lab.attempts + object_lab.attempts == 1


async def test_IDEM_09_a_caller_who_comes_later_gets_the_result_too(world: World) -> None:
    await world.start(Waiter())
    key, client = world.key(), WaiterClient(world.caller)
    calls = [asyncio.ensure_future(client.run(HolderRequest(key=key), idempotency_key="k")) for _ in range(3)]
    id_ = await held(world, key)
    await world.env.settle()
    assert not any(call.done() for call in calls)
    await world.caller.resolve_awakeable(id_, "for all")
    assert [(await call).value for call in calls] == ["for all"] * 3


async def test_IDEM_10_a_second_send_while_it_runs_is_not_new(world: World) -> None:
    await world.start(Waiter())
    key, client = world.key(), WaiterClient(world.caller)
    first = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    await held(world, key)
    second = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    assert (second.status, second.invocation_id) == (SendStatus.PREVIOUSLY_ACCEPTED, first.invocation_id)


async def test_IDEM_11_a_second_send_while_it_is_queued_is_not_new(world: World) -> None:
    await world.start(LabObject(do=wait_for_it, once=wait_for_it), skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    await client.do.send(LabRequest(key=key))
    queued = await client.once.send(LabRequest(key=key), idempotency_key="k")
    await world.env.settle()
    assert await world.status(queued.invocation_id) == "queued"
    again = await client.once.send(LabRequest(key=key), idempotency_key="k")
    assert (again.status, again.invocation_id) == (SendStatus.PREVIOUSLY_ACCEPTED, queued.invocation_id)


async def test_IDEM_12_a_handler_attaches_to_another_invocation(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        sent = await WaiterClient(ctx).run.send(HolderRequest(key=request.key))
        return (await ctx.attach(sent)).value

    await world.start(Lab(body), Waiter())
    key = world.key()
    sent = await LabClient(world.caller).do.send(LabRequest(key=key))
    await world.caller.resolve_awakeable(await held(world, key), "attached")
    assert (await sent.attach()).text == "attached"


async def test_IDEM_12_attaching_to_an_unknown_invocation_is_an_error(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.attach(request.text)

    await world.start(Lab(body))
    unknown = (await LabClient(world.caller).do.send(LabRequest())).invocation_id[:-4] + "0000"
    with pytest.raises(TerminalError):
        await LabClient(world.caller).do(LabRequest(text=unknown))


async def test_IDEM_16_the_id_follows_from_handler_key_and_idempotency_key(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> None:
        return None

    await world.start(LabObject(body), Lab(body))
    client = LabObjectClient(world.caller)

    async def id_of(method: Any, key: str, idempotency_key: str) -> str:
        return str((await method.send(LabRequest(key=key), idempotency_key=idempotency_key)).invocation_id)

    same = [await id_of(client.do, "a", "k") for _ in range(2)]
    others = [await id_of(client.do, "b", "k"), await id_of(client.once, "a", "k"), await id_of(client.do, "a", "l")]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 4


async def test_IDEM_20_the_same_request_gives_the_first_result_and_another_is_told_apart(world: World) -> None:
    """Tighter than the catalogue, which discards the other arguments in silence."""
    executed: list[str] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        executed.append(request.text)
        return request.text

    lab = Lab(body)
    await world.start(lab)
    client = LabClient(world.caller)
    for _ in range(2):
        assert (await client.do(LabRequest(text="first"), idempotency_key="k")).text == "first"
    first = await client.do.send(LabRequest(text="first"), idempotency_key="k")
    journal = await world.journal(first.invocation_id)
    for ask in (client.do, client.do.send):
        with pytest.raises(IdempotencyKeyReused) as caught:
            await ask(LabRequest(text="other"), idempotency_key="k")
        assert caught.value.invocation_id == first.invocation_id
        assert first.invocation_id in caught.value.message
        assert "Lab/Do" in caught.value.message
    assert set(executed) == {"first"}
    assert await world.journal(first.invocation_id) == journal
    assert (await client.do(LabRequest(text="other"), idempotency_key="l")).text == "other"


async def test_IDEM_20_a_handler_hears_that_its_key_belongs_to_another_request(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        if request.text != "caller":
            return request.text
        answers = []
        for text in ("first", "first", "other"):
            try:
                answers.append((await LabClient(ctx).do(LabRequest(text=text), idempotency_key="k")).text)
            except TerminalError as error:
                answers.append(error.code.name)
        return ",".join(answers)

    await world.start(Lab(body))
    answer = await LabClient(world.caller).do(LabRequest(text="caller"))
    assert answer.text == "first,first,ALREADY_EXISTS"


async def test_IDEM_20_a_handler_that_sends_another_request_with_a_used_key_ends(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        if request.text == "caller":
            for text in ("first", "other"):
                await LabClient(ctx).do.send(LabRequest(text=text), idempotency_key="k")
            await ctx.sleep(timedelta(days=1))
        return request.text

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest(text="caller"))
    with pytest.raises(TerminalError) as caught:
        await sent.attach()
    assert caught.value.code is StatusCode.ALREADY_EXISTS
    assert await world.status(sent.invocation_id) == "completed"
    assert (await LabClient(world.caller).do(LabRequest(text="first"), idempotency_key="k")).text == "first"


async def test_IDEM_16_the_same_keys_find_the_invocation_that_the_send_made(world: World) -> None:
    await world.start(Waiter())
    key, client = world.key(), WaiterClient(world.caller)
    named = client.run.handle(key=key, idempotency_key="k")
    with pytest.raises(InvocationNotFound):
        await named.lookup()
    sent = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    for one in (named, client.run.handle(sent.invocation_id)):
        found = await one.lookup()
        assert (found.invocation_id, found.key, found.completed) == (sent.invocation_id, key, False)
    attached = asyncio.ensure_future(named.attach())
    id_ = await held(world, key)
    assert await named.output() is None
    await world.caller.resolve_awakeable(id_, "found")
    assert (await attached).value == "found"
    assert (await named.lookup()).completed


async def test_IDEM_16_what_is_running_is_found_and_cancelled_after_a_restart(world: World) -> None:
    await world.start(Waiter(), skip_time=False)
    key, client = world.key(), WaiterClient(world.caller)
    sent = await client.run.send(HolderRequest(key=key), idempotency_key="k")
    await held(world, key)
    await world.env.restart()
    named = client.run.handle(key=key, idempotency_key="k")
    assert (await named.lookup()).invocation_id == sent.invocation_id
    await named.cancel()
    with pytest.raises(TerminalError) as caught:
        await named.attach()
    assert caught.value.code is StatusCode.CANCELLED


async def test_IDEM_22_an_empty_key_is_refused(world: World) -> None:
    await world.start(Counter())
    with pytest.raises((InvalidRequest, ValueError)):
        await CounterClient(world.caller).add(AddRequest(key="k", value=1), idempotency_key="")


async def test_IDEM_12_a_result_that_was_never_kept_is_not_found(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> None:
        return None

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).not_kept.send(LabRequest())
    await world.pass_time(seconds=1)
    with pytest.raises(InvocationNotFound):
        await sent.output()
