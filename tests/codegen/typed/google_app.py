"""The same with messages of Google's protobuf: enums have a type for their values, lists and maps are Python's."""

from __future__ import annotations

from typing import assert_type

from golden_nasty_google.nasty.v1.nasty_names_restate import ImportContext, ImportHandlers
from golden_shop_google.common.v1.money_pb import Money
from golden_shop_google.shop.v1.cart_pb import (
    AddTicketRequest,
    AddTicketResponse,
    Cart,
    ExpireRequest,
    ExpireResponse,
    ShowRequest,
)
from golden_shop_google.shop.v1.cart_restate import (
    CartFullError,
    CartObjectClient,
    CartObjectContext,
    CartObjectHandlers,
    CartObjectSharedContext,
)
from golden_shop_google.shop.v1.payment_pb import PaymentStatus, Receipt
from golden_shop_google.shop.v1.payment_restate import PaymentContext, PaymentSharedContext
from golden_shop_google.shop.v1.ticket_pb import SoldOut, Ticket
from golden_types_google.types.v1.types_restate import EverythingContext
from google.protobuf.timestamp_pb2 import Timestamp
from restate_client import Connection


class Shop(CartObjectHandlers):
    async def add_ticket(self, ctx: CartObjectContext, request: AddTicketRequest) -> AddTicketResponse:
        assert_type(ctx.key, int)
        assert_type(await ctx.state.tickets.get(), list[str])
        assert_type(await ctx.state.total.get(), Money | None)
        assert_type(await ctx.state.note.get(), str | None)
        assert_type(await ctx.state.mood.get(), Cart.Mood.ValueType)
        assert_type(await ctx.state.reserved.get(), dict[str, Ticket])
        ctx.state.mood.set(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        _ = AddTicketRequest(tickte="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        raise CartFullError(Cart.Full(limit=3))

    async def expire(self, ctx: CartObjectContext, request: ExpireRequest) -> ExpireResponse:
        raise CartFullError(SoldOut())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    async def show(self, ctx: CartObjectSharedContext, request: ShowRequest) -> Cart:
        return Cart(mood=await ctx.state.mood.get())


async def pay(run: PaymentContext, other: PaymentSharedContext) -> None:
    assert_type(await run.promises.paid, Receipt)
    assert_type(await run.promises.notes, list[str])
    assert_type(await run.state.status.get(), PaymentStatus.ValueType)
    await other.promises.cancelled_by.resolve("Ada")
    await other.promises.cancelled_by.resolve(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def well_known(ctx: EverythingContext) -> None:
    assert_type(await ctx.state.at.get(), Timestamp | None)


async def call(connection: Connection) -> None:
    assert_type(await CartObjectClient(connection).show(ShowRequest()), Cart)
    await CartObjectClient(connection).show(ExpireRequest())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def nasty(ctx: ImportContext, handlers: ImportHandlers) -> None:
    assert_type(await ctx.state.class_.get(), int)
    assert_type(await ctx.state.int.get(), str)
