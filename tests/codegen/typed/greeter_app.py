"""What type checkers must see of generated code: right uses pass, wrong ones are errors (the ignores are needed)."""

from __future__ import annotations

from typing import assert_type

from golden_greeter_protobuf_py.greeter.v1.greeter_pb import CountRequest, CountResponse, GreetRequest, GreetResponse
from golden_greeter_protobuf_py.greeter.v1.greeter_restate import (
    GreeterClient,
    GreeterContext,
    GreeterHandlers,
    GreeterSharedContext,
)
from restate_client import Connection
from restate_protocol.futures import CallFuture


class Greeter(GreeterHandlers):
    async def greet(self, ctx: GreeterContext, request: GreetRequest) -> GreetResponse:
        count = await ctx.state.count.get() + 1
        ctx.state.count.set(count)
        assert_type(count, int)
        assert_type(ctx.key, str)
        assert_type(GreeterClient(ctx).count(CountRequest(name="x")), CallFuture[CountResponse])
        ctx.state.count.set("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        _ = ctx.state.cuont  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return GreetResponse(message=f"{request.greeting} {ctx.key} for the {count}-th time.")

    async def count(self, ctx: GreeterSharedContext, request: CountRequest) -> CountResponse:
        ctx.state.count.set(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return CountResponse(count=await ctx.state.count.get())


class Unfinished(GreeterHandlers):
    async def greet(self, ctx: GreeterContext, request: GreetRequest) -> GreetResponse:
        return GreetResponse()


class Wrong(GreeterHandlers):
    async def greet(self, ctx: GreeterContext, request: CountRequest) -> GreetResponse:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return GreetResponse()


Greeter()
Unfinished()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]


async def call(connection: Connection) -> None:
    client = GreeterClient(connection)
    assert_type(await client.greet(GreetRequest(name="Ada", greeting="Hi"), idempotency_key="42"), GreetResponse)
    await client.greet(CountRequest(name="Ada"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = client.greeet  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
