"""NonDeterministic (§26.1): odd attempts go left, even ones right. Counted for each key."""

from __future__ import annotations

from collections import Counter as Counts
from datetime import timedelta

from conformance_gen.conformance.v1.chance_pb import ChanceRequest, ChanceResponse
from conformance_gen.conformance.v1.chance_restate import NonDeterministicContext, NonDeterministicHandlers
from conformance_gen.conformance.v1.counter_pb import AddRequest, CounterRequest
from conformance_gen.conformance.v1.counter_restate import CounterClient

_ABC = CounterRequest(key="abc")


class NonDeterministic(NonDeterministicHandlers):
    def __init__(self) -> None:
        self._attempts: Counts[str] = Counts()

    async def either_sleep_or_call(self, ctx: NonDeterministicContext, request: ChanceRequest) -> ChanceResponse:
        if self._left(ctx):
            await ctx.sleep(timedelta(milliseconds=100))
        else:
            await CounterClient(ctx).get(_ABC)
        return await _sleep_and_count(ctx)

    async def call_different_method(self, ctx: NonDeterministicContext, request: ChanceRequest) -> ChanceResponse:
        if self._left(ctx):
            await CounterClient(ctx).get(_ABC)
        else:
            await CounterClient(ctx).reset(_ABC)
        return await _sleep_and_count(ctx)

    async def background_invoke_with_different_targets(
        self, ctx: NonDeterministicContext, request: ChanceRequest
    ) -> ChanceResponse:
        if self._left(ctx):
            await CounterClient(ctx).get.send(_ABC)
        else:
            await CounterClient(ctx).reset.send(_ABC)
        return await _sleep_and_count(ctx)

    async def set_different_key(self, ctx: NonDeterministicContext, request: ChanceRequest) -> ChanceResponse:
        (ctx.state.a if self._left(ctx) else ctx.state.b).set("my-state")
        return await _sleep_and_count(ctx)

    async def set_different_value(self, ctx: NonDeterministicContext, request: ChanceRequest) -> ChanceResponse:
        ctx.state.a.set("left" if self._left(ctx) else "right")
        return await _sleep_and_count(ctx)

    def _left(self, ctx: NonDeterministicContext) -> bool:
        self._attempts[ctx.key] += 1
        return self._attempts[ctx.key] % 2 == 1


async def _sleep_and_count(ctx: NonDeterministicContext) -> ChanceResponse:
    await ctx.sleep(timedelta(milliseconds=100))
    await CounterClient(ctx).add.send(AddRequest(key=ctx.key, value=1))
    return ChanceResponse()
