"""Tries operations out: `python client.py deposit ada 5`, `… order 4242 100`, `… quote slow fast`, `… check rotten`."""

import asyncio
import os
import sys

import restate_client
from gen.operations.v1.operations_pb import Bid, CheckRequest, DepositRequest, PlaceRequest, QuotesRequest
from gen.operations.v1.operations_restate import AccountsClient, OrdersClient, QuotesClient, RefusedError

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(what: str, *arguments: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        orders = OrdersClient(restate)
        match what, *arguments:
            case "deposit", account, amount:
                deposit = DepositRequest(account=account, amount=int(amount), note="by hand")
                print((await AccountsClient(restate).deposit(deposit)).amount)
            case "order", card, amount:
                print((await orders.place(PlaceRequest(card=card, amount=int(amount)))).receipt)
            case "quote", *suppliers:
                request = QuotesRequest(suppliers=suppliers, limit_ms=10_000)
                print((await QuotesClient(restate).fastest(request)).supplier)
            case "bid", auction, bidder, amount:
                await restate.signal(auction, "bid", Bid(bidder=bidder, amount=int(amount)))
            case "check", thing:
                try:
                    print((await orders.check(CheckRequest(id=thing, what=thing))).verdict)
                except RefusedError as error:
                    print("refused:", error.detail.reason)
                except restate_client.TerminalError as error:
                    print(error)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
