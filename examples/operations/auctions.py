"""Signals and cancellation: an invocation that is told things while it runs, by whoever knows its id."""

from datetime import timedelta

import restate_sdk
from bank import notify
from gen.operations.v1.operations_pb import (
    Bid,
    CallOffRequest,
    CallOffResponse,
    HoldRequest,
    PlaceBidRequest,
    PlaceBidResponse,
)
from gen.operations.v1.operations_restate import AuctionsContext, AuctionsHandlers
from restate_sdk import StatusCode, TerminalError


class Auctions(AuctionsHandlers):
    async def hold(self, ctx: AuctionsContext, request: HoldRequest) -> Bid:
        best = Bid()
        end = ctx.sleep(timedelta(milliseconds=request.open_ms), name="end of the auction")
        try:
            # Each `ctx.signal` is the next of its name; None is the end of the sleep.
            while (bid := await restate_sdk.race(ctx.signal("bid", Bid), end)) is not None:
                if bid.amount > best.amount:
                    best = bid
        except TerminalError as error:
            if error.code is StatusCode.CANCELLED:
                # Cleaning up is ordinary work: steps, calls, sleeps.
                await ctx.run("tell the bidder", notify, "called off:", f"{request.lot} {best.bidder}")
            raise
        return best

    async def place_bid(self, ctx: AuctionsContext, request: PlaceBidRequest) -> PlaceBidResponse:
        await ctx.invocation(request.auction).signal("bid", request.bid)
        return PlaceBidResponse()

    async def call_off(self, ctx: AuctionsContext, request: CallOffRequest) -> CallOffResponse:
        auction = ctx.invocation(request.auction, returns=Bid)
        await auction.cancel()
        try:
            best = await auction.attach()
        except TerminalError as error:
            return CallOffResponse(ended=str(error))
        return CallOffResponse(ended=f"too late: {best.bidder} has it")
