"""A virtual object: one greeter for each name, which counts its greetings in durable state."""

import restate_sdk
from gen.greeter.v1.greeter_pb import CountRequest, CountResponse, GreetRequest, GreetResponse
from gen.greeter.v1.greeter_restate import GreeterContext, GreeterHandlers, GreeterSharedContext


class Greeter(GreeterHandlers):
    async def greet(self, ctx: GreeterContext, request: GreetRequest) -> GreetResponse:
        count = await ctx.state.count.get() + 1
        ctx.state.count.set(count)
        return GreetResponse(message=f"{request.greeting} {ctx.key} for the {count}-th time.")

    async def count(self, ctx: GreeterSharedContext, request: CountRequest) -> CountResponse:
        return CountResponse(count=await ctx.state.count.get())


app = restate_sdk.Endpoint(Greeter())

if __name__ == "__main__":
    app.serve()
