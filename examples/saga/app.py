"""A saga: when a step fails for good, what was done before is undone, whatever crashes meanwhile."""

import restate_sdk
from agencies import cancel, reserve
from gen.saga.v1.trips_pb import BookRequest, BookResponse, NotAvailable
from gen.saga.v1.trips_restate import NotAvailableError, TripsContext, TripsHandlers
from restate_sdk import TerminalError


class Trips(TripsHandlers):
    async def book(self, ctx: TripsContext, request: BookRequest) -> BookResponse:
        reservations: list[str] = []
        to_undo: list[str] = []
        try:
            for part in request.parts:
                # Noted first: a reservation that failed may still have reached the agency.
                to_undo.append(part)
                number = await ctx.run(f"reserve {part}", reserve, request.trip_id, part)
                if not number:
                    raise NotAvailableError(NotAvailable(part=part))
                reservations.append(number)
        except TerminalError:
            # Ordinary steps: recorded, retried, and gone on with after a crash, like those that they undo.
            for part in reversed(to_undo):
                await ctx.run(f"cancel {part}", cancel, request.trip_id, part)
            raise
        return BookResponse(reservations=reservations)


app = restate_sdk.Endpoint(Trips())

if __name__ == "__main__":
    app.serve()
