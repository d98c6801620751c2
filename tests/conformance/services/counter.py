"""Counter (§26.1)."""

from __future__ import annotations

from conformance_gen.conformance.v1.counter_pb import AddRequest, AddResponse, CounterRequest, CounterResponse
from conformance_gen.conformance.v1.counter_restate import CounterContext, CounterHandlers, CounterSharedContext
from restate_sdk import TerminalError


class Counter(CounterHandlers):
    async def add(self, ctx: CounterContext, request: AddRequest) -> AddResponse:
        return await _add(ctx, request.value)

    async def add_then_fail(self, ctx: CounterContext, request: AddRequest) -> AddResponse:
        await _add(ctx, request.value)
        raise TerminalError(ctx.key)

    async def get(self, ctx: CounterSharedContext, request: CounterRequest) -> CounterResponse:
        return CounterResponse(value=await ctx.state.counter.get())

    async def reset(self, ctx: CounterContext, request: CounterRequest) -> CounterResponse:
        ctx.state.counter.clear()
        return CounterResponse()


async def _add(ctx: CounterContext, value: int) -> AddResponse:
    old = await ctx.state.counter.get()
    ctx.state.counter.set(old + value)
    return AddResponse(old_value=old, new_value=old + value)
