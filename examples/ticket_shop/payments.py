"""A plain service that takes money: a typed error where the card is declined, steps for what must happen once."""

from gen.shop.v1.carts_pb import Declined
from gen.shop.v1.carts_restate import DeclinedError
from gen.shop.v1.payments_pb import PayRequest, PayResponse
from gen.shop.v1.payments_restate import PaymentsContext, PaymentsHandlers
from providers import charge, mail_tickets

PRICE = 4_000


class Payments(PaymentsHandlers):
    async def pay(self, ctx: PaymentsContext, request: PayRequest) -> PayResponse:
        # The same in every attempt: a charge that is asked for twice is one charge.
        payment_id = str(ctx.uuid())
        amount = PRICE * len(request.tickets)
        if not await ctx.run("charge", charge, payment_id, request.card, amount):
            raise DeclinedError(Declined(card=request.card))
        await ctx.run("mail tickets", mail_tickets, request.user, list(request.tickets))
        return PayResponse()
