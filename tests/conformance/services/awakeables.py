"""AwakeableHolder (§26.1), and Waiter (MyService of §26.2)."""

from __future__ import annotations

from conformance_gen.conformance.v1.awakeables_pb import (
    HolderRequest,
    HolderResponse,
    HoldRequest,
    UnlockRequest,
    WaiterResponse,
)
from conformance_gen.conformance.v1.awakeables_restate import (
    AwakeableHolderContext,
    AwakeableHolderHandlers,
    WaiterContext,
    WaiterHandlers,
    WaiterSharedContext,
)
from restate_sdk import TerminalError


class AwakeableHolder(AwakeableHolderHandlers):
    async def hold(self, ctx: AwakeableHolderContext, request: HoldRequest) -> HolderResponse:
        ctx.state.id.set(request.id)
        return HolderResponse(has_awakeable=True)

    async def has_awakeable(self, ctx: AwakeableHolderContext, request: HolderRequest) -> HolderResponse:
        return HolderResponse(has_awakeable=bool(await ctx.state.id.get()))

    async def unlock(self, ctx: AwakeableHolderContext, request: UnlockRequest) -> HolderResponse:
        held = await ctx.state.id.get()
        if not held:
            raise TerminalError("no awakeable is registered")
        ctx.resolve_awakeable(held, request.value)
        ctx.state.id.clear()
        return HolderResponse()


class Waiter(WaiterHandlers):
    async def run(self, ctx: WaiterContext, request: HolderRequest) -> WaiterResponse:
        awakeable = ctx.awakeable(str)
        ctx.state.id.set(awakeable.id)
        return WaiterResponse(value=await awakeable)

    async def get_awakeable(self, ctx: WaiterSharedContext, request: HolderRequest) -> WaiterResponse:
        return WaiterResponse(value=await ctx.state.id.get())
