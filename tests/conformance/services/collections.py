"""MapObject and ListObject (§26.1)."""

from __future__ import annotations

from conformance_gen.conformance.v1.collections_pb import (
    AppendRequest,
    ClearAllResponse,
    ListRequest,
    ListResponse,
    SetRequest,
    SlotRequest,
    SlotResponse,
)
from conformance_gen.conformance.v1.collections_restate import (
    ListObjectContext,
    ListObjectHandlers,
    MapObjectContext,
    MapObjectHandlers,
)


class MapObject(MapObjectHandlers):
    async def set(self, ctx: MapObjectContext, request: SetRequest) -> SlotResponse:
        getattr(ctx.state, request.slot).set(request.value)
        return SlotResponse(value=request.value)

    async def get(self, ctx: MapObjectContext, request: SlotRequest) -> SlotResponse:
        return SlotResponse(value=await getattr(ctx.state, request.slot).get())

    async def clear_all(self, ctx: MapObjectContext, request: SlotRequest) -> ClearAllResponse:
        entries = {name: await getattr(ctx.state, name).get() for name in await ctx.state_keys()}
        ctx.clear_state()
        return ClearAllResponse(entries=entries)


class ListObject(ListObjectHandlers):
    async def append(self, ctx: ListObjectContext, request: AppendRequest) -> ListResponse:
        values = [*await ctx.state.list.get(), request.value]
        ctx.state.list.set(values)
        return ListResponse(values=values)

    async def get(self, ctx: ListObjectContext, request: ListRequest) -> ListResponse:
        return ListResponse(values=await ctx.state.list.get())

    async def clear(self, ctx: ListObjectContext, request: ListRequest) -> ListResponse:
        values = await ctx.state.list.get()
        ctx.state.list.clear()
        return ListResponse(values=values)
