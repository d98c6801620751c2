"""Workflows, promises, integer keys, errors of other packages, as type checkers must see them; in both flavours."""

from __future__ import annotations

from typing import assert_type

from golden_shop_betterproto.shop.v1 import cart_pb as dataclasses_pb
from golden_shop_betterproto.shop.v1.cart_restate import CartFullError as DataclassFullError
from golden_shop_betterproto.shop.v1.cart_restate import CartObjectContext as DataclassContext
from golden_shop_protobuf_py.common.v1.errors_pb import TooExpensive
from golden_shop_protobuf_py.common.v1.money_pb import Money
from golden_shop_protobuf_py.shop.v1.cart_pb import (
    AddTicketRequest,
    AddTicketResponse,
    Cart,
    ExpireRequest,
    ExpireResponse,
    ShowRequest,
)
from golden_shop_protobuf_py.shop.v1.cart_restate import (
    CartFullError,
    CartObjectContext,
    CartObjectHandlers,
    CartObjectSharedContext,
    SoldOutError,
    TooExpensiveError,
)
from golden_shop_protobuf_py.shop.v1.payment_pb import PaymentStatus, Receipt
from golden_shop_protobuf_py.shop.v1.payment_restate import PaymentContext, PaymentSharedContext
from golden_shop_protobuf_py.shop.v1.ticket_pb import SoldOut, Ticket


class Shop(CartObjectHandlers):
    async def add_ticket(self, ctx: CartObjectContext, request: AddTicketRequest) -> AddTicketResponse:
        assert_type(ctx.key, int)
        assert_type(await ctx.state.tickets.get(), list[str])
        assert_type(await ctx.state.total.get(), Money | None)
        assert_type(await ctx.state.note.get(), str | None)
        assert_type(await ctx.state.mood.get(), Cart.Mood)
        assert_type(await ctx.state.reserved.get(), dict[str, Ticket])
        ctx.state.note.set(None)
        if request.ticket == "gone":
            raise SoldOutError(SoldOut(id=request.ticket))
        try:
            raise TooExpensiveError(TooExpensive(price=Money(currency="EUR", amount=1)))
        except TooExpensiveError as error:
            assert_type(error.detail, TooExpensive)
        raise CartFullError(Cart.Full(limit=3))

    async def expire(self, ctx: CartObjectContext, request: ExpireRequest) -> ExpireResponse:
        raise CartFullError(SoldOut())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    async def show(self, ctx: CartObjectSharedContext, request: ShowRequest) -> Cart:
        return Cart(mood=await ctx.state.mood.get())


async def pay(run: PaymentContext, other: PaymentSharedContext) -> None:
    assert_type(await run.promises.paid, Receipt)
    assert_type(await run.promises.notes, list[str])
    assert_type(await run.state.status.get(), PaymentStatus)
    await other.promises.cancelled_by.resolve("Ada")
    await other.promises.cancelled_by.resolve(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def with_dataclasses(ctx: DataclassContext) -> None:
    assert_type(await ctx.state.mood.get(), dataclasses_pb.CartMood)
    raise DataclassFullError(dataclasses_pb.CartFull(limit=3))
