"""The handlers that benchmarks call. Run: python app.py PORT in a folder that has `gen`."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.getcwd())

from gen.load.v1.load_pb import (
    AddRequest,
    AddResponse,
    EchoRequest,
    EchoResponse,
    StepsRequest,
    StepsResponse,
    WaitRequest,
    WaitResponse,
)
from gen.load.v1.load_restate import CounterContext, CounterHandlers, LoadContext, LoadHandlers
from restate_sdk import Endpoint


async def step(text: str) -> str:
    """Does nothing, so that what is measured is the journal."""
    return text


class Load(LoadHandlers):
    async def echo(self, ctx: LoadContext, request: EchoRequest) -> EchoResponse:
        return EchoResponse(text=request.text)

    async def steps(self, ctx: LoadContext, request: StepsRequest) -> StepsResponse:
        for _ in range(request.count):
            await ctx.run("step", step, request.text)
        return StepsResponse(count=request.count)

    async def wait(self, ctx: LoadContext, request: WaitRequest) -> WaitResponse:
        return WaitResponse(text=await ctx.awakeable(str))


class Counter(CounterHandlers):
    async def add(self, ctx: CounterContext, request: AddRequest) -> AddResponse:
        value = await ctx.state.value.get() + request.delta
        ctx.state.value.set(value)
        return AddResponse(value=value)


app = Endpoint(Load(), Counter())

if __name__ == "__main__":
    app.serve(port=int(sys.argv[1]))
