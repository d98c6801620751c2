"""One virtual object for each ticket: whoever asks first holds it, because its handlers run one at a time."""

from gen.shop.v1.tickets_pb import (
    HoldRequest,
    HoldResponse,
    ReleaseRequest,
    ReleaseResponse,
    SellRequest,
    SellResponse,
)
from gen.shop.v1.tickets_restate import TicketsContext, TicketsHandlers


class Tickets(TicketsHandlers):
    async def hold(self, ctx: TicketsContext, request: HoldRequest) -> HoldResponse:
        if await ctx.state.hold.get():
            return HoldResponse(held=False)
        ctx.state.hold.set(request.hold)
        return HoldResponse(held=True)

    async def release(self, ctx: TicketsContext, request: ReleaseRequest) -> ReleaseResponse:
        if await ctx.state.hold.get() == request.hold and not await ctx.state.sold.get():
            ctx.clear_state()
        return ReleaseResponse()

    async def sell(self, ctx: TicketsContext, request: SellRequest) -> SellResponse:
        if await ctx.state.hold.get() == request.hold:
            ctx.state.sold.set(True)
        return SellResponse()
