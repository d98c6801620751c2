"""Makes a payment, `python client.py pay pay-1 1000`, or cancels it, `python client.py cancel pay-1`."""

import asyncio
import os
import sys

import restate_client
from gen.payment_machine.v1.payments_pb import CancelPaymentRequest, MakePaymentRequest, Payment
from gen.payment_machine.v1.payments_restate import PaymentsClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(what: str, payment_id: str, amount: str = "0") -> None:
    async with restate_client.connect(INGRESS) as restate:
        payments = PaymentsClient(restate)
        if what == "pay":
            payment = Payment(account="DE02", amount=int(amount))
            outcome = await payments.make_payment(MakePaymentRequest(payment_id=payment_id, payment=payment))
        else:
            outcome = await payments.cancel_payment(CancelPaymentRequest(payment_id=payment_id))
    print(outcome.message)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
