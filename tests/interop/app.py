"""The handlers of the interop protos, for a process of their own. The folder `gen` beside it is made by the tests."""

from __future__ import annotations

import sys

import restate_sdk
from gen.interop.v1 import interop_pb as pb
from gen.interop.v1 import interop_restate as stubs


class Probe(stubs.ProbeHandlers):
    async def echo(self, ctx: stubs.ProbeContext, request: pb.EchoRequest, /) -> pb.EchoResponse:
        return pb.EchoResponse(everything=request.everything)

    async def peek(self, ctx: stubs.ProbeContext, request: pb.PeekRequest, /) -> pb.PeekResponse:
        return pb.PeekResponse(message=f"I see {request.name}")

    async def headers(self, ctx: stubs.ProbeContext, request: pb.HeadersRequest, /) -> pb.HeadersResponse:
        given = ctx.request.headers.items()
        found = {name: value.hex() if isinstance(value, bytes) else value for name, value in given}
        return pb.HeadersResponse(headers=found)

    async def refuse(self, ctx: stubs.ProbeContext, request: pb.RefuseRequest, /) -> pb.RefuseResponse:
        raise stubs.RefusalError(pb.Refusal(reason="too much", amount=request.amount), "the amount is too high")

    async def wait(self, ctx: stubs.ProbeContext, request: pb.WaitRequest, /) -> pb.WaitResponse:
        awakeable = ctx.awakeable(str)
        await stubs.BoardClient(ctx).pin(pb.PinRequest(name=request.board, awakeable_id=awakeable.id))
        return pb.WaitResponse(text=await awakeable)

    async def hidden(self, ctx: stubs.ProbeContext, request: pb.HiddenRequest, /) -> pb.HiddenResponse:
        return pb.HiddenResponse()


class Counter(stubs.CounterHandlers):
    async def add(self, ctx: stubs.CounterContext, request: pb.AddRequest, /) -> pb.AddResponse:
        total = await ctx.state.total.get() + request.amount
        ctx.state.total.set(total)
        return pb.AddResponse(total=total)

    async def get(self, ctx: stubs.CounterSharedContext, request: pb.GetRequest, /) -> pb.GetResponse:
        return pb.GetResponse(total=await ctx.state.total.get())


class Board(stubs.BoardHandlers):
    async def run(self, ctx: stubs.BoardContext, request: pb.ReadRequest, /) -> pb.ReadResponse:
        return pb.ReadResponse(awakeable_id=await ctx.promises.awakeable_id)

    async def pin(self, ctx: stubs.BoardSharedContext, request: pb.PinRequest, /) -> pb.PinResponse:
        await ctx.promises.awakeable_id.resolve(request.awakeable_id)
        return pb.PinResponse()


class Signup(stubs.SignupHandlers):
    async def run(self, ctx: stubs.SignupContext, request: pb.RunRequest, /) -> pb.RunResponse:
        return pb.RunResponse(welcome=f"welcome {ctx.key}")


app = restate_sdk.Endpoint(Probe(), Counter(), Board(), Signup())

if __name__ == "__main__":
    app.serve(port=int(sys.argv[1]))
