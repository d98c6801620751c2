"""A plain service with a webhook: the provider's late answer reaches the handler as an awakeable."""

import restate_sdk
from gen.payment_webhook.v1.payments_pb import (
    Declined,
    PaymentIntent,
    PayRequest,
    PayResponse,
    Status,
    WebhookRequest,
    WebhookResponse,
)
from gen.payment_webhook.v1.payments_restate import DeclinedError, PaymentsContext, PaymentsHandlers
from provider import create_payment_intent
from restate_sdk import StatusCode, TerminalError


class Payments(PaymentsHandlers):
    async def pay(self, ctx: PaymentsContext, request: PayRequest) -> PayResponse:
        webhook = ctx.awakeable(PaymentIntent)
        intent = await ctx.run(
            "create payment intent", create_payment_intent, request.payment_id, request.amount, webhook.id
        )
        if intent.status is Status.PROCESSING:
            # The provider does not know yet. Milliseconds or months: waiting costs no memory.
            intent = await webhook
        if intent.status is Status.DECLINED:
            raise DeclinedError(Declined(payment_id=request.payment_id))
        return PayResponse(receipt=intent.receipt)

    async def webhook(self, ctx: PaymentsContext, request: WebhookRequest) -> WebhookResponse:
        if request.intent is None:
            raise TerminalError("a webhook needs an intent", code=StatusCode.INVALID_ARGUMENT)
        ctx.resolve_awakeable(request.callback_id, request.intent)
        return WebhookResponse()


app = restate_sdk.Endpoint(Payments())

if __name__ == "__main__":
    app.serve()
