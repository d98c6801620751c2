"""§19: pause, resume, restart as new."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from restate_sdk import StatusCode, TerminalError

from .generated import LabClient, LabObjectClient, LabRequest, LabResponse
from .services.lab import Lab, LabObject
from .world import World


async def nap(ctx: Any, request: LabRequest) -> object:
    await ctx.sleep(timedelta(hours=1))
    return "slept"


class RestartInvocation:
    """RestartInvocation of §26.2: fails while it is told to, and says which value its run recorded."""

    def __init__(self) -> None:
        self.value = "old"
        self.failing = True
        self.uuids: list[str] = []

    async def echo(self, ctx: Any, request: LabRequest) -> object:
        self.uuids.append(str(ctx.uuid()))
        origin = await ctx.run("from", self._read)
        if self.failing:
            raise TerminalError("Sorry, can't make any progress")
        return f"{request.text} from {origin}"

    async def _read(self) -> str:
        return self.value


async def failed_once(world: World) -> tuple[RestartInvocation, str]:
    """An invocation that failed, and the handler mended since."""
    service = RestartInvocation()
    await world.start(Lab(do=service.echo, other=attach))
    sent = await LabClient(world.caller).do.send(LabRequest(text="my-input"))
    with pytest.raises(TerminalError, match="can't make any progress"):
        await sent.attach()
    service.failing, service.value = False, "new"
    return service, sent.invocation_id


async def attach(ctx: Any, request: LabRequest) -> object:
    return await ctx.attach(request.text, LabResponse)


async def result(world: World, invocation_id: str) -> str:
    """The text that an invocation of Lab.Do ended with, read by a handler."""
    return str((await LabClient(world.caller).other(LabRequest(text=invocation_id))).text)


async def test_PAUSE_02_a_paused_invocation_goes_on_with_mended_code(world: World) -> None:
    async def broken() -> str:
        raise ValueError("old version")

    async def fixed() -> str:
        return "Success in new version!"

    async def old(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("operation", broken)

    async def new(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("operation", fixed)

    await world.start(Lab(old), version="v1", skip_time=False)
    sent = await LabClient(world.caller).pause_after_two.send(LabRequest())
    await world.pass_time(seconds=1)
    assert await world.status(sent.invocation_id) == "paused"
    deployment = await world.deploy(Lab(new), version="v2")
    await world.env.admin.resume(sent.invocation_id, deployment_id=deployment)
    assert (await sent.attach()).text == "Success in new version!"
    assert (await world.invocation(sent.invocation_id)).deployment_id == deployment


async def test_PAUSE_03_a_restart_begins_anew(world: World) -> None:
    _, failed = await failed_once(world)
    again = await world.env.admin.restart(failed)
    assert again != failed
    assert await result(world, again) == "my-input from new"
    assert await world.status(failed) == "completed"


async def test_PAUSE_04_a_restart_keeps_the_entries_it_is_told_to(world: World) -> None:
    _, failed = await failed_once(world)
    entries = len(await world.journal(failed)) - 1  # all but the output
    again = await world.env.admin.restart(failed, entries=entries)
    assert await result(world, again) == "my-input from old"


async def test_PAUSE_05_to_06_a_restart_has_the_same_random_numbers(world: World) -> None:
    service, failed = await failed_once(world)
    again = await world.env.admin.restart(failed)
    await world.until_status(again, "completed")
    assert len(set(service.uuids)) == 1


async def test_PAUSE_08_the_verbs_say_what_they_cannot_do(world: World) -> None:
    async def quick(ctx: Any, request: LabRequest) -> object:
        return None

    await world.start(Lab(do=nap, other=quick), skip_time=False)
    client, admin = LabClient(world.caller), world.env.admin
    running = await client.do.send(LabRequest())
    await world.env.settle()
    await admin.pause(running.invocation_id)
    await world.until_status(running.invocation_id, "paused")
    await admin.pause(running.invocation_id)
    done = await client.other.send(LabRequest())
    await done.attach()
    for verb in (admin.pause, admin.resume):
        with pytest.raises(TerminalError) as caught:
            await verb(done.invocation_id)
        assert caught.value.code is StatusCode.FAILED_PRECONDITION
    verbs: tuple[Any, ...] = (admin.pause, admin.resume, admin.restart)
    for verb in verbs:
        with pytest.raises(TerminalError) as caught:
            await verb(done.invocation_id[:-4] + "0000")
        assert caught.value.code is StatusCode.NOT_FOUND


@pytest.mark.parametrize("how", ["waits", "backs off"])
async def test_PAUSE_09_a_paused_invocation_does_nothing_until_it_is_resumed(world: World, how: str) -> None:
    failures: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        if how == "waits":
            return await nap(ctx, request)
        failures.append(1)
        if len(failures) < 3:
            raise ValueError("again")
        return "slept"

    lab = Lab(body)
    await world.start(lab, skip_time=False)
    sent = await LabClient(world.caller).defaults.send(LabRequest())
    await world.env.settle()
    await world.env.admin.pause(sent.invocation_id)
    await world.until_status(sent.invocation_id, "paused")
    before = lab.attempts
    await world.pass_time(hours=2)
    assert (await world.status(sent.invocation_id), lab.attempts) == ("paused", before)
    if how == "backs off":
        assert "again" in (await world.invocation(sent.invocation_id)).last_failure.message
    await world.env.admin.resume(sent.invocation_id)
    await world.pass_time(hours=1)
    assert (await sent.attach()).text == "slept"


async def test_PAUSE_10_to_13_a_pause_during_a_run_stays_a_pause(world: World) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        entered.set()
        await leave.wait()
        return "done"

    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("slow", slow)

    await world.start(Lab(body), skip_time=False)
    sent = await LabClient(world.caller).do.send(LabRequest())
    await entered.wait()
    await world.env.admin.pause(sent.invocation_id)
    leave.set()
    await world.pass_time(hours=1)
    assert await world.status(sent.invocation_id) == "paused"
    await world.env.admin.resume(sent.invocation_id)
    assert (await sent.attach()).text == "done"


async def test_PAUSE_14_each_prefix_of_the_journal_keeps_its_steps(world: World) -> None:
    executed: list[str] = []

    async def step(name: str) -> str:
        executed.append(name)
        return name

    async def body(ctx: Any, request: LabRequest) -> object:
        return [await ctx.run(f"step {number}", step, str(number)) for number in range(5)]

    await world.start(Lab(body))
    sent = await LabClient(world.caller).do.send(LabRequest())
    await sent.attach()
    types = await world.journal(sent.invocation_id)
    for done in (0, 2, 5):
        executed.clear()
        again = await world.env.admin.restart(sent.invocation_id, entries=_prefix(types, done))
        await world.until_status(again, "completed")
        assert executed == [str(number) for number in range(done, 5)]


def _prefix(types: list[str], steps: int) -> int:
    """How many entries there are up to the end of that many steps."""
    if steps == 0:
        return 1
    ends = [index for index, type_ in enumerate(types) if type_ == "completion"]
    return (ends[steps - 1] if ends else steps) + 1


async def test_ORD_10_a_restart_on_a_key_that_is_held_is_queued(world: World) -> None:
    async def quick(ctx: Any, request: LabRequest) -> object:
        return None

    await world.start(LabObject(do=nap, once=quick), skip_time=False)
    key, client = world.key(), LabObjectClient(world.caller)
    done = await client.once.send(LabRequest(key=key))
    await done.attach()
    holder = await client.do.send(LabRequest(key=key))
    await world.env.settle()
    again = await world.env.admin.restart(done.invocation_id)
    await world.env.settle()
    assert await world.status(again) == "queued"
    await world.env.admin.kill(holder.invocation_id)
    await world.until_status(again, "completed")
