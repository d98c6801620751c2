"""The services that are cancelled and killed (§26.1)."""

from __future__ import annotations

from datetime import timedelta

from conformance_gen.conformance.v1.awakeables_pb import HoldRequest
from conformance_gen.conformance.v1.awakeables_restate import AwakeableHolderClient
from conformance_gen.conformance.v1.cancels_pb import BlockingOperation, CancelRequest, CancelResponse
from conformance_gen.conformance.v1.cancels_restate import (
    BlockForeverClient,
    BlockForeverContext,
    BlockForeverHandlers,
    CancelTestBlockingClient,
    CancelTestBlockingContext,
    CancelTestBlockingHandlers,
    CancelTestRunnerContext,
    CancelTestRunnerHandlers,
    KillTestRunnerContext,
    KillTestRunnerHandlers,
    KillTestSingletonClient,
    KillTestSingletonContext,
    KillTestSingletonHandlers,
)
from restate_sdk import StatusCode, TerminalError, race


class CancelTestRunner(CancelTestRunnerHandlers):
    async def start_test(self, ctx: CancelTestRunnerContext, request: CancelRequest) -> CancelResponse:
        try:
            await CancelTestBlockingClient(ctx).block(request)
        except TerminalError as error:
            if error.code is not StatusCode.CANCELLED:
                raise
            ctx.state.canceled.set(True)
        return CancelResponse()

    async def verify_test(self, ctx: CancelTestRunnerContext, request: CancelRequest) -> CancelResponse:
        return CancelResponse(canceled=await ctx.state.canceled.get())


class CancelTestBlocking(CancelTestBlockingHandlers):
    async def block(self, ctx: CancelTestBlockingContext, request: CancelRequest) -> CancelResponse:
        awakeable = ctx.awakeable(str)
        await AwakeableHolderClient(ctx).hold(HoldRequest(key=ctx.key, id=awakeable.id))
        await awakeable
        match request.operation:
            case BlockingOperation.CALL:
                # Another key blocks for a day: on its own key the call would close a wait cycle, which is an error.
                await BlockForeverClient(ctx).block(request)
            case BlockingOperation.SLEEP:
                await ctx.sleep(timedelta(days=1024))
            case _:
                await ctx.awakeable(str)
        return CancelResponse()

    async def is_unlocked(self, ctx: CancelTestBlockingContext, request: CancelRequest) -> CancelResponse:
        return CancelResponse()


class KillTestRunner(KillTestRunnerHandlers):
    async def start_call_tree(self, ctx: KillTestRunnerContext, request: CancelRequest) -> CancelResponse:
        await KillTestSingletonClient(ctx).recursive_call(request)
        return CancelResponse()


class KillTestSingleton(KillTestSingletonHandlers):
    async def recursive_call(self, ctx: KillTestSingletonContext, request: CancelRequest) -> CancelResponse:
        awakeable = ctx.awakeable(str)
        await AwakeableHolderClient(ctx).hold.send(HoldRequest(key=ctx.key, id=awakeable.id))
        await awakeable
        # Waiting for the call alone would close a wait cycle, which the runtime ends with an error.
        await race(KillTestSingletonClient(ctx).recursive_call(request), ctx.awakeable(str))
        return CancelResponse()

    async def is_unlocked(self, ctx: KillTestSingletonContext, request: CancelRequest) -> CancelResponse:
        return CancelResponse()


class BlockForever(BlockForeverHandlers):
    async def block(self, ctx: BlockForeverContext, request: CancelRequest) -> CancelResponse:
        await ctx.sleep(timedelta(days=1))
        return CancelResponse()
