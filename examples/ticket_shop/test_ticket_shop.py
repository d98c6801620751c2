"""The ticket shop in real processes: the shop dies while it charges, the runtime while tickets are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.conftest import until

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_a_ticket_is_bought_once_although_the_shop_dies_while_it_charges(example: Example) -> None:
    _, shop = example.start(EXAMPLE_PAUSE_AT="charge 4242")
    assert example.client("ada", "add", "A1") == ["held A1"]
    assert example.client("bob", "add", "A1") == ["not available: A1"]
    assert example.client("ada", "checkout", "0000") == ["declined: 0000"]
    buying = example.begin("ada", "checkout", "4242")
    charge = example.until_effect("charge 4242 4000 ")
    shop.kill()
    example.start_endpoint()

    assert buying.line("bought ") == "A1"
    # Asked twice, with one payment id: the provider charges once.
    assert example.effects() == [charge, charge, "mail ada A1"]
    assert example.client("ada", "show") == ["in the cart:"]
    assert example.client("bob", "add", "A1") == ["not available: A1"]


def test_a_ticket_that_is_not_bought_is_free_again_although_the_runtime_died_meanwhile(example: Example) -> None:
    runtime, _ = example.start(HOLD_SECONDS="1.5")
    example.curl("shop.v1.Carts/AddTicket", {"user": "ada", "ticket": "A1"})
    runtime.kill()
    example.start_runtime()
    until(lambda: example.curl("shop.v1.Carts/Show", {"user": "ada"}) == {}, "the hold to expire")
    assert example.client("bob", "add", "A1") == ["held A1"]
