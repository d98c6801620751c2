"""Pays, `python client.py pay pay-1 50000`, or is the provider: `python client.py resolve awk_… succeeded`."""

import asyncio
import os
import sys

import restate_client
from gen.payment_webhook.v1.payments_pb import PaymentIntent, PayRequest, Status
from gen.payment_webhook.v1.payments_restate import DeclinedError, PaymentsClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def pay(payment_id: str, amount: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        try:
            reply = await PaymentsClient(restate).pay(PayRequest(payment_id=payment_id, amount=int(amount)))
            print(reply.receipt)
        except DeclinedError as error:
            print("declined:", error.detail.payment_id)


async def resolve(callback_id: str, status: str) -> None:
    """What a webhook does that talks to the ingress itself, without a handler of ours."""
    intent = PaymentIntent(status=Status[status.upper()], receipt="receipt by webhook")
    async with restate_client.connect(INGRESS) as restate:
        await restate.resolve_awakeable(callback_id, intent)


if __name__ == "__main__":
    command, first, second = sys.argv[1:]
    asyncio.run(pay(first, second) if command == "pay" else resolve(first, second))
