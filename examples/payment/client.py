"""Starts a payment, plays the provider's webhook and waits for the result: `python client.py pay-1 1000`."""

import asyncio
import os
import sys

import restate_client
from gen.payment.v1.payment_pb import PaymentRequest, PaymentWebhookRequest, StatusRequest
from gen.payment.v1.payment_restate import PaymentClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(payment_id: str, amount: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        payment = PaymentClient(restate)
        request = PaymentRequest(id=payment_id, account="DE02", amount=int(amount), email="ada@example.com")
        handle = await payment.run.send(request)
        print(handle.status.name, handle.invocation_id)

        await payment.payment_webhook(PaymentWebhookRequest(id=payment_id, account="DE02"))
        try:
            print((await handle.attach()).result)
            print((await payment.status(StatusRequest(id=payment_id))).status)
        except restate_client.TerminalError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
