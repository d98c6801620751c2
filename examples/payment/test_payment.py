"""The payment in real processes: killed while it waits for the webhook, it is finished, and charged once."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

import pytest
import restate_client
from restate_client import SendStatus, TerminalError

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


@pytest.fixture
def messages(example: Example) -> Any:
    return importlib.import_module("gen.payment.v1.payment_pb")


@pytest.fixture
def gen(messages: Any) -> Any:
    return importlib.import_module("gen.payment.v1.payment_restate")


async def until_it_waits(example: Example, invocation_id: str) -> None:
    """Returns once the journal says that the payment waits for the webhook, so that the charge is recorded."""
    await asyncio.to_thread(example.until_journaled, invocation_id, "get_promise")


async def test_a_payment_survives_the_death_of_all_processes(example: Example, gen: Any, messages: Any) -> None:
    runtime = example.start_runtime()
    endpoint = example.start_endpoint()
    example.register()
    request = messages.PaymentRequest(id="pay-1", account="DE02", amount=1000, email="ada@example.com")
    async with restate_client.connect(example.ingress) as restate:
        handle = await gen.PaymentClient(restate).run.send(request)
        assert handle.status is SendStatus.ACCEPTED
        await until_it_waits(example, handle.invocation_id)

    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    async with restate_client.connect(example.ingress) as restate:
        payment = gen.PaymentClient(restate)
        assert (await payment.status(messages.StatusRequest(id="pay-1"))).status == ""
        await payment.payment_webhook(messages.PaymentWebhookRequest(id="pay-1", account="DE02"))
        again = await payment.run.send(request)
        assert (again.status, again.invocation_id) == (SendStatus.PREVIOUSLY_ACCEPTED, handle.invocation_id)
        assert (await again.attach()).result == "success"
        assert (await again.output()).result == "success"
        status = await payment.status(messages.StatusRequest(id="pay-1"))
        assert status.status == "User notified of payment success"
        assert example.effects() == ["charge pay-1 DE02 1000", "notify pay-1 ada@example.com"]
        with pytest.raises(restate_client.WorkflowAlreadyStarted):
            await payment.run(request)


async def test_a_negative_amount_is_refused_for_good(example: Example, gen: Any, messages: Any) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    request = messages.PaymentRequest(id="pay-2", account="DE02", amount=-5, email="ada@example.com")
    async with restate_client.connect(example.ingress) as restate:
        with pytest.raises(TerminalError, match="Payment refused: negative amount"):
            await gen.PaymentClient(restate).run(request)
    assert example.effects() == []


def test_every_call_of_the_readme_works(example: Example) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    accepted, *rest = example.client("pay-1", "1000")
    assert accepted.startswith("ACCEPTED inv_")
    assert rest == ["success", "User notified of payment success"]
    assert example.client("pay-2", "-5")[1:] == ["UNKNOWN: Payment refused: negative amount"]
    status = example.curl("payment.v1.Payment/Status", {"id": "pay-1"})
    assert status == {"status": "User notified of payment success"}
