"""A workflow: steps, a promise that a webhook resolves, and a status that anybody may read meanwhile."""

import restate_sdk
from gen.payment.v1.payment_pb import (
    PaymentRequest,
    PaymentResponse,
    PaymentSuccess,
    PaymentWebhookRequest,
    PaymentWebhookResponse,
    StatusRequest,
    StatusResponse,
)
from gen.payment.v1.payment_restate import PaymentContext, PaymentHandlers, PaymentSharedContext
from providers import charge, send_success_notification
from restate_sdk import TerminalError


class Payment(PaymentHandlers):
    async def run(self, ctx: PaymentContext, request: PaymentRequest) -> PaymentResponse:
        if request.amount < 0:
            # Not retried: the workflow ends here, and the caller gets this error.
            raise TerminalError("Payment refused: negative amount")

        await ctx.run("make a payment", charge, ctx.key, request.account, request.amount)

        # Waits as long as it takes; costs no memory meanwhile.
        await ctx.promises.payment_success
        ctx.state.status.set("Payment succeeded")

        await ctx.run("notify the user", send_success_notification, ctx.key, request.email)
        ctx.state.status.set("User notified of payment success")
        return PaymentResponse(result="success")

    async def payment_webhook(
        self, ctx: PaymentSharedContext, request: PaymentWebhookRequest
    ) -> PaymentWebhookResponse:
        await ctx.promises.payment_success.resolve(PaymentSuccess(account=request.account))
        return PaymentWebhookResponse()

    async def status(self, ctx: PaymentSharedContext, request: StatusRequest) -> StatusResponse:
        return StatusResponse(status=await ctx.state.status.get())


app = restate_sdk.Endpoint(Payment())

if __name__ == "__main__":
    app.serve()
