"""One virtual object for each user: holds tickets for some minutes, and buys them."""

import os
from datetime import timedelta

from gen.shop.v1.carts_pb import (
    AddTicketRequest,
    AddTicketResponse,
    CheckoutRequest,
    CheckoutResponse,
    ExpireRequest,
    ExpireResponse,
    NotAvailable,
    ShowRequest,
    ShowResponse,
)
from gen.shop.v1.carts_restate import CartsClient, CartsContext, CartsHandlers, CartsSharedContext, NotAvailableError
from gen.shop.v1.payments_pb import PayRequest
from gen.shop.v1.payments_restate import PaymentsClient
from gen.shop.v1.tickets_pb import HoldRequest, ReleaseRequest, SellRequest
from gen.shop.v1.tickets_restate import TicketsClient

HOLD_FOR = timedelta(seconds=float(os.environ.get("HOLD_SECONDS", "900")))


class Carts(CartsHandlers):
    async def add_ticket(self, ctx: CartsContext, request: AddTicketRequest) -> AddTicketResponse:
        holds = await ctx.state.holds.get()
        if request.ticket in holds:
            return AddTicketResponse()
        hold = str(ctx.uuid())
        reply = await TicketsClient(ctx).hold(HoldRequest(ticket=request.ticket, hold=hold))
        if not reply.held:
            raise NotAvailableError(NotAvailable(ticket=request.ticket))

        ctx.state.holds.set({**holds, request.ticket: hold})
        # A message to itself, later. It is in the journal, not in this process: no timer to lose.
        expire = ExpireRequest(user=ctx.key, ticket=request.ticket, hold=hold)
        await CartsClient(ctx).expire.send(expire, delay=HOLD_FOR)
        return AddTicketResponse()

    async def expire(self, ctx: CartsContext, request: ExpireRequest) -> ExpireResponse:
        holds = await ctx.state.holds.get()
        if holds.get(request.ticket) == request.hold:  # else: bought meanwhile
            del holds[request.ticket]
            ctx.state.holds.set(holds)
            await TicketsClient(ctx).release(ReleaseRequest(ticket=request.ticket, hold=request.hold))
        return ExpireResponse()

    async def checkout(self, ctx: CartsContext, request: CheckoutRequest) -> CheckoutResponse:
        holds = await ctx.state.holds.get()
        tickets = sorted(holds)
        if not tickets:
            return CheckoutResponse()
        # Where the card is declined this raises DeclinedError: the caller gets it, the holds go on until they expire.
        await PaymentsClient(ctx).pay(PayRequest(user=ctx.key, card=request.card, tickets=tickets))
        for ticket in tickets:
            await TicketsClient(ctx).sell(SellRequest(ticket=ticket, hold=holds[ticket]))
        ctx.clear_state()
        return CheckoutResponse(tickets=tickets)

    async def show(self, ctx: CartsSharedContext, request: ShowRequest) -> ShowResponse:
        return ShowResponse(tickets=sorted(await ctx.state.holds.get()))
