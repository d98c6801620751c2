"""Handlers that perform programs, on the contract of the SDK's tests. What they see is told to a witness.

A handler knows nothing of the simulation: it uses the context as user code does, so that the real SDK is under test.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from restate_sdk import (
    DurableTimeout,
    Endpoint,
    RetryPolicy,
    StatusCode,
    TerminalError,
    as_completed,
    first_success,
    gather,
    race,
    select,
    timeout,
)

from tests.sdk.gen.shop.v1.shop_pb import (
    AddRequest,
    AddResponse,
    ApproveRequest,
    ApproveResponse,
    LookRequest,
    LookResponse,
    OrderRequest,
    OrderResponse,
    PayRequest,
    PayResponse,
)
from tests.sdk.gen.shop.v1.shop_restate import (
    CartClient,
    CartContext,
    CartHandlers,
    CartSharedContext,
    CheckoutClient,
    CheckoutContext,
    CheckoutHandlers,
    OrderClient,
    OrderContext,
    OrderHandlers,
    OrderSharedContext,
)

from .program import (
    Add,
    Await,
    Call,
    Cancel,
    Combine,
    Dice,
    Forever,
    Future,
    Knot,
    Listen,
    Note,
    Now,
    Program,
    Promise,
    Run,
    Send,
    Sleep,
    Step,
    Wake,
)

#: Where a program would be named in a call that never runs.
KNOT = "knot"


class Witness(Protocol):
    """Who hears of what handlers do."""

    def program(self, name: str) -> Program:
        """The code of an invocation."""

    def began(self, invocation_id: str, program: str) -> list[str]:
        """An attempt began; what its steps give is written to the list."""

    def executes(self, invocation_id: str, place: int) -> tuple[int, int]:
        """A run's function executes: how often it did, now included, and a number that no other execution has."""

    def waits(self, awakeable_id: str, step: Wake) -> None:
        """Somebody outside has the id of an awakeable."""

    def listens(self, invocation_id: str, place: int, step: Listen) -> None:
        """An invocation waits for a named signal."""

    def asks(self, workflow: str, step: Promise) -> None:
        """A workflow waits for its promise."""


@dataclass(slots=True)
class Stage:
    """Where handlers find the witness of the run that is on. Endpoints take long to make, so there is one for all."""

    witness: Witness | None = None

    def performance(self, ctx: Any, name: str) -> _Performance:
        """One attempt at a program."""
        assert self.witness is not None
        return _Performance(self.witness, ctx, name)


STAGE = Stage()


@functools.cache
def endpoint() -> Endpoint:
    """The three services."""
    return Endpoint(_Checkout(), _Cart(), _Order())


class _Checkout(CheckoutHandlers):
    async def pay(self, ctx: CheckoutContext, request: PayRequest, /) -> PayResponse:
        return PayResponse(text=await STAGE.performance(ctx, request.text).perform())


class _Cart(CartHandlers):
    async def add(self, ctx: CartContext, request: AddRequest, /) -> AddResponse:
        return AddResponse(items=[await STAGE.performance(ctx, request.item).perform()])

    async def look(self, ctx: CartSharedContext, request: LookRequest, /) -> LookResponse:
        return LookResponse(items=await ctx.state.items.get())


class _Order(OrderHandlers):
    async def run(self, ctx: OrderContext, request: OrderRequest, /) -> OrderResponse:
        return OrderResponse(text=await STAGE.performance(ctx, request.order_id).perform())

    async def approve(self, ctx: OrderSharedContext, request: ApproveRequest, /) -> ApproveResponse:
        try:
            await ctx.promises.approved.resolve(True)
        except TerminalError:
            return ApproveResponse(text="again")
        return ApproveResponse(text="approved")


class _Performance:
    """One attempt at a program."""

    def __init__(self, witness: Witness, ctx: Any, name: str) -> None:
        self._witness = witness
        self._ctx = ctx
        self._program = witness.program(name)
        self._futures: list[Any] = []

    async def perform(self) -> str:
        """The output: JSON with the name of the program and what each step gave."""
        seen = self._witness.began(self._ctx.invocation_id, self._program.name)
        for place, step in enumerate(self._program.steps):
            seen.append(await self._step(place, step))
        return json.dumps({"program": self._program.name, "results": list(seen)})

    async def _step(self, place: int, step: Step) -> str:
        match step:
            case Await() | Combine():
                return await self._wait(step)
            case Add() | Note():
                return await self._state(step)
            case Knot():
                return await self._knot()
            case Send() | Cancel():
                return await self._send(step)
            case Forever():
                return await _outcome(self._ctx.awakeable(str))
            case Dice():
                return f"dice/{self._ctx.random.randrange(10**6)}"
            case Now():
                return await _outcome(self._ctx.now())
            case Run() | Sleep() | Call() | Wake() | Listen() | Promise():
                future = self._future(place, step)
                if not step.later:
                    return await _outcome(future)
                self._futures.append(future)
                return "later"

    def _future(self, place: int, step: Future) -> Any:
        match step:
            case Run():
                wait = timedelta(milliseconds=step.wait_ms)
                retry = None if step.tries is None else RetryPolicy(wait, 1.0, wait, step.tries)
                return self._ctx.run(step.name, self._function(place, step), retry=retry)
            case Sleep():
                return self._ctx.sleep(timedelta(milliseconds=step.ms))
            case Call():
                client, request = self._callee(step.program)
                return client(request)
            case Wake():
                awakeable = self._ctx.awakeable(str)
                self._witness.waits(awakeable.id, step)
                return awakeable
            case Listen():
                self._witness.listens(self._ctx.invocation_id, place, step)
                return self._ctx.signal(step.name, str)
            case Promise():
                self._witness.asks(self._program.name, step)
                return self._ctx.promises.approved

    def _function(self, place: int, step: Run) -> Any:
        async def function() -> str:
            tries, unique = self._witness.executes(self._ctx.invocation_id, place)
            if step.took_ms:
                await asyncio.sleep(step.took_ms / 1000)
            if tries <= step.failures:
                raise ValueError(f"try {tries} fails")
            if step.terminal:
                raise TerminalError(f"run {step.name}")
            return f"run {step.name}/{unique}"

        return function

    def _callee(self, name: str) -> tuple[Any, Any]:
        program = self._witness.program(name)
        match program.kind:
            case "service":
                return CheckoutClient(self._ctx).pay, PayRequest(text=name)
            case "object":
                return CartClient(self._ctx).add, AddRequest(cart_id=program.key, item=name)
            case _:
                return OrderClient(self._ctx).run, OrderRequest(order_id=name)

    async def _send(self, step: Send | Cancel) -> str:
        client, request = self._callee(step.program)
        if isinstance(step, Cancel):
            handle = await client.send(request)
            if step.after_ms:
                await self._ctx.sleep(timedelta(milliseconds=step.after_ms))
            await handle.cancel()
            self._futures.append(handle.attach())
            return f"cancelled {step.program}"
        handle = await client.send(request, delay=timedelta(milliseconds=step.delay_ms) if step.delay_ms else None)
        if step.attach:
            self._futures.append(self._ctx.attach(handle))
        return f"sent {step.program}"

    async def _knot(self) -> str:
        try:
            await CartClient(self._ctx).add(AddRequest(cart_id=self._ctx.key, item=KNOT))
        except TerminalError as error:
            return "cut" if error.code is StatusCode.ABORTED else f"error {error.message}"
        return "went on"

    async def _state(self, step: Add | Note) -> str:
        state = self._ctx.state
        if isinstance(step, Add):
            items = await state.items.get()
            if step.wait_ms:
                await self._ctx.sleep(timedelta(milliseconds=step.wait_ms))
            state.items.set([*items, step.item])
            return "added"
        if step.text is None:
            state.note.clear()
        else:
            state.note.set(step.text)
        return f"note {await state.note.get()}"

    async def _wait(self, step: Await | Combine) -> str:
        if not self._futures:
            return "nothing"
        if isinstance(step, Await):
            return await _outcome(self._futures[step.pick % len(self._futures)])
        return await _combine(step, [self._futures[pick % len(self._futures)] for pick in step.picks])


async def _combine(step: Combine, chosen: list[Any]) -> str:
    match step.how:
        case "gather":
            return await _outcome(gather(*chosen))
        case "outcomes":
            return await _outcome(gather(*chosen, return_exceptions=True))
        case "asyncio":
            return await _outcome(asyncio.gather(*chosen), lambda found: f"[{', '.join(map(_text, found))}]")
        case "race":
            return await _outcome(race(*chosen))
        case "first":
            return await _first_success(chosen)
        case "completed":
            found = [_selected(one) async for one in as_completed(*chosen, return_exceptions=True)]
            return f"[{', '.join(found)}]"
        case "timeout":
            return await _outcome(timeout(chosen[0], timedelta(milliseconds=step.ms)))
        case _:
            return await _outcome(select(*chosen), _selected)


async def _first_success(chosen: list[Any]) -> str:
    try:
        return _text(await first_success(*chosen))
    except TerminalError:
        return "none"


def _selected(found: tuple[int, Any]) -> str:
    return f"{found[0]}: {_text(found[1])}"


async def _outcome(future: Awaitable[Any], text: Callable[[Any], str] | None = None) -> str:
    try:
        return (text or _text)(await future)
    except TerminalError as error:
        return _text(error)


def _text(value: Any) -> str:
    match value:
        case DurableTimeout():
            return "timeout"
        case TerminalError():
            return "exhausted" if " fails" in value.message else f"error {value.message}"
        case tuple():
            return f"[{', '.join(map(_text, value))}]"
        case PayResponse() | OrderResponse():
            return f"out {json.loads(value.text)['program']}"
        case AddResponse():
            return f"out {json.loads(value.items[0])['program']}"
        case datetime():
            return f"now/{value.isoformat()}"
        case bool():
            return "promise"
        case None:
            return "slept"
        case _:
            return str(value)
