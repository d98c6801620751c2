"""Books a trip: `python client.py trip-1 flight hotel balloon`."""

import asyncio
import os
import sys

import restate_client
from gen.saga.v1.trips_pb import BookRequest
from gen.saga.v1.trips_restate import NotAvailableError, TripsClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(trip_id: str, *parts: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        try:
            trip = await TripsClient(restate).book(BookRequest(trip_id=trip_id, parts=list(parts)))
            print(*trip.reservations)
        except NotAvailableError as error:
            print("not available:", error.detail.part)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
