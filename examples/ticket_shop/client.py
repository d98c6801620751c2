"""One user of the shop: `python client.py ada add A1`, `… ada show`, `… ada checkout 4242`."""

import asyncio
import os
import sys

import restate_client
from gen.shop.v1.carts_pb import AddTicketRequest, CheckoutRequest, ShowRequest
from gen.shop.v1.carts_restate import CartsClient, DeclinedError, NotAvailableError

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(user: str, what: str, *argument: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        carts = CartsClient(restate)
        try:
            match what, *argument:
                case "add", ticket:
                    await carts.add_ticket(AddTicketRequest(user=user, ticket=ticket))
                    print("held", ticket)
                case "checkout", card:
                    print("bought", *(await carts.checkout(CheckoutRequest(user=user, card=card))).tickets)
                case _:
                    print("in the cart:", *(await carts.show(ShowRequest(user=user))).tickets)
        except NotAvailableError as error:
            print("not available:", error.detail.ticket)
        except DeclinedError as error:
            print("declined:", error.detail.card)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
