"""Handlers of the shop contract whose bodies the tests give, and their clients."""

from __future__ import annotations

from restate_sdk import Endpoint

from tests.sdk.gen.shop.v1.shop_pb import (
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
from tests.sdk.gen.shop.v1.shop_restate import CartClient, CheckoutClient, OrderClient
from tests.sdk.handlers import Cart, Checkout, Order

__all__ = [
    "AddRequest",
    "AddResponse",
    "ApproveRequest",
    "ApproveResponse",
    "Cart",
    "CartClient",
    "Checkout",
    "CheckoutClient",
    "Endpoint",
    "LookRequest",
    "LookResponse",
    "Order",
    "OrderClient",
    "OrderRequest",
    "OrderResponse",
    "PayRequest",
    "PayResponse",
]
