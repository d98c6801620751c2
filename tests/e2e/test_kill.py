"""kill -9 of runtime and endpoint at every point that matters. Nothing acknowledged is lost, no recorded step runs
again, no two handlers of a key overlap."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e import calls
from tests.e2e.processes import World, wait_for

pytestmark = pytest.mark.e2e

STEPS = 5


def check_steps(world: World, reply: Any) -> None:
    """Every step gave a result once it was recorded, and never ran after that."""
    marks = world.marks()
    assert reply.count == STEPS
    for number, value in enumerate(reply.text.split(",")):
        recorded = [mark for mark in marks if mark.startswith(f"recorded {number} ")]
        assert set(recorded) == {f"recorded {number} {value}"}, "a recorded result changed"
        first = marks.index(recorded[0])
        assert f"begin {number}" not in marks[first:], f"step {number} ran again after it was recorded"


def check_objects(world: World) -> None:
    """Handlers of a key came one after the other."""
    holder: dict[str, str] = {}
    for mark in world.marks():
        word, _, rest = mark.partition(" ")
        if word not in ("in", "out"):
            continue
        key, _, invocation = rest.partition(" ")
        if word == "in":
            assert holder.get(key) in (None, invocation), f"{invocation} ran while {holder[key]} held {key}"
            holder[key] = invocation
        else:
            del holder[key]
    assert not holder


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, STEPS + 3))
async def test_the_runtime_dies_around_a_commit_of_a_handler_with_steps(world: World, moment: str, number: int) -> None:
    runtime = world.runtime(dies=(moment, number))
    world.endpoint()
    world.register()
    world.arm()
    calling = asyncio.create_task(calls.plain(world, "steps", STEPS))
    assert await asyncio.to_thread(runtime.wait_dead) == -9
    world.runtime()
    check_steps(world, await calling)


@pytest.mark.parametrize(
    "mark",
    [
        "start",
        "begin 0",
        "end 0",
        "recorded 0",
        "begin 2",
        "end 2",
        "recorded 2",
        "begin 4",
        "end 4",
        "recorded 4",
        "finish",
    ],
)
async def test_the_endpoint_dies_in_a_handler_with_steps(world: World, mark: str) -> None:
    world.runtime()
    endpoint = world.endpoint(kill_at=mark)
    world.register()
    calling = asyncio.create_task(calls.plain(world, "steps", STEPS))
    assert await asyncio.to_thread(endpoint.wait_dead) == -9
    world.endpoint()
    check_steps(world, await calling)


@pytest.mark.parametrize("who", ["runtime", "endpoint", "both"])
async def test_a_sleep_outlives_them(world: World, who: str) -> None:
    runtime = world.runtime()
    endpoint = world.endpoint()
    world.register()
    calling = asyncio.create_task(calls.plain(world, "sleep", 1_500))
    await asyncio.to_thread(wait_for, lambda: "end 0" in world.marks(), "the handler to sleep")
    # First all that dies, then all that comes back: nothing may die when the sleep is over and the next step runs.
    if who != "endpoint":
        runtime.kill()
    if who != "runtime":
        endpoint.kill()
        world.endpoint()
    if who != "endpoint":
        world.runtime()
    reply = await calling
    assert reply.text == "sleep"
    assert world.marks().count("begin 1") == 1


@pytest.mark.parametrize("mark", ["enter called", "work called", "leave called"])
async def test_the_endpoint_dies_in_a_called_object(world: World, mark: str) -> None:
    world.runtime()
    endpoint = world.endpoint(kill_at=mark)
    world.register()
    calling = asyncio.create_task(calls.plain(world, "call", 7))
    assert await asyncio.to_thread(endpoint.wait_dead) == -9
    world.endpoint()
    assert (await calling).count == 7
    check_objects(world)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [2, 3, 4, 5])
async def test_the_runtime_dies_while_one_service_calls_another(world: World, moment: str, number: int) -> None:
    runtime = world.runtime(dies=(moment, number))
    world.endpoint()
    world.register()
    world.arm()
    calling = asyncio.create_task(calls.plain(world, "call", 7))
    assert await asyncio.to_thread(runtime.wait_dead) == -9
    world.runtime()
    assert (await calling).count == 7
    check_objects(world)


@pytest.mark.parametrize("who", ["runtime", "endpoint"])
async def test_a_queue_of_a_key_outlives_them(world: World, who: str) -> None:
    runtime = world.runtime()
    endpoint = world.endpoint(kill_at="enter k" if who == "endpoint" else "")
    world.register()
    adding = [asyncio.create_task(calls.add(world, "k", key=f"add-{number}")) for number in range(6)]
    if who == "endpoint":
        assert await asyncio.to_thread(endpoint.wait_dead) == -9
        world.endpoint()
    else:
        await asyncio.to_thread(wait_for, lambda: "enter k" in world.marks(), "a handler to run")
        runtime.kill()
        world.runtime()
    counts = sorted(reply.count for reply in await asyncio.gather(*adding))
    assert counts == [1, 2, 3, 4, 5, 6]
    check_objects(world)


async def test_a_promise_outlives_both(world: World) -> None:
    runtime = world.runtime()
    endpoint = world.endpoint()
    world.register()
    handle = await calls.start_flow(world, "f")
    await asyncio.to_thread(wait_for, lambda: "run" in world.marks(), "the workflow to run")
    runtime.kill()
    endpoint.kill()
    world.runtime()
    world.endpoint()
    await calls.tell(world, "f", "hello")
    assert await calls.attach(world, handle) == "hello"


async def test_sigterm_lets_what_runs_finish(world: World) -> None:
    runtime = world.runtime()
    endpoint = world.endpoint()
    world.register()
    calling = asyncio.create_task(calls.plain(world, "sleep", 500))
    await asyncio.to_thread(wait_for, lambda: "end 0" in world.marks(), "the handler to sleep")
    code = await asyncio.to_thread(runtime.terminate)
    assert code == 0, runtime.log.read_text()
    world.runtime()
    assert (await calling).text == "sleep"
    assert await asyncio.to_thread(endpoint.terminate) == 0, endpoint.log.read_text()
