"""Handlers of tests/protos/bench for the tests with real processes.

Every handler leaves marks in a log file, so that a test can see what ran, how often, and in which order. A mark
may be where the process kills itself with -9, once: KILL_AT names it. Run: python app.py PORT; the folder with
`gen` is the working directory.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, os.getcwd())

from gen.bench.v1.bench_pb import DoRequest, DoResponse, KeyedRequest
from gen.bench.v1.bench_restate import (
    FlowContext,
    FlowHandlers,
    FlowSharedContext,
    ObjectClient,
    ObjectContext,
    ObjectHandlers,
    ObjectSharedContext,
    PlainClient,
    PlainContext,
    PlainHandlers,
)
from restate_sdk import Endpoint, TerminalError

LOG = Path(os.environ["MARKS"])
KILL_AT = os.environ.get("KILL_AT", "")


def mark(text: str) -> None:
    """Writes a line, and dies by -9 the first time the line is the one to die at."""
    with LOG.open("a") as log:
        log.write(text + "\n")
    died = LOG.with_suffix(".died")
    if text == KILL_AT and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def step(number: int) -> str:
    mark(f"begin {number}")
    value = f"{number}-{os.getpid()}"
    mark(f"end {number}")
    return value


class Plain(PlainHandlers):
    async def do(self, ctx: PlainContext, request: DoRequest) -> DoResponse:
        mark("start")
        match request.text:
            case "steps":
                return await self._steps(ctx, request.count)
            case "sleep":
                await ctx.run("before", step, 0)
                await ctx.sleep(timedelta(milliseconds=request.count))
                await ctx.run("after", step, 1)
            case "call":
                await ctx.run("before", step, 0)
                reply = await ObjectClient(ctx).do(KeyedRequest(key="called", text="add", count=request.count))
                await ctx.run("after", step, 1)
                return DoResponse(text="called", count=reply.count)
            case "fan":
                for number in range(request.count):
                    await PlainClient(ctx).do.send(DoRequest(text=f"leaf-{number}"))
            case "block":
                threading.Event().wait(request.count / 1000)  # blocks the loop, as no handler should
            case "fail":
                raise TerminalError("no")
            case _:
                mark(f"leaf {request.text}")
        return DoResponse(text=request.text, count=request.count)

    async def _steps(self, ctx: PlainContext, count: int) -> DoResponse:
        values = []
        for number in range(count):
            values.append(await ctx.run(f"step {number}", step, number))
            mark(f"recorded {number} {values[-1]}")
            mark(f"recorded {number}")
        mark("finish")
        return DoResponse(text=",".join(values), count=len(values))

    async def hidden(self, ctx: PlainContext, request: DoRequest) -> DoResponse:
        return DoResponse(text="hidden")

    async def brief(self, ctx: PlainContext, request: DoRequest) -> DoResponse:
        raise RuntimeError("always")


class Object(ObjectHandlers):
    async def do(self, ctx: ObjectContext, request: KeyedRequest) -> DoResponse:
        mark(f"in {ctx.key} {ctx.invocation_id}")
        mark(f"enter {ctx.key}")
        count = await ctx.state.count.get() + request.count
        ctx.state.count.set(count)
        await ctx.run("work", mark, f"work {ctx.key}")
        mark(f"leave {ctx.key}")
        mark(f"out {ctx.key} {ctx.invocation_id}")
        return DoResponse(text=ctx.key, count=count)

    async def look(self, ctx: ObjectSharedContext, request: KeyedRequest) -> DoResponse:
        return DoResponse(text=ctx.key, count=await ctx.state.count.get())


class Flow(FlowHandlers):
    async def run(self, ctx: FlowContext, request: KeyedRequest) -> DoResponse:
        mark("run")
        told = await ctx.promises.told
        mark("told")
        return DoResponse(text=told)

    async def tell(self, ctx: FlowSharedContext, request: KeyedRequest) -> DoResponse:
        await ctx.promises.told.resolve(request.text)
        return DoResponse(text="ok")


app = Endpoint(Plain(), Object(), Flow())

if __name__ == "__main__":
    app.serve(port=int(sys.argv[1]))
