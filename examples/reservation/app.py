"""A virtual object whose callers may ask again and again: the idempotency key makes it one reservation."""

import restate_sdk
from gen.reservation.v1.products_pb import (
    CountRequest,
    OutOfStock,
    Reservation,
    ReserveRequest,
    RestockRequest,
    Stock,
)
from gen.reservation.v1.products_restate import (
    OutOfStockError,
    ProductsContext,
    ProductsHandlers,
    ProductsSharedContext,
)
from vouchers import print_voucher


class Products(ProductsHandlers):
    async def reserve(self, ctx: ProductsContext, request: ReserveRequest) -> Reservation:
        stock = await ctx.state.stock.get()
        if stock == 0:
            raise OutOfStockError(OutOfStock(product=ctx.key))
        ctx.state.stock.set(stock - 1)
        voucher = await ctx.run("print voucher", print_voucher, ctx.key, request.reservation_id)
        return Reservation(voucher=voucher)

    async def restock(self, ctx: ProductsContext, request: RestockRequest) -> Stock:
        count = await ctx.state.stock.get() + request.count
        ctx.state.stock.set(count)
        return Stock(count=count)

    async def count(self, ctx: ProductsSharedContext, request: CountRequest) -> Stock:
        return Stock(count=await ctx.state.stock.get())


app = restate_sdk.Endpoint(Products())

if __name__ == "__main__":
    app.serve()
