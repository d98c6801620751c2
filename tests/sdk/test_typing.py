"""What type checkers see: mypy --strict (`make types`) and pyright judge this file; executed only to be sure it runs.

`assert_type` says what must be inferred; a `type: ignore` says what must be refused, and is itself an error where
nothing is wrong.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, assert_type

from restate_sdk import (
    Awakeable,
    CallFuture,
    DurableFuture,
    InvocationHandle,
    Selected,
    SendHandle,
    TerminalError,
    as_completed,
    first_success,
    gather,
    race,
    select,
    timeout,
)

from .gen.shop.v1.shop_pb import AddRequest, AddResponse, Address, PayRequest, PayResponse
from .gen.shop.v1.shop_restate import (
    CartClient,
    CartContext,
    CartSharedContext,
    CheckoutClient,
    CheckoutContext,
    OrderContext,
    OrderSharedContext,
)


async def coroutine(name: str, count: int) -> Address:
    return Address(street=name * count)


def plain(name: str) -> int:
    return len(name)


async def runs(ctx: CheckoutContext) -> None:
    assert_type(ctx.run("a", coroutine, "x", 1), DurableFuture[Address])
    assert_type(await ctx.run("a", coroutine, "x", 1), Address)
    assert_type(await ctx.run("a", plain, "x"), int)
    assert_type(await ctx.run("a", lambda: 5), int)
    assert_type(await ctx.run("a", coroutine, "x", 1, returns=Address), Address)
    ctx.run("a", coroutine, "x")  # type: ignore[arg-type]
    ctx.run("a", coroutine, 1, 1)  # type: ignore[arg-type, call-arg]
    ctx.run(coroutine, "x", 1)  # type: ignore[call-overload]


async def calls(ctx: CheckoutContext) -> None:
    assert_type(CartClient(ctx).add(AddRequest()), CallFuture[AddResponse])
    assert_type(await CartClient(ctx).add(AddRequest(), idempotency_key="k"), AddResponse)
    handle = await CheckoutClient(ctx).pay.send(PayRequest(), delay=timedelta(1))
    assert_type(handle, SendHandle[PayResponse])
    assert_type(await ctx.attach(handle), PayResponse)
    assert_type(await ctx.attach("inv_", Address), Address)
    assert_type(await ctx.attach("inv_"), bytes)
    CartClient(ctx).add(PayRequest())  # type: ignore[arg-type]
    CartClient(ctx).add(AddRequest(), timeout=timedelta(1))  # type: ignore[call-arg]


async def invocations(ctx: CheckoutContext, invocation_id: str) -> None:
    call = CheckoutClient(ctx).pay(PayRequest())
    assert_type(call.invocation_id, str)
    handle = await CheckoutClient(ctx).pay.send(PayRequest())
    assert_type(handle, InvocationHandle[PayResponse])
    assert_type(handle.attach(), DurableFuture[PayResponse])
    assert_type(handle.cancel(), DurableFuture[None])
    assert_type(handle.signal("go", 5), DurableFuture[None])
    assert_type(handle.reject_signal("go", "no"), DurableFuture[None])
    assert_type(ctx.invocation(invocation_id, returns=Address), InvocationHandle[Address])
    assert_type(await ctx.invocation(invocation_id).attach(), bytes)
    assert_type(ctx.cancel(invocation_id), DurableFuture[None])
    assert_type(await ctx.signal("go", Address), Address)
    ctx.signal("go")  # type: ignore[call-overload]
    ctx.cancel(handle)  # type: ignore[arg-type]


async def others(ctx: CheckoutContext) -> None:
    assert_type(ctx.awakeable(Address), Awakeable[Address])
    assert_type(await ctx.awakeable(int), int)
    assert_type(await ctx.now(), datetime)
    assert_type(ctx.sleep(timedelta(1)), DurableFuture[None])
    ctx.key  # type: ignore[attr-defined]  # noqa: B018
    ctx.state  # type: ignore[attr-defined]  # noqa: B018
    ctx.sleep(1)  # type: ignore[arg-type]


async def state(ctx: CartContext, shared: CartSharedContext) -> None:
    assert_type(ctx.key, int)
    assert_type(await ctx.state.items.get(), list[str])
    assert_type(await ctx.state.note.get(), str | None)
    assert_type(await ctx.state.address.get(), Address | None)
    assert_type(await shared.state.total.get(), int)
    assert_type(await ctx.state_keys(), list[str])
    ctx.state.total.set("5")  # type: ignore[arg-type]
    shared.state.total.set(5)  # type: ignore[attr-defined]
    shared.state.total.clear()  # type: ignore[attr-defined]
    shared.clear_state()  # type: ignore[attr-defined]


async def promises(ctx: OrderContext, shared: OrderSharedContext) -> None:
    assert_type(ctx.key, str)
    assert_type(await ctx.promises.approved, bool)
    assert_type(await shared.promises.approved.peek(), bool | None)
    assert_type(shared.promises.approved.resolve(True), DurableFuture[None])
    shared.promises.approved.resolve("yes")  # type: ignore[arg-type]
    ctx.promises.address.reject("no", code=5)  # type: ignore[arg-type]


async def combinators(ctx: CheckoutContext, many: list[DurableFuture[int]]) -> None:
    a, b, c = ctx.awakeable(int), ctx.awakeable(str), ctx.run("c", coroutine, "x", 1)
    assert_type(await gather(a, b, c), tuple[int, str, Address])
    assert_type(await gather(*many), tuple[int, ...])
    assert_type(await gather(gather(a, b), c), tuple[tuple[int, str], Address])
    found = await select(a, b)
    assert_type(found, tuple[Literal[0], int] | tuple[Literal[1], str])
    if found[0] == 0:
        assert_type(found[1], int)
    else:
        assert_type(found[1], str)
    assert_type(await select(*many), tuple[int, int])
    assert_type(await select(one=a, other=ctx.awakeable(int)), Selected[int])
    assert_type(await gather(a, b, return_exceptions=True), tuple[int | TerminalError, str | TerminalError])
    assert_type(await gather(*many, return_exceptions=True), tuple[int | TerminalError, ...])
    assert_type(race(a, b), DurableFuture[int | str])
    assert_type(await race(*many), int)
    assert_type(await first_success(a, b, c), int | str | Address)
    assert_type(await first_success(*many), int)
    assert_type(timeout(gather(a, b), timedelta(1)), DurableFuture[tuple[int, str]])
    assert_type(
        await select(timeout(a, timedelta(1)), race(b, c)), tuple[Literal[0], int] | tuple[Literal[1], str | Address]
    )
    async for index, value in as_completed(*many):
        assert_type((index, value), tuple[int, int])
    async for one in as_completed(a, b):
        assert_type(one, tuple[Literal[0], int] | tuple[Literal[1], str])
        if one[0] == 0:
            assert_type(one[1], int)
    async for _, outcome in as_completed(*many, return_exceptions=True):
        assert_type(outcome, int | TerminalError)
    timeout(a, 5)  # type: ignore[arg-type]
    race(5)  # type: ignore[call-overload]
    wide: DurableFuture[object] = a
    assert wide is a
    gather(5)  # type: ignore[call-overload]


def test_the_cases_are_valid_code() -> None:
    cases: list[Callable[..., Any]] = [runs, calls, invocations, others, state, promises, combinators]
    assert all(callable(case) for case in cases)


def test_pyright_agrees_with_every_claim() -> None:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, __file__]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors" in done.stdout
