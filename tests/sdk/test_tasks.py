"""Tasks of a handler at its ends: cancellation, failures, mismatches, suspension, and random programs."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import journal as j
from restate_sdk import DurableFuture, StatusCode, TerminalError, gather

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutClient, CheckoutContext
from .handlers import PAY, Checkout
from .prefixes import replays_from_every_prefix
from .runtime import FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]
DAY = timedelta(days=1)


def text(one: Invocation) -> str:
    found: str = one.result(PayResponse).text
    return found


async def turns_of_the_loop(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("inactivity_ms", [0, 60_000])
async def test_a_cancellation_ends_every_wait_of_the_tasks_and_their_cleanup_awaits(inactivity_ms: int) -> None:
    async def body(ctx: CheckoutContext) -> object:
        async def worker(name: str) -> str:
            try:
                await CheckoutClient(ctx).pay(PayRequest())
            except TerminalError as error:
                return f"{error.code.name} {await ctx.run(f'undo {name}', lambda: name)}"
            return "never"

        return await asyncio.gather(worker("a"), worker("b"))

    async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(lambda it: len(it.commands) > 2 and (inactivity_ms > 0 or len(it.suspensions) > 0))
        await one.cancel()
        await one.ended()
    assert text(one) == "['CANCELLED a', 'CANCELLED b']"
    assert [j.type_name(entry) for entry in one.commands[3:5]] == ["cancel", "cancel"]
    await replays_from_every_prefix(lambda: Checkout(body), PAY, one)


@pytest.mark.parametrize("inactivity_ms", [0, 60_000])
async def test_a_failing_task_of_a_group_cancels_the_others(inactivity_ms: int) -> None:
    async def body(ctx: CheckoutContext) -> object:
        log: list[str] = []

        async def waits() -> None:
            try:
                await ctx.sleep(DAY)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        async def fails(future: DurableFuture[int]) -> None:
            await future

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(waits())
                group.create_task(fails(ctx.awakeable(int)))
        except* TerminalError as errors:
            log += [str(error) for error in errors.exceptions]
        log.append(await ctx.run("undo", lambda: "undone"))
        return log

    async with FakeRuntime(Checkout(body), inactivity_ms=inactivity_ms) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(2)
        await one.signal(1, j.Failure(2, "no"))
        await one.ended()
    assert one.failures == []
    assert text(one) == "['cancelled', 'UNKNOWN: no', 'undone']"
    await replays_from_every_prefix(lambda: Checkout(body), PAY, one)


async def test_a_step_that_changed_in_a_task_is_a_mismatch() -> None:
    def body(name: str) -> Body:
        async def handler(ctx: CheckoutContext) -> object:
            async def worker() -> None:
                await ctx.run(name, lambda: 1)
                await ctx.sleep(DAY)

            return await asyncio.gather(worker(), ctx.awakeable(int))

        return handler

    async with FakeRuntime(Checkout(body("before"))) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(3)
    async with FakeRuntime(Checkout(body("after"))) as runtime:
        again = await runtime.invoke(PAY, PayRequest())
        await again.start(one.entries)
        await again.ended()
    (failed,) = again.failures
    assert failed.failure is not None
    assert "'before'" in failed.failure.message
    assert "'after'" in failed.failure.message


async def test_several_tasks_suspend_on_all_that_they_wait_for() -> None:
    async def body(ctx: CheckoutContext) -> object:
        return await asyncio.gather(ctx.sleep(DAY), gather(ctx.awakeable(int), ctx.awakeable(int)))

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(lambda it: len(it.suspensions) == 1)
        await one.signal(1, j.Value(b"1", j.JSON))
        await turns_of_the_loop()
        assert len(one.suspensions) == 1
        await one.complete(1, j.Void())
        await one.until(lambda it: len(it.suspensions) == 2)
        await one.signal(2, j.Value(b"2", j.JSON))
        await one.ended()
    assert text(one) == "[None, (1, 2)]"


async def test_nothing_of_a_handler_is_left_when_it_ends() -> None:
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def body(ctx: CheckoutContext) -> object:
        async def waits() -> None:
            await ctx.sleep(DAY)

        tasks = [asyncio.create_task(waits()), asyncio.create_task(asyncio.Event().wait())]
        ctx.run("executes", step)
        CheckoutClient(ctx).pay(PayRequest())
        await ctx.run("first", begun.wait)
        tasks.append(asyncio.create_task(waits()))
        ctx.run("never begins", step)
        CheckoutClient(ctx).pay(PayRequest())
        ctx.signal("never", int)
        return len(tasks)

    async with FakeRuntime(Checkout(body)) as runtime:
        before = asyncio.all_tasks()
        one = await runtime.run(PAY, PayRequest())
        await turns_of_the_loop()
        assert asyncio.all_tasks() <= before
    gc.collect()
    assert text(one) == "3"


async def test_nothing_of_a_handler_is_left_when_it_suspends() -> None:
    async def body(ctx: CheckoutContext) -> object:
        queue: asyncio.Queue[int] = asyncio.Queue()
        consumer = asyncio.create_task(queue.get())
        await queue.put(await ctx.awakeable(int))
        return await consumer

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        before = asyncio.all_tasks()
        one = await runtime.invoke(PAY, PayRequest())
        await one.until(lambda it: len(it.suspensions) == 1)
        await turns_of_the_loop()
        assert asyncio.all_tasks() <= before
        await one.signal(1, j.Value(b"1", j.JSON))
        await one.ended()
    assert text(one) == "1"


async def test_tasks_of_a_run_are_its_own() -> None:
    async def part(number: int) -> int:
        async with asyncio.timeout(60):
            await asyncio.sleep(0.001)
        return number

    async def step() -> list[int]:
        return list(await asyncio.gather(part(1), part(2)))

    async def body(ctx: CheckoutContext) -> object:
        alone = await ctx.run("alone", step)
        return alone, await asyncio.gather(ctx.run("one", step), ctx.run("other", step))

    async with FakeRuntime(Checkout(body), inactivity_ms=0) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert one.failures == []
    assert text(one) == "([1, 2], [[1, 2], [1, 2]])"
    await replays_from_every_prefix(lambda: Checkout(body), PAY, one)


async def test_a_handler_whose_tasks_are_done_may_wait_as_it_likes() -> None:
    async def body(ctx: CheckoutContext) -> object:
        await asyncio.gather(ctx.run("a", lambda: 1), ctx.run("b", lambda: 2))
        await asyncio.sleep(0.001)
        return await ctx.run("c", lambda: 3)

    async with FakeRuntime(Checkout(body)) as runtime:
        assert text(await runtime.run(PAY, PayRequest())) == "3"


class Program:
    """A random handler: tasks that wait, make steps and make tasks, each as its own seed says."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def __call__(self, ctx: CheckoutContext) -> object:
        self._ctx = ctx
        self._awakeables = [ctx.awakeable(int) for _ in range(4)]
        self._event = asyncio.Event()
        self._log: list[str] = []
        await self._task("0", 2)
        return self._log

    async def _task(self, path: str, depth: int) -> str:
        chance = random.Random(f"{self._seed} {path}")
        for number in range(chance.randint(1, 4)):
            self._log.append(f"{path}.{number}")
            await self._step(f"{path}.{number}", chance, depth)
        self._event.set()
        return path

    async def _step(self, path: str, chance: random.Random, depth: int) -> None:
        match chance.randrange(8 if depth else 4):
            case 0:
                await self._ctx.run(path, lambda: path)
            case 1:
                self._log.append(str(await chance.choice(self._awakeables)))
            case 2:
                await gather(*chance.sample(self._awakeables, 2))
            case 3:
                await asyncio.sleep(0)
            case 4:
                await asyncio.gather(*(self._task(f"{path}.{index}", depth - 1) for index in range(2)))
            case 5:
                await self._race(path, depth - 1)
            case 6:
                self._kept = asyncio.create_task(self._task(f"{path}.kept", depth - 1))
                await self._ctx.run(path, lambda: path)
            case _:
                task = asyncio.create_task(self._task(f"{path}.task", depth - 1))
                await self._event.wait()
                await task

    async def _race(self, path: str, depth: int) -> None:
        tasks = [asyncio.create_task(self._task(f"{path}.{index}", depth)) for index in range(3)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            self._log.append(await self._ctx.run(f"won {one.result()}", one.result))
        for one in pending:
            one.cancel()


@pytest.mark.parametrize("seed", range(20))
async def test_random_tasks_replay_from_every_prefix(seed: int) -> None:
    chance = random.Random(seed)
    resident = chance.random() < 0.5
    async with FakeRuntime(Checkout(Program(seed)), inactivity_ms=60_000 if resident else 0) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(4)
        for number in chance.sample([1, 2, 3, 4], 4):
            await turns_of_the_loop(chance.choice([0, 3, 40]))
            await one.signal(number, j.Value(b"%d" % number, j.JSON))
        await one.ended()
    assert one.failures == []
    await replays_from_every_prefix(lambda: Checkout(Program(seed)), PAY, one)


async def test_a_group_of_terminal_errors_alone_ends_the_handler_with_the_first() -> None:
    async def fails(number: int) -> None:
        raise TerminalError(f"no {number}", code=StatusCode.NOT_FOUND)

    async def body(ctx: CheckoutContext) -> object:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(1))
            group.create_task(fails(2))
        return "never"

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    assert (one.failures, one.failure.code, one.failure.message) == ([], StatusCode.NOT_FOUND, "no 1")


async def test_a_cancelled_handler_in_a_task_group_ends_cancelled() -> None:
    async def body(ctx: CheckoutContext) -> object:
        async def waits() -> None:
            await ctx.sleep(timedelta(days=1))

        async with asyncio.TaskGroup() as group:
            group.create_task(waits())
            group.create_task(waits())
        return "never"

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.invoke(PAY, PayRequest())
        await one.has_commands(2)
        await one.cancel()
        await one.ended()
    assert (one.failures, one.failure.code) == ([], StatusCode.CANCELLED)


async def test_a_group_with_an_error_that_may_be_tried_again_fails_the_attempt_and_names_it() -> None:
    async def fails(error: Exception) -> None:
        raise error

    async def body(ctx: CheckoutContext) -> object:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(TerminalError("no")))
            group.create_task(fails(ConnectionError("provider is down")))
        return "never"

    async with FakeRuntime(Checkout(body)) as runtime:
        one = await runtime.run(PAY, PayRequest())
    (failed,) = one.failures
    assert one.output is None
    assert failed.failure is not None
    assert "ConnectionError: provider is down" in failed.failure.message
