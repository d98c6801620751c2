"""Reserves a product, and asks again until somebody answers: `python client.py tea res-1`."""

import asyncio
import os
import sys

import restate_client
from gen.reservation.v1.products_pb import Reservation, ReserveRequest
from gen.reservation.v1.products_restate import OutOfStockError, ProductsClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def reserve(product: str, reservation_id: str) -> Reservation:
    request = ReserveRequest(product=product, reservation_id=reservation_id)
    # When a connection breaks, was it reserved or not? Nobody can know, and it does not matter: the request has an
    # idempotency key, so the client asks again by itself. Here for as long as it takes.
    patient = restate_client.RetryPolicy(max_duration=None)
    async with restate_client.connect(INGRESS, retry=patient) as restate:
        return await ProductsClient(restate).reserve(request)


async def main(product: str, reservation_id: str) -> None:
    try:
        print((await reserve(product, reservation_id)).voucher)
    except OutOfStockError as error:
        print("out of stock:", error.detail.product)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
