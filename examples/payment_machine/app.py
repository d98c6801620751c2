"""A state machine: a virtual object whose handlers are the transitions, one at a time for each payment."""

import restate_sdk
from bank import refund, wire_funds
from gen.payment_machine.v1.payments_pb import (
    CancelPaymentRequest,
    GetStatusRequest,
    MakePaymentRequest,
    Outcome,
    Payment,
    Status,
)
from gen.payment_machine.v1.payments_restate import PaymentsContext, PaymentsHandlers, PaymentsSharedContext


class Payments(PaymentsHandlers):
    async def make_payment(self, ctx: PaymentsContext, request: MakePaymentRequest) -> Outcome:
        match await ctx.state.status.get():
            case Status.CANCELLED:
                return Outcome(status=Status.CANCELLED, message=f"{ctx.key} was cancelled before")
            case Status.SUCCEEDED:
                return Outcome(status=Status.SUCCEEDED, message=f"{ctx.key} was paid before")

        payment = request.payment or Payment()
        await ctx.run("wire funds", wire_funds, ctx.key, payment.account, payment.amount)
        ctx.state.status.set(Status.SUCCEEDED)
        ctx.state.payment.set(payment)
        return Outcome(status=Status.SUCCEEDED, message=f"{ctx.key} is paid")

    async def cancel_payment(self, ctx: PaymentsContext, request: CancelPaymentRequest) -> Outcome:
        payment = await ctx.state.payment.get()
        if await ctx.state.status.get() is Status.SUCCEEDED and payment is not None:
            await ctx.run("refund", refund, ctx.key, payment.account, payment.amount)
        ctx.state.status.set(Status.CANCELLED)
        return Outcome(status=Status.CANCELLED, message=f"{ctx.key} is cancelled")

    async def get_status(self, ctx: PaymentsSharedContext, request: GetStatusRequest) -> Outcome:
        return Outcome(status=await ctx.state.status.get())


app = restate_sdk.Endpoint(Payments())

if __name__ == "__main__":
    app.serve()
