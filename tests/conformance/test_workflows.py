"""§7: workflows and their promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from restate_client import SendStatus, WorkflowAlreadyStarted
from restate_client.errors import InvalidRequest
from restate_sdk import StatusCode, TerminalError

from .generated import BlockAndWaitClient, BlockRequest, LabFlowClient, LabRequest
from .services.flows import BlockAndWait
from .services.lab import LabFlow
from .world import World


async def until_state(world: World, key: str) -> str:
    """The state of the workflow, once it has one."""

    async def there() -> str:
        return str((await BlockAndWaitClient(world.caller).get_state(BlockRequest(key=key))).text)

    return str(await world.until(there, "the workflow's state"))


async def test_WF_01_a_promise_lets_the_run_go_on(world: World) -> None:
    await world.start(BlockAndWait())
    client, key = BlockAndWaitClient(world.caller), world.key()
    sent = await client.run.send(BlockRequest(key=key, text="Francesco"))
    assert sent.status is SendStatus.ACCEPTED
    assert await until_state(world, key) == "Francesco"
    await client.unblock(BlockRequest(key=key, text="Till"))
    assert (await sent.attach()).text == "Till"
    assert (await sent.output()).text == "Till"
    again = await client.run.send(BlockRequest(key=key, text="Francesco"))
    assert (again.status, again.invocation_id) == (SendStatus.PREVIOUSLY_ACCEPTED, sent.invocation_id)
    assert (await again.output()).text == "Till"


async def test_WF_02_a_second_call_of_run_is_refused_and_the_first_caller_gets_the_result(world: World) -> None:
    await world.start(BlockAndWait())
    client, key = BlockAndWaitClient(world.caller), world.key()
    first = asyncio.ensure_future(client.run(BlockRequest(key=key, text="x")))
    await until_state(world, key)
    with pytest.raises(WorkflowAlreadyStarted):
        await client.run(BlockRequest(key=key, text="x"))
    await client.unblock(BlockRequest(key=key, text="done"))
    assert (await first).text == "done"
    with pytest.raises(WorkflowAlreadyStarted):
        await client.run(BlockRequest(key=key, text="x"))


async def test_WF_03_after_its_retention_a_workflow_may_run_again(world: World) -> None:
    await world.start(BlockAndWait(), skip_time=False)
    client, key = BlockAndWaitClient(world.caller), world.key()
    sent = await client.run.send(BlockRequest(key=key, text="first"))
    await client.unblock(BlockRequest(key=key, text="done"))
    await sent.attach()
    kept = await world.invocation(sent.invocation_id)
    assert kept.expires_at_ms == kept.completed_at_ms + 60_000
    await world.pass_time(seconds=59)
    assert (await client.get_state(BlockRequest(key=key))).text == "first"
    await world.pass_time(seconds=2)
    assert (await client.get_state(BlockRequest(key=key))).text == ""
    again = await client.run.send(BlockRequest(key=key, text="second"))
    assert again.status is SendStatus.ACCEPTED
    await world.until_waits(again.invocation_id)


async def test_WF_04_a_second_send_gives_a_handle_to_attach_to(world: World) -> None:
    await world.start(BlockAndWait())
    client, key = BlockAndWaitClient(world.caller), world.key()
    await client.run.send(BlockRequest(key=key, text="x"))
    await until_state(world, key)
    while_running = asyncio.ensure_future((await client.run.send(BlockRequest(key=key))).attach())
    await world.env.settle()
    assert not while_running.done()
    await client.unblock(BlockRequest(key=key, text="done"))
    assert (await while_running).text == "done"
    assert (await (await client.run.send(BlockRequest(key=key))).attach()).text == "done"


async def test_WF_05_shared_handlers_run_beside_the_run(world: World) -> None:
    async def run(ctx: Any, request: LabRequest) -> object:
        ctx.state.text.set("set")
        return await ctx.promises.answer

    async def ask(ctx: Any, request: LabRequest) -> object:
        if request.text:
            await ctx.promises.answer.resolve(request.text)
        return await ctx.state.text.get()

    await world.start(LabFlow(run=run, ask=ask))
    client, key = LabFlowClient(world.caller), world.key()
    assert (await client.ask(LabRequest(key=key))).text == ""
    sent = await client.run.send(LabRequest(key=key))
    await world.until_waits(sent.invocation_id)
    asked = await asyncio.gather(*(client.ask(LabRequest(key=key)) for _ in range(5)))
    assert [one.text for one in asked] == ["set"] * 5
    await client.ask(LabRequest(key=key, text="go"))
    assert (await sent.attach()).text == "go"
    assert (await client.ask(LabRequest(key=key))).text == "set"


async def test_WF_06_a_run_takes_no_idempotency_key(world: World) -> None:
    await world.start(BlockAndWait())
    with pytest.raises(InvalidRequest, match="idempotency"):
        await BlockAndWaitClient(world.caller).run(BlockRequest(key=world.key()), idempotency_key="k")


async def test_WF_07_a_promise_is_completed_once(world: World) -> None:
    await world.start(BlockAndWait())
    client, key = BlockAndWaitClient(world.caller), world.key()
    await client.unblock(BlockRequest(key=key, text="first"))
    for again in (client.unblock, client.refuse):
        with pytest.raises(TerminalError) as caught:
            await again(BlockRequest(key=key, text="second"))
        assert caught.value.code is StatusCode.FAILED_PRECONDITION
    sent = await client.run.send(BlockRequest(key=key, text="x"))
    assert (await sent.attach()).text == "first"


@pytest.mark.parametrize("rejected", [False, True])
async def test_WF_08_get_and_peek_see_the_same(world: World, rejected: bool) -> None:
    async def run(ctx: Any, request: LabRequest) -> object:
        seen = [await ctx.promises.answer.peek()]
        if rejected:
            await ctx.promises.answer.reject("no")
        else:
            await ctx.promises.answer.resolve("yes")
        for read in (ctx.promises.answer, ctx.promises.answer.peek()):
            try:
                seen.append(await read)
            except TerminalError as error:
                seen.append(f"error {error.message}")
        return seen

    await world.start(LabFlow(run=run))
    answer = await LabFlowClient(world.caller).run(LabRequest(key=world.key()))
    assert list(answer.items) == (["None", "error no", "error no"] if rejected else ["None", "yes", "yes"])


async def test_WF_09_completing_a_promise_twice_in_one_handler_is_an_error(world: World) -> None:
    async def run(ctx: Any, request: LabRequest) -> object:
        await ctx.promises.answer.resolve("one")
        await ctx.promises.other.reject("two")
        refused = []
        for again in (ctx.promises.answer.reject("x"), ctx.promises.other.resolve("x")):
            try:
                await again
            except TerminalError as error:
                refused.append(error.code.name)
        return refused

    await world.start(LabFlow(run=run))
    answer = await LabFlowClient(world.caller).run(LabRequest(key=world.key()))
    assert list(answer.items) == ["FAILED_PRECONDITION"] * 2


async def test_WF_10_a_rejected_promise_fails_the_run(world: World) -> None:
    await world.start(BlockAndWait())
    client, key = BlockAndWaitClient(world.caller), world.key()
    sent = await client.run.send(BlockRequest(key=key, text="x"))
    await client.refuse(BlockRequest(key=key, text="refused"))
    for read in (sent.attach, sent.output):
        with pytest.raises(TerminalError, match="refused"):
            await read()


async def test_WF_11_a_payment_waits_to_be_verified(world: World) -> None:
    async def pay(ctx: Any, request: LabRequest) -> object:
        return "Verified " + await ctx.promises.answer

    async def verified(ctx: Any, request: LabRequest) -> None:
        await ctx.promises.answer.resolve(request.text)

    await world.start(LabFlow(run=pay, ask=verified))
    client, key = LabFlowClient(world.caller), world.key()
    paid = asyncio.ensure_future(client.run(LabRequest(key=key)))
    await client.ask(LabRequest(key=key, text="Done!"))
    assert (await paid).text == "Verified Done!"


async def test_WF_13_state_and_promises_can_be_read_after_the_run(world: World) -> None:
    async def run(ctx: Any, request: LabRequest) -> None:
        ctx.state.text.set("first")
        await ctx.promises.answer.resolve("promised")
        ctx.state.text.set("last")

    async def ask(ctx: Any, request: LabRequest) -> object:
        return [await ctx.state.text.get(), await ctx.promises.answer, await ctx.promises.other.peek()]

    await world.start(LabFlow(run=run, ask=ask))
    client, key = LabFlowClient(world.caller), world.key()
    await client.run(LabRequest(key=key))
    assert list((await client.ask(LabRequest(key=key))).items) == ["last", "promised", "None"]
