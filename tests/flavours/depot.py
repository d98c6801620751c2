"""The handlers of the contract, written once: what they use of messages is the same in every flavour.

Where flavours differ (oneofs, time, nested names), messages come from bytes of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from restate_protocol import codec

#: By the names that --messages takes.
FLAVOURS = ("protobuf-py", "betterproto", "google")
REFERENCE = "protobuf-py"
LIMIT = 10


@dataclass(frozen=True)
class Flavour:
    """The generated modules with one library's messages.

    Args:
        name: as --messages takes it.
        pb: the messages.
        restate: clients, handlers and errors.
    """

    name: str
    pb: Any
    restate: Any

    def of(self, message: Any) -> Any:
        """The same message of this flavour."""
        cls = getattr(self.pb, codec.full_name(type(message)).removeprefix("depot.v1."))
        return codec.decode(cls, codec.encode(message))


def depot_of(flavour: Flavour) -> Any:
    """The object: state of every shape, runs with messages, a typed error with a message."""
    pb, restate = flavour.pb, flavour.restate

    async def weigh(parcel: Any) -> Any:
        return parcel

    class Depot(restate.DepotHandlers):  # type: ignore[misc, name-defined]
        async def echo(self, ctx: Any, request: Any, /) -> Any:
            state = ctx.state
            weighed = await ctx.run("weigh", weigh, request, returns=pb.Parcel)
            state.last.set(weighed)
            state.texts.set([*await state.texts.get(), request.text])
            counts = await state.counts.get()
            counts[request.text] = counts.get(request.text, 0) + 1
            state.counts.set(counts)
            state.size.set(request.size)
            state.floor.set(request.floor)
            await ctx.sleep(timedelta(hours=1))
            return await state.last.get()

        async def put(self, ctx: Any, request: Any, /) -> Any:
            if request.amount > LIMIT:
                last = await ctx.state.last.get()
                raise restate.FullError(pb.Full(limit=LIMIT, label=None if last is None else last.label))
            puts = await ctx.state.puts.get() + 1
            ctx.state.puts.set(puts)
            return pb.PutResponse(puts=puts)

        async def look(self, ctx: Any, request: Any, /) -> Any:
            state = ctx.state
            seen = pb.DepotState(
                last=await state.last.get(),
                texts=await state.texts.get(),
                counts=await state.counts.get(),
                size=await state.size.get(),
                floor=await state.floor.get(),
                puts=await state.puts.get(),
            )
            return pb.LookResponse(state=seen, keys=await ctx.state_keys())

    return Depot()


def delivery_of(flavour: Flavour, asked: list[str]) -> Any:
    """The workflow: an awakeable and promises that carry messages.

    Args:
        asked: gets the id of each awakeable.
    """
    pb, restate = flavour.pb, flavour.restate

    class Delivery(restate.DeliveryHandlers):  # type: ignore[misc, name-defined]
        async def run(self, ctx: Any, request: Any, /) -> Any:
            awakeable = ctx.awakeable(pb.Signature)
            await ctx.run("ask", asked.append, awakeable.id)
            signature = await awakeable
            arrival = await ctx.promises.arrived
            notes = await ctx.promises.notes.peek()
            return pb.Receipt(id=ctx.key, signature=signature, arrival=arrival, notes=notes)

        async def arrive(self, ctx: Any, request: Any, /) -> Any:
            await ctx.promises.notes.resolve(["rang", "left"])
            await ctx.promises.arrived.resolve(request.arrival)
            return pb.ArriveResponse()

    return Delivery()


def courier_of(flavour: Flavour) -> Any:
    """The caller within: passes messages on to whoever serves the depot."""
    restate = flavour.restate

    class Courier(restate.CourierHandlers):  # type: ignore[misc, name-defined]
        async def carry(self, ctx: Any, request: Any, /) -> Any:
            return await restate.DepotClient(ctx).echo(request)

        async def overload(self, ctx: Any, request: Any, /) -> Any:
            try:
                return await restate.DepotClient(ctx).put(request)
            except restate.FullError as error:
                raise restate.FullError(error.detail, f"no room for {request.amount}") from error

    return Courier()
