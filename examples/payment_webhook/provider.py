"""A stand-in for the payment provider. With EXAMPLE_LOG set, each effect is a line in that file."""

import os

from gen.payment_webhook.v1.payments_pb import PaymentIntent, Status

#: Up to this amount, in cents, the provider decides at once.
SMALL = 10_000


def create_payment_intent(payment_id: str, amount: int, callback_id: str) -> PaymentIntent:
    """Asks for a payment. The id makes it safe to ask twice; what is decided later is sent to the callback."""
    _effect(f"intent {payment_id} {amount} {callback_id}")
    if amount > SMALL:
        return PaymentIntent(status=Status.PROCESSING)
    return PaymentIntent(status=Status.SUCCEEDED, receipt=f"receipt of {payment_id}")


def _effect(line: str) -> None:
    path = os.environ.get("EXAMPLE_LOG")
    if path is not None:
        with open(path, "a") as file:
            file.write(line + "\n")
