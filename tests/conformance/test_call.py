"""§1: calls, one-way calls, delayed ones, and calls through a proxy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from restate_client import UnknownHandler
from restate_sdk import TerminalError, gather

from .generated import (
    COUNTER,
    TOOLS,
    AddRequest,
    AddResponse,
    CounterClient,
    CounterRequest,
    LabClient,
    LabObjectClient,
    LabRequest,
    ManyCallsRequest,
    ProxyClient,
    ProxyRequest,
    ToolRequest,
    ToolResponse,
    ToolsClient,
)
from .services.counter import Counter
from .services.lab import Lab, LabObject
from .services.proxy import Proxy
from .services.tools import Tools
from .world import World


def proxy() -> Proxy:
    return Proxy((COUNTER, CounterClient), (TOOLS, ToolsClient))


def add(key: str, **more: Any) -> ProxyRequest:
    """A proxied Counter.Add of 1."""
    message = AddRequest(key=key, value=1).to_binary()
    return ProxyRequest(service="conformance.v1.Counter", handler="Add", message=message, **more)


async def count(world: World, key: str) -> int:
    return int((await CounterClient(world.caller).get(CounterRequest(key=key))).value)


async def until_count(world: World, key: str, expected: int) -> None:
    async def reached() -> bool:
        return await count(world, key) == expected

    await world.until(reached, f"{key} to be {expected}")


async def test_CALL_01_a_call_goes_through_the_proxy_and_back(world: World) -> None:
    await world.start(proxy(), Tools())
    message = ToolRequest(text="ping").to_binary()
    request = ProxyRequest(service="conformance.v1.Tools", handler="UppercaseEcho", message=message)
    answer = await ProxyClient(world.caller).call(request)
    assert ToolResponse.from_binary(answer.message).text == "PING"


async def test_CALL_02_a_one_way_call_gives_the_callees_id(world: World) -> None:
    await world.start(proxy(), Counter())
    key = world.key()
    sent = await ProxyClient(world.caller).one_way_call(add(key))
    await until_count(world, key, 1)
    assert (await world.invocation(sent.invocation_id)).handler == "Add"


async def test_CALL_03_one_way_calls_with_one_idempotency_key_are_one_invocation(world: World) -> None:
    await world.start(proxy(), Counter())
    key = world.key()
    sent = [await ProxyClient(world.caller).one_way_call(add(key, idempotency_key="k")) for _ in range(5)]
    await until_count(world, key, 1)
    assert len({one.invocation_id for one in sent}) == 1
    again = await CounterClient(world.caller).add.send(AddRequest(key=key, value=1), idempotency_key="k")
    assert again.invocation_id == sent[0].invocation_id
    output = await again.output()
    assert (output.old_value, output.new_value) == (0, 1)
    assert await count(world, key) == 1


async def test_CALL_04_calls_with_one_idempotency_key_have_one_result(world: World) -> None:
    await world.start(proxy(), Counter())
    key = world.key()
    for _ in range(4):
        answer = await ProxyClient(world.caller).call(add(key, idempotency_key="k"))
        result = AddResponse.from_binary(answer.message)
        assert (result.old_value, result.new_value) == (0, 1)
    assert await count(world, key) == 1


async def test_CALL_05_delays_do_not_hold_the_key(world: World) -> None:
    await world.start(proxy(), Counter(), skip_time=False)
    key = world.key()
    sent = [await ProxyClient(world.caller).one_way_call(add(key, delay_ms=5_000)) for _ in range(10)]
    await world.pass_time(seconds=4.999)
    assert await count(world, key) == 0
    assert {await world.status(one.invocation_id) for one in sent} == {"scheduled"}
    await world.pass_time(seconds=0.001)
    assert await count(world, key) == 10


@pytest.mark.parametrize("one_way", [False, True])
async def test_CALL_06_to_07_a_call_of_an_unknown_service_waits_for_it(world: World, one_way: bool) -> None:
    """CALL-06 for calls, CALL-07 for one-way calls."""
    proxied = proxy()
    await world.start(proxied, skip_time=False)
    key = world.key()
    client = ProxyClient(world.caller)
    sent = await (client.one_way_call if one_way else client.call).send(add(key))
    for _ in range(3):
        await world.pass_time(seconds=1)
    assert (await world.invocation(sent.invocation_id)).retry_count >= 2
    await world.deploy(Counter())
    await world.pass_time(minutes=1)
    assert await sent.output() is not None
    assert await count(world, key) == 1


async def test_CALL_08_a_call_of_an_unknown_service_ends_by_the_callers_policy(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return await LabObjectClient(ctx).do(LabRequest(key="none"))

    lab = Lab(body)
    await world.start(lab)
    with pytest.raises(TerminalError, match="LabObject"):
        await LabClient(world.caller).kill_after_two(LabRequest())
    assert lab.attempts == 2


async def test_CALL_08_a_caller_outside_hears_of_an_unknown_service_at_once(world: World) -> None:
    await world.start(Counter())
    with pytest.raises(UnknownHandler):
        await LabClient(world.caller).do(LabRequest())


async def test_CALL_10_a_call_after_a_one_way_call_to_one_key_sees_what_it_did(world: World) -> None:
    async def complex_(ctx: Any, request: LabRequest) -> object:
        await ctx.sleep(timedelta(milliseconds=request.count))
        key = await ctx.run("key", lambda: "receiver", returns=str)
        await LabObjectClient(ctx).do.send(LabRequest(key=key, text=request.text))
        return (await LabObjectClient(ctx).once(LabRequest(key=key))).text

    async def set_(ctx: Any, request: LabRequest) -> None:
        ctx.state.text.set(request.text)

    async def get(ctx: Any, request: LabRequest) -> object:
        return await ctx.state.text.get()

    await world.start(Lab(complex_), LabObject(do=set_, once=get))
    began = world.now
    answer = await LabClient(world.caller).do(LabRequest(text="foobar", count=100))
    assert answer.text == "foobar"
    assert world.now - began >= timedelta(milliseconds=100)


async def test_CALL_14_awaiting_one_future_twice_is_one_command(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        call = ToolsClient(ctx).echo(ToolRequest(text="x"))
        return (await call).text + (await call).text

    await world.start(Lab(body), Tools())
    sent = await LabClient(world.caller).do.send(LabRequest())
    assert (await sent.attach()).text == "xx"
    assert (await world.journal(sent.invocation_id)).count("call") == 1


async def test_CALL_17_a_call_carries_headers_and_is_two_entries(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return (await ToolsClient(ctx).echo_headers(ToolRequest(), headers={"x-foo": "bar"})).headers.items()

    await world.start(Lab(body), Tools())
    sent = await LabClient(world.caller).do.send(LabRequest())
    assert "('x-foo', 'bar')" in (await sent.attach()).items
    assert await world.journal(sent.invocation_id) == ["input", "call", "completion", "output"]


async def test_CALL_18_a_send_is_one_entry_with_or_without_a_delay(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        utils = ToolsClient(ctx)
        now = await utils.echo.send(ToolRequest())
        later = await utils.echo.send(ToolRequest(), delay=timedelta(hours=1))
        return [now.invocation_id, later.invocation_id]

    await world.start(Lab(body), Tools())
    sent = await LabClient(world.caller).do.send(LabRequest())
    now, later = (await sent.attach()).items
    assert await world.journal(sent.invocation_id) == ["input", "send", "send", "output"]
    assert (await world.invocation(now)).scheduled_for_ms in (None, 0)
    assert (await world.invocation(later)).scheduled_for_ms == world.env.clock.now_ms + 3_600_000


async def test_CALL_20_none_comes_back_as_none(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return [await ctx.run("some", lambda: "hi", returns=str), await ctx.run("none", lambda: None)]

    await world.start(Lab(body))
    assert (await LabClient(world.caller).do(LabRequest())).items == ["hi", "None"]


async def test_CALL_21_a_client_calls_and_sends(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return f"Hello {request.text}!"

    await world.start(Lab(body))
    client = LabClient(world.caller)
    assert (await client.do(LabRequest(text="Pippo"))).text == "Hello Pippo!"
    sent = await client.do.send(LabRequest(text="Pluto"))
    assert sent.invocation_id.startswith("inv_")
    assert (await sent.attach()).text == "Hello Pluto!"


async def test_CALL_23_a_callee_is_retried_by_its_own_policy(world: World) -> None:
    async def parent(ctx: Any, request: LabRequest) -> object:
        return await LabClient(ctx).kill_after_three(LabRequest())

    executed = 0

    async def child(ctx: Any, request: LabRequest) -> object:
        nonlocal executed
        executed += 1
        raise ValueError(f"attempt {executed}")

    await world.start(Lab(do=parent, kill_after_three=child))
    with pytest.raises(TerminalError, match="attempt 3"):
        await LabClient(world.caller).do(LabRequest())
    assert executed == 3


async def test_CALL_24_two_calls_under_one_idempotency_key_execute_once(world: World) -> None:
    async def parent(ctx: Any, request: LabRequest) -> object:
        client = LabClient(ctx)
        first = client.other(LabRequest(text="one"), idempotency_key="k")
        second = client.other(LabRequest(text="one"), idempotency_key="k")
        return [one.text for one in await gather(first, second)]

    executed = 0

    async def child(ctx: Any, request: LabRequest) -> object:
        nonlocal executed
        executed += 1
        return request.text

    await world.start(Lab(do=parent, other=child))
    assert (await LabClient(world.caller).do(LabRequest())).items == ["one", "one"]
    assert executed == 1


async def test_CALL_25_an_idempotency_key_belongs_to_one_handler(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        return request.text

    await world.start(Lab(body))
    client = LabClient(world.caller)
    first = await client.do(LabRequest(text="do"), idempotency_key="k")
    second = await client.other(LabRequest(text="other"), idempotency_key="k")
    assert (first.text, second.text) == ("do", "other")


async def test_CALL_26_a_call_that_nobody_awaits_fails_alone(world: World) -> None:
    async def parent(ctx: Any, request: LabRequest) -> object:
        sent = await LabClient(ctx).other.send(LabRequest())
        LabClient(ctx).other(LabRequest())
        return sent.invocation_id

    async def child(ctx: Any, request: LabRequest) -> object:
        raise TerminalError("the child's own")

    await world.start(Lab(do=parent, other=child))
    child_id = (await LabClient(world.caller).do(LabRequest())).text
    await world.until_status(child_id, "completed")
    error = (await world.invocation(child_id)).error
    assert error is not None
    assert error.message == "the child's own"


async def test_CALL_02_many_calls_overlap_and_keep_their_order(world: World) -> None:
    await world.start(proxy(), Counter())
    key = world.key()
    one = ManyCallsRequest.One
    calls = [one(request=add(key), one_way=number % 2 == 0, await_at_the_end=number % 2 == 1) for number in range(10)]
    answer = await ProxyClient(world.caller).many_calls(ManyCallsRequest(calls=calls))
    assert [AddResponse.from_binary(data).new_value for data in answer.messages] == [2, 4, 6, 8, 10]
    assert await count(world, key) == 10
