"""The interpreters of random programs and their helper (§26.1), with every kind of command in use (§0.4 item 11).

Each interpreter counts in its own state; what a program must add to which counter is known before it runs
(`program.expected`), so counters prove that nothing was lost and nothing happened twice.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

from conformance_gen.conformance.v1 import programs_restate
from conformance_gen.conformance.v1.programs_pb import (
    HelperRequest,
    HelperResponse,
    ProgramCommand,
    ProgramKey,
    ProgramRequest,
    ProgramResponse,
)
from conformance_gen.conformance.v1.programs_restate import (
    InterpreterHelperClient,
    InterpreterHelperContext,
    InterpreterHelperHandlers,
    InterpreterL0Handlers,
    InterpreterL1Handlers,
    InterpreterL2Handlers,
)
from restate_sdk import DurableFuture, TerminalError

LAYERS = 3
Kind = ProgramCommand.Kind
_ONE_MORE = ProgramCommand(kind=Kind.INCREMENT)


def interpreter(layer: int, caller: Any) -> Any:
    """The client of the interpreters of a layer."""
    return getattr(programs_restate, f"InterpreterL{layer}Client")(caller)


class Program:
    """One program under way: what was started and is to be awaited, with what it must give."""

    def __init__(self, ctx: Any, layer: int) -> None:
        self._ctx = ctx
        self._layer = layer
        self._started: dict[int, tuple[DurableFuture[Any], str]] = {}

    async def perform(self, index: int, command: ProgramCommand) -> None:
        """Performs one command; what it starts can be awaited by its index."""
        ctx, helper, text = self._ctx, InterpreterHelperClient(self._ctx), f"hello-{index}"
        pause = timedelta(milliseconds=command.duration_ms)
        me = HelperRequest(layer=self._layer, key=ctx.key, text=text, duration_ms=command.duration_ms)
        match command.kind:
            case Kind.SET_STATE | Kind.GET_STATE | Kind.CLEAR_STATE:
                await self._state(command)
            case Kind.INCREMENT:
                ctx.state.counter.set(await ctx.state.counter.get() + 1)
            case Kind.INCREMENT_INDIRECTLY:
                await helper.increment_indirectly.send(me)
            case Kind.INCREMENT_DELAYED:
                await helper.increment_indirectly.send(me, delay=pause)
            case Kind.SLEEP:
                await ctx.sleep(pause)
            case Kind.CALL:
                self._started[index] = helper.echo(me), text
            case Kind.CALL_LATER:
                self._started[index] = helper.echo_later(me), text
            case Kind.RUN:
                self._started[index] = ctx.run("run", _say, text), text
            case Kind.RUN_THAT_FAILS:
                self._started[index] = ctx.run("run that fails", _say_sometimes, text), text
            case Kind.RUN_THAT_WAITS:
                self._started[index] = ctx.run("run that waits", _say_later, text), text
            case Kind.RECOVER_TERMINAL_CALL:
                await self._expect(helper.terminal_failure(me), "!bye")
            case Kind.TERMINAL_CALL:
                self._started[index] = helper.terminal_failure(me), "!bye"
            case Kind.AWAIT:
                await self._expect(*self._started[command.index])
            case Kind.RESOLVED_AWAKEABLE | Kind.REJECTED_AWAKEABLE:
                await self._awakeable(index, command)
            case Kind.AWAKEABLE_DANCE:
                await self._dance(helper, me)
            case _:
                await self._nested(index, command)

    async def _state(self, command: ProgramCommand) -> None:
        values = self._ctx.state.values
        held = await values.get()
        if command.kind is Kind.SET_STATE:
            values.set({**held, f"key-{command.index}": f"value-{command.index}"})
        elif command.kind is Kind.CLEAR_STATE:
            values.set({name: value for name, value in held.items() if name != f"key-{command.index}"})

    async def _awakeable(self, index: int, command: ProgramCommand) -> None:
        awakeable = self._ctx.awakeable(str)
        helper = InterpreterHelperClient(self._ctx)
        request = HelperRequest(text=awakeable.id)
        resolved = command.kind is Kind.RESOLVED_AWAKEABLE
        await (helper.resolve_awakeable if resolved else helper.reject_awakeable).send(request)
        self._started[index] = awakeable, "ok" if resolved else "!error"

    async def _dance(self, helper: Any, me: HelperRequest) -> None:
        mine = self._ctx.awakeable(str)
        me.text = mine.id
        await helper.increment_via_awakeable_dance.send(me)
        self._ctx.resolve_awakeable(await mine, "ok")

    async def _nested(self, index: int, command: ProgramCommand) -> None:
        request = ProgramRequest(key=command.key, commands=command.program)
        self._started[index] = interpreter(self._layer + 1, self._ctx).interpret(request), ""

    @staticmethod
    async def _expect(future: DurableFuture[Any], expected: str) -> None:
        try:
            value = await future
        except TerminalError as error:
            found = "!" + error.message
        else:
            found = value if isinstance(value, str) else getattr(value, "text", "")
        if found != expected:
            raise TerminalError(f"expected {expected!r}, got {found!r}")


async def _interpret(ctx: Any, layer: int, request: ProgramRequest) -> ProgramResponse:
    program = Program(ctx, layer)
    for index, command in enumerate(request.commands):
        await program.perform(index, command)
    return ProgramResponse(counter=await ctx.state.counter.get())


async def _counter(ctx: Any) -> ProgramResponse:
    return ProgramResponse(counter=await ctx.state.counter.get())


class InterpreterL0(InterpreterL0Handlers):
    async def interpret(self, ctx: Any, request: ProgramRequest) -> ProgramResponse:
        return await _interpret(ctx, 0, request)

    async def counter(self, ctx: Any, request: ProgramKey) -> ProgramResponse:
        return await _counter(ctx)


class InterpreterL1(InterpreterL1Handlers):
    async def interpret(self, ctx: Any, request: ProgramRequest) -> ProgramResponse:
        return await _interpret(ctx, 1, request)

    async def counter(self, ctx: Any, request: ProgramKey) -> ProgramResponse:
        return await _counter(ctx)


class InterpreterL2(InterpreterL2Handlers):
    async def interpret(self, ctx: Any, request: ProgramRequest) -> ProgramResponse:
        return await _interpret(ctx, 2, request)

    async def counter(self, ctx: Any, request: ProgramKey) -> ProgramResponse:
        return await _counter(ctx)


class InterpreterHelper(InterpreterHelperHandlers):
    async def echo(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        return HelperResponse(text=request.text)

    async def echo_later(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        await ctx.sleep(timedelta(milliseconds=request.duration_ms))
        return HelperResponse(text=request.text)

    async def terminal_failure(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        raise TerminalError("bye")

    async def increment_indirectly(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        await _increment(ctx, request)
        return HelperResponse()

    async def resolve_awakeable(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        ctx.resolve_awakeable(request.text, "ok")
        return HelperResponse()

    async def reject_awakeable(self, ctx: InterpreterHelperContext, request: HelperRequest) -> HelperResponse:
        ctx.reject_awakeable(request.text, "error")
        return HelperResponse()

    async def increment_via_awakeable_dance(
        self, ctx: InterpreterHelperContext, request: HelperRequest
    ) -> HelperResponse:
        mine = ctx.awakeable(str)
        ctx.resolve_awakeable(request.text, mine.id)
        await mine
        await _increment(ctx, request)
        return HelperResponse()


async def _increment(ctx: InterpreterHelperContext, request: HelperRequest) -> None:
    await interpreter(request.layer, ctx).interpret.send(ProgramRequest(key=request.key, commands=[_ONE_MORE]))


async def _say(text: str) -> str:
    return text


async def _say_sometimes(text: str) -> str:
    if random.random() < 0.5:
        raise ValueError("not this time")
    return text


async def _say_later(text: str) -> str:
    await asyncio.sleep(0.001)
    return text
