"""VirtualObjectCommandInterpreter (§26.1): awaits what it is told to, in every combination."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

from conformance_gen.conformance.v1.commands_pb import (
    Awaitable as AwaitableMessage,
)
from conformance_gen.conformance.v1.commands_pb import (
    AwakeableOrTimeout,
    CompleteRequest,
    HasResponse,
    InterpreterCommand,
    InterpretRequest,
    InterpretResponse,
    ResultsResponse,
)
from conformance_gen.conformance.v1.commands_restate import CommandInterpreterContext as Context
from conformance_gen.conformance.v1.commands_restate import (
    CommandInterpreterHandlers,
    CommandInterpreterSharedContext,
)
from restate_sdk import DurableFuture, TerminalError, first_success, gather, race, select


class CommandInterpreter(CommandInterpreterHandlers):
    async def interpret(self, ctx: Context, request: InterpretRequest) -> InterpretResponse:
        text = ""
        for command in request.commands:
            text = await _interpret(ctx, command)
            ctx.state.results.set([*await ctx.state.results.get(), text])
        return InterpretResponse(text=text)

    async def resolve_awakeable(
        self, ctx: CommandInterpreterSharedContext, request: CompleteRequest
    ) -> InterpretResponse:
        ctx.resolve_awakeable(await _awakeable_id(ctx, request.awakeable), request.value)
        return InterpretResponse()

    async def reject_awakeable(
        self, ctx: CommandInterpreterSharedContext, request: CompleteRequest
    ) -> InterpretResponse:
        ctx.reject_awakeable(await _awakeable_id(ctx, request.awakeable), request.value)
        return InterpretResponse()

    async def has_awakeable(self, ctx: CommandInterpreterSharedContext, request: CompleteRequest) -> HasResponse:
        return HasResponse(has=request.awakeable in await ctx.state.awakeables.get())

    async def get_results(self, ctx: CommandInterpreterSharedContext, request: CompleteRequest) -> ResultsResponse:
        return ResultsResponse(results=await ctx.state.results.get())


async def _awakeable_id(ctx: Any, name: str) -> str:
    held: dict[str, str] = await ctx.state.awakeables.get()
    if name not in held:
        raise TerminalError(f"awakeable {name} is not registered")
    return held[name]


async def _interpret(ctx: Context, command: InterpreterCommand) -> str:
    kind = command.kind
    assert kind is not None
    match kind.field:
        case "await_one":
            return _text(await (await _awaitable(ctx, kind.value)))
        case "await_first_completed":
            return _text(await race(*await _all(ctx, kind.value.of)))
        case "await_first_succeeded":
            return _text(await first_success(*await _all(ctx, kind.value.of)))
        case "await_all_succeeded":
            return "|".join(map(_text, await gather(*await _all(ctx, kind.value.of))))
        case "await_all_completed":
            settled = await gather(*await _all(ctx, kind.value.of), return_exceptions=True)
            return "|".join(_settled(one) for one in settled)
        case "await_awakeable_or_timeout":
            return await _or_timeout(ctx, kind.value)
        case "get_env_variable":
            return await ctx.run("environment", lambda: os.environ.get(kind.value, ""), returns=str)
        case _:
            return await _complete(ctx, kind.field, kind.value)


async def _complete(ctx: Context, what: str, argument: str) -> str:
    name, _, text = argument.partition("=")
    complete = ctx.resolve_awakeable if what == "resolve_awakeable" else ctx.reject_awakeable
    complete(await _awakeable_id(ctx, name), text)
    return ""


async def _or_timeout(ctx: Context, command: AwakeableOrTimeout) -> str:
    awakeable = await _awakeable(ctx, command.awakeable)
    first = await select(value=awakeable, late=ctx.sleep(timedelta(milliseconds=command.timeout_ms)))
    if first.name == "late":
        raise TerminalError("await-timeout")
    return str(first.value)


def _text(value: str | None) -> str:
    """The value of an awaitable: a sleep has none."""
    return "sleep" if value is None else value


def _settled(value: Any) -> str:
    return f"err:{value.message}" if isinstance(value, TerminalError) else f"ok:{_text(value)}"


async def _all(ctx: Context, messages: list[AwaitableMessage]) -> list[DurableFuture[Any]]:
    return [await _awaitable(ctx, one) for one in messages]


async def _awaitable(ctx: Context, message: AwaitableMessage) -> DurableFuture[Any]:
    kind = message.kind
    assert kind is not None
    match kind.field:
        case "create_awakeable":
            return await _awakeable(ctx, kind.value)
        case "sleep_ms":
            return ctx.sleep(timedelta(milliseconds=kind.value))
        case "run_returns":
            return ctx.run("returns", _returns, kind.value)
        case "run_throws":
            return ctx.run("throws", _throws, kind.value)
        case _:
            return ctx.signal(kind.value, str)


async def _awakeable(ctx: Context, name: str) -> DurableFuture[Any]:
    awakeable = ctx.awakeable(str)
    ctx.state.awakeables.set({**await ctx.state.awakeables.get(), name: awakeable.id})
    return awakeable


async def _returns(value: str) -> str:
    await asyncio.sleep(0.001)
    return value


async def _throws(reason: str) -> str:
    await asyncio.sleep(0.001)
    raise TerminalError(reason)
