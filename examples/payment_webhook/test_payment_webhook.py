"""The payment with a webhook in real processes: all of them die while it waits, the webhook comes after that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e

PAY = "payment_webhook.v1.Payments/Pay"
RECORDED = ("awakeable", "run", "completion")


def callback_of(effect: str) -> str:
    return effect.rpartition(" ")[2]


def test_a_webhook_reaches_a_payment_although_all_processes_died_before_it_came(example: Example) -> None:
    runtime, endpoint = example.start()
    request: dict[str, object] = {"paymentId": "pay-1", "amount": 50_000}
    payment = example.send(PAY, request)
    callback = callback_of(example.until_effect("intent pay-1"))
    example.until_journaled(payment, *RECORDED)

    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    example.client("resolve", callback, "succeeded")
    assert example.client("pay", "pay-1", "50000") == ["receipt by webhook"]
    assert example.effects() == [f"intent pay-1 50000 {callback}"], "the provider was asked once"

    # A decision that comes at once needs no webhook; one that a handler passes on is as good as one for the ingress.
    assert example.client("pay", "pay-2", "100") == ["receipt of pay-2"]
    client = example.begin("pay", "pay-3", "50000")
    webhook = {"callbackId": callback_of(example.until_effect("intent pay-3")), "intent": {"status": "STATUS_DECLINED"}}
    assert example.curl("payment_webhook.v1.Payments/Webhook", webhook) == {}
    assert client.line("declined: ") == "pay-3"
