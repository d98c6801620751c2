"""Every operation in real processes: what it gives, and that a crash of both while handlers wait changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def test_every_operation_gives_what_it_says(example: Example) -> None:
    example.start()
    # Steps: the flaky bank is asked three times with one payment id, the messages go out after it.
    assert example.client("order", "flaky", "100") == ["receipt for 100"]
    charges, rest = example.effects()[:3], example.effects()[3:]
    assert len(set(charges)) == 1
    assert sorted(rest) == ["mail receipt for 100", "message receipt for 100"]

    assert example.client("quote", "slow", "fast") == ["fast"]
    quotes = "operations.v1.Quotes"
    assert example.curl(f"{quotes}/Fastest", {"suppliers": ["slow"], "limitMs": 1}) == {"supplier": "nobody in time"}
    assert example.curl(f"{quotes}/Available", {"suppliers": ["empty", "slow", "ada"]}) == {"supplier": "ada"}
    both = example.curl(f"{quotes}/All", {"suppliers": ["empty", "ada"]})
    assert both == {"answers": ["NOT_FOUND: nothing left", "ada"]}
    haggled = example.curl(f"{quotes}/Haggle", {"suppliers": ["ada", "grace"]})
    assert haggled == {"answers": ["ada, cheaper", "grace, cheaper"]}
    streamed = example.curl(f"{quotes}/Stream", {"suppliers": ["slow", "ada"], "limitMs": 1000})
    assert streamed == {"answers": ["ada"]}

    assert example.client("deposit", "ada", "5") == ["5"]
    audit = example.curl("operations.v1.Orders/Audit", {"account": "ada"})
    assert (audit["balance"], audit["invocationId"][:4]) == ("6", "inv_")
    shown = {"amount": "6", "owner": "owner of ada", "notes": ["by hand", "audit"]}
    assert example.curl("operations.v1.Accounts/Show", {"account": "ada"}) == shown
    closed = example.curl("operations.v1.Accounts/Close", {"account": "ada"})
    assert closed == {"entries": ["amount", "owner", "notes"]}
    assert example.curl("operations.v1.Accounts/Show", {"account": "ada"}) == {}

    assert example.curl("operations.v1.Orders/Draw", {"names": ["eve"]})["winner"] == "eve"
    assert example.client("check", "early") == ["good"]
    assert example.client("check", "rotten") == ["refused: rotten is bad"]
    assert example.client("check", "nothing") == ["NOT_FOUND: nobody knows nothing"]


def test_an_auction_takes_bids_and_is_called_off_although_both_died_in_its_middle(example: Example) -> None:
    runtime, endpoint = example.start()
    auctions = "operations.v1.Auctions"
    auction = example.send(f"{auctions}/Hold", {"lot": "a vase", "openMs": 600_000})
    assert example.client("bid", auction, "ada", "5") == []
    example.until_journaled(auction, "sleep", "signal")
    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    bid = {"auction": auction, "bid": {"bidder": "grace", "amount": 7}}
    assert example.curl(f"{auctions}/PlaceBid", bid) == {}
    assert example.curl(f"{auctions}/CallOff", {"auction": auction}) == {"ended": "CANCELLED: cancelled"}
    assert example.effects() == ["called off: a vase grace"]

    assert example.curl(f"{auctions}/Hold", {"lot": "a lamp", "openMs": 1}) == {}, "nobody bid in time"


def test_a_decision_reaches_its_workflow_although_both_died_before_it(example: Example) -> None:
    runtime, endpoint = example.start()
    approval = example.send("operations.v1.Approvals/Run", {"id": "a-1", "what": "a trip"})
    example.until_journaled(approval, "input", "get_promise")
    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    assert example.curl("operations.v1.Approvals/Look", {"id": "a-1"}) == {"by": "nobody yet"}
    decision = {"approved": True, "by": "grace"}
    assert example.curl("operations.v1.Approvals/Decide", {"id": "a-1", "decision": decision}) == {}
    example.until_journaled(approval, "completion", "output")
    assert example.curl("operations.v1.Approvals/Look", {"id": "a-1"}) == decision
