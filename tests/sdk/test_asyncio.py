"""asyncio inside handlers: tasks go on in the journal's order, the same in every attempt, resident or suspended."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate_protocol import journal as j
from restate_sdk import DurableFuture, gather, select

from .gen.shop.v1.shop_pb import PayRequest, PayResponse
from .gen.shop.v1.shop_restate import CheckoutContext
from .handlers import PAY, Checkout
from .prefixes import replays_from_every_prefix
from .runtime import FakeRuntime, Invocation

Body = Callable[[CheckoutContext], Awaitable[object]]
DAY = timedelta(days=1)
ORDERS = [(1, 2, 3), (3, 1, 2)]


def value(number: int) -> j.Value:
    return j.Value(b"%d" % number, j.JSON)


def sleeps_end(entry: j.Command) -> j.Result | None:
    return j.Void() if isinstance(entry, j.Sleep) else None


async def settle() -> None:
    """Lets everything that can go on do so."""
    for _ in range(100):
        await asyncio.sleep(0)


async def signalled(body: Body, order: tuple[int, ...], *, resident: bool, at_once: bool) -> Invocation:
    """An invocation whose awakeables are signalled in this order."""
    async with FakeRuntime(Checkout(body), inactivity_ms=60_000 if resident else 0) as runtime:
        one = await runtime.invoke(PAY, PayRequest(), answers=sleeps_end)
        await one.until(lambda it: sum(isinstance(entry, j.Awakeable) for entry in it.commands) == 3)
        for number in order:
            if not at_once:
                await settle()
            await one.signal(number, value(number))
        await one.ended()
    assert one.failures == []
    return one


async def everywhere(body: Body, order: tuple[int, ...]) -> set[str]:
    """What the handler returns: one by one and at once, resident and suspended, and from every prefix."""
    found: set[str] = set()
    for resident, at_once in itertools.product([True, False], repeat=2):
        one = await signalled(body, order, resident=resident, at_once=at_once)
        await replays_from_every_prefix(lambda: Checkout(body), PAY, one)
        found.add(one.result(PayResponse).text)
    return found


def three(ctx: CheckoutContext) -> list[DurableFuture[int]]:
    return [ctx.awakeable(int) for _ in range(3)]


async def step(ctx: CheckoutContext, future: DurableFuture[int], log: list[int]) -> int:
    """Waits, and makes steps that tell which it was."""
    found = await future
    log.append(found)
    await ctx.run(f"after {found}", lambda: found)
    await ctx.sleep(timedelta())
    return found * 10


async def gathers_futures(ctx: CheckoutContext) -> object:
    return await asyncio.gather(*three(ctx))


async def gathers_coroutines(ctx: CheckoutContext) -> object:
    log: list[int] = []
    return await asyncio.gather(*(step(ctx, one, log) for one in three(ctx))), log


async def nests_gathers(ctx: CheckoutContext) -> object:
    log: list[int] = []
    a, b, c = (step(ctx, one, log) for one in three(ctx))
    inner = asyncio.gather(asyncio.gather(a), b)
    found = await asyncio.gather(asyncio.shield(inner), c)
    await ctx.run("end", lambda: 1)
    return found, log


async def creates_tasks(ctx: CheckoutContext) -> object:
    log: list[int] = []
    tasks = [asyncio.create_task(step(ctx, one, log)) for one in three(ctx)]
    await ctx.run("meanwhile", lambda: 1)
    return [await one for one in tasks], log


async def uses_a_task_group(ctx: CheckoutContext) -> object:
    log: list[int] = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(step(ctx, one, log)) for one in three(ctx)]
    return [one.result() for one in tasks], log


async def waits_for_the_first(ctx: CheckoutContext) -> object:
    log: list[int] = []
    pending = {asyncio.create_task(step(ctx, one, log)) for one in three(ctx)}
    order = []
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        order.append([await ctx.run("seen", one.result) for one in done])
    return order, log


async def waits_for_all(ctx: CheckoutContext) -> object:
    log: list[int] = []
    done, _ = await asyncio.wait([asyncio.create_task(step(ctx, one, log)) for one in three(ctx)])
    return [await ctx.run(f"seen {one.result()}", one.result) for one in done], log


async def iterates_over_futures(ctx: CheckoutContext) -> object:
    return [await one for one in asyncio.as_completed(three(ctx))]


async def iterates_over_tasks(ctx: CheckoutContext) -> object:
    log: list[int] = []
    tasks = [asyncio.create_task(step(ctx, one, log)) for one in three(ctx)]
    return [await one for one in asyncio.as_completed(tasks)], log


async def passes_through_a_queue(ctx: CheckoutContext) -> object:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    async def produce(future: DurableFuture[int]) -> None:
        await queue.put(await future)

    async def consume() -> list[int]:
        found = []
        for _ in range(3):
            found.append(await queue.get())
            await ctx.run(f"consumed {found[-1]}", lambda: 1)
        return found

    consumer = asyncio.create_task(consume())
    await asyncio.gather(*(produce(one) for one in three(ctx)))
    return await consumer


async def shares_a_lock_and_an_event(ctx: CheckoutContext) -> object:
    lock, event = asyncio.Lock(), asyncio.Event()
    log: list[object] = []
    futures = three(ctx)

    async def locked(future: DurableFuture[int]) -> None:
        found = await future
        async with lock:
            await ctx.run(f"locked {found}", lambda: 1)
            log.append(found)
        event.set()

    async def waits() -> None:
        await event.wait()
        log.append(await ctx.run("event", lambda: "event"))

    await asyncio.gather(waits(), *(locked(one) for one in futures))
    return log


async def shares_futures_between_tasks(ctx: CheckoutContext) -> object:
    a, b, c = three(ctx)
    log: list[object] = []

    async def races(name: str, *futures: DurableFuture[int]) -> None:
        log.append((name, await select(*futures)))
        await ctx.run(name, lambda: 1)

    await asyncio.gather(races("ab", a, b), races("ac", a, c), races("abc", a, b, c))
    await gather(a, b, c)
    return log


async def cancels_the_losers(ctx: CheckoutContext) -> object:
    log: list[int] = []
    tasks = [asyncio.create_task(step(ctx, one, log)) for one in three(ctx)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for one in pending:
        one.cancel()
    ended = await asyncio.gather(*pending, return_exceptions=True)
    await ctx.sleep(timedelta())
    return [one.result() for one in done], [type(one).__name__ for one in ended]


async def lets_tasks_make_tasks(ctx: CheckoutContext) -> object:
    log: list[int] = []

    async def outer(future: DurableFuture[int]) -> int:
        found = await asyncio.create_task(step(ctx, future, log))
        await asyncio.sleep(0)
        return await ctx.run(f"outer {found}", lambda: found)

    return await asyncio.gather(*(outer(one) for one in three(ctx))), log


BODIES = [
    gathers_futures,
    gathers_coroutines,
    nests_gathers,
    creates_tasks,
    uses_a_task_group,
    waits_for_the_first,
    waits_for_all,
    iterates_over_futures,
    iterates_over_tasks,
    passes_through_a_queue,
    shares_a_lock_and_an_event,
    shares_futures_between_tasks,
    cancels_the_losers,
    lets_tasks_make_tasks,
]


#: They see when results come, not only in which order: their journals differ, and each replays as it is.
DECIDED_BY_TIMES = [waits_for_the_first, cancels_the_losers, shares_a_lock_and_an_event]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("body", BODIES)
async def test_tasks_go_on_in_the_order_of_the_journal(body: Body, order: tuple[int, ...]) -> None:
    assert len(await everywhere(body, order)) == 1 or body in DECIDED_BY_TIMES
