"""Handlers whose bodies the tests give: each rpc calls a function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .gen.shop.v1.shop_pb import (
    AddRequest,
    AddResponse,
    ApproveRequest,
    ApproveResponse,
    LookRequest,
    LookResponse,
    OrderRequest,
    OrderResponse,
    PayRequest,
    PayResponse,
)
from .gen.shop.v1.shop_restate import (
    CartContext,
    CartHandlers,
    CartSharedContext,
    CheckoutContext,
    CheckoutHandlers,
    OrderContext,
    OrderHandlers,
    OrderSharedContext,
)

PAY = "shop.v1.Checkout/Pay"
ADD = "shop.v1.Cart/Add"
LOOK = "shop.v1.Cart/Look"
RUN = "shop.v1.Order/Run"
APPROVE = "shop.v1.Order/Approve"


class Checkout(CheckoutHandlers):
    """Gives the text of what the body returns."""

    def __init__(self, body: Callable[[CheckoutContext], Awaitable[object]]) -> None:
        self._body = body

    async def pay(self, ctx: CheckoutContext, request: PayRequest, /) -> PayResponse:
        return PayResponse(text=str(await self._body(ctx)))


class Cart(CartHandlers):
    """Gives what the body returns as items."""

    def __init__(
        self,
        add: Callable[[CartContext], Awaitable[list[str]]] | None = None,
        look: Callable[[CartSharedContext], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._add: Any = add
        self._look: Any = look

    async def add(self, ctx: CartContext, request: AddRequest, /) -> AddResponse:
        return AddResponse(items=await self._add(ctx))

    async def look(self, ctx: CartSharedContext, request: LookRequest, /) -> LookResponse:
        return LookResponse(items=await self._look(ctx))


class Order(OrderHandlers):
    """Gives the text of what the body returns."""

    def __init__(
        self,
        run: Callable[[OrderContext], Awaitable[object]] | None = None,
        approve: Callable[[OrderSharedContext], Awaitable[object]] | None = None,
    ) -> None:
        self._run: Any = run
        self._approve: Any = approve

    async def run(self, ctx: OrderContext, request: OrderRequest, /) -> OrderResponse:
        return OrderResponse(text=str(await self._run(ctx)))

    async def approve(self, ctx: OrderSharedContext, request: ApproveRequest, /) -> ApproveResponse:
        return ApproveResponse(text=str(await self._approve(ctx)))
