"""BlockAndWaitWorkflow (§26.1)."""

from __future__ import annotations

from conformance_gen.conformance.v1.flows_pb import BlockRequest, BlockResponse
from conformance_gen.conformance.v1.flows_restate import (
    BlockAndWaitContext,
    BlockAndWaitHandlers,
    BlockAndWaitSharedContext,
)
from restate_sdk import TerminalError


class BlockAndWait(BlockAndWaitHandlers):
    async def run(self, ctx: BlockAndWaitContext, request: BlockRequest) -> BlockResponse:
        ctx.state.my_state.set(request.text)
        text = await ctx.promises.durable_promise
        if await ctx.promises.durable_promise.peek() is None:
            raise TerminalError("Durable promise should be completed")
        return BlockResponse(text=text)

    async def unblock(self, ctx: BlockAndWaitSharedContext, request: BlockRequest) -> BlockResponse:
        await ctx.promises.durable_promise.resolve(request.text)
        return BlockResponse()

    async def refuse(self, ctx: BlockAndWaitSharedContext, request: BlockRequest) -> BlockResponse:
        await ctx.promises.durable_promise.reject(request.text)
        return BlockResponse()

    async def get_state(self, ctx: BlockAndWaitSharedContext, request: BlockRequest) -> BlockResponse:
        return BlockResponse(text=await ctx.state.my_state.get())
