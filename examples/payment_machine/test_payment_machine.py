"""The payment state machine in real processes: the endpoint dies in a transition, and the next one waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_a_cancellation_waits_for_the_payment_that_was_interrupted_and_refunds_it_once(example: Example) -> None:
    runtime, endpoint = example.start(EXAMPLE_PAUSE_AT="wire pay-1 DE02 1000")
    payment: dict[str, object] = {"paymentId": "pay-1", "payment": {"account": "DE02", "amount": 1000}}
    example.send("payment_machine.v1.Payments/MakePayment", payment)
    example.until_effect("wire pay-1")
    cancelling = example.begin("cancel", "pay-1")
    assert example.curl("payment_machine.v1.Payments/GetStatus", {"paymentId": "pay-1"}) == {}, "still NEW"
    endpoint.kill()
    example.start_endpoint()

    assert cancelling.line("pay-1 is ") == "cancelled"
    # The step under way ran again; the bank knows the payment's id.
    assert example.effects() == ["wire pay-1 DE02 1000", "wire pay-1 DE02 1000", "refund pay-1 DE02 1000"]

    runtime.kill()
    example.start_runtime()
    assert example.client("pay", "pay-1", "1000") == ["pay-1 was cancelled before"]
    assert example.client("pay", "pay-2", "500") == ["pay-2 is paid"]
    assert example.client("pay", "pay-2", "500") == ["pay-2 was paid before"]
    assert len(example.effects()) == 4
