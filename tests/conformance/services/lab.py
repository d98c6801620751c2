"""Services whose handlers do what the case says: each case brings its handlers' bodies.

A body gets the context and the request. What it gives becomes the response: a LabResponse, text, a number, a list of
texts, or None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from conformance_gen.conformance.v1.lab_pb import LabRequest, LabResponse
from conformance_gen.conformance.v1.lab_restate import (
    LabContext,
    LabFlowContext,
    LabFlowHandlers,
    LabFlowSharedContext,
    LabHandlers,
    LabObjectContext,
    LabObjectHandlers,
    LabObjectSharedContext,
)

Body = Callable[[Any, LabRequest], Awaitable[Any]]


def response(value: Any) -> LabResponse:
    """What a body gave, as a response."""
    match value:
        case LabResponse():
            return value
        case None:
            return LabResponse()
        case bool():
            return LabResponse(flag=value)
        case int():
            return LabResponse(count=value)
        case str():
            return LabResponse(text=value)
        case bytes():
            return LabResponse(data=value)
        case _:
            return LabResponse(items=[str(one) for one in value])


class _Bodies:
    """Bodies by the handler's Python name; `default` for the others."""

    def __init__(self, default: Body | None = None, **bodies: Body) -> None:
        self.bodies = bodies
        self.default = default
        self.attempts = 0

    async def perform(self, name: str, ctx: Any, request: LabRequest) -> LabResponse:
        self.attempts += 1
        body = self.bodies.get(name, self.default)
        assert body is not None, f"the case gives no body for {name}"
        return response(await body(ctx, request))


class Lab(_Bodies, LabHandlers):
    async def do(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("do", ctx, request)

    async def other(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("other", ctx, request)

    async def hidden(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("hidden", ctx, request)

    async def defaults(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("defaults", ctx, request)

    async def once(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("once", ctx, request)

    async def kill_after_two(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("kill_after_two", ctx, request)

    async def kill_after_three(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("kill_after_three", ctx, request)

    async def pause_after_two(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("pause_after_two", ctx, request)

    async def kept_shortly(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("kept_shortly", ctx, request)

    async def not_kept(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("not_kept", ctx, request)

    async def kept_oddly(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("kept_oddly", ctx, request)

    async def hasty(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("hasty", ctx, request)

    async def limited(self, ctx: LabContext, request: LabRequest) -> LabResponse:
        return await self.perform("limited", ctx, request)


class LabObject(_Bodies, LabObjectHandlers):
    async def do(self, ctx: LabObjectContext, request: LabRequest) -> LabResponse:
        return await self.perform("do", ctx, request)

    async def look(self, ctx: LabObjectSharedContext, request: LabRequest) -> LabResponse:
        return await self.perform("look", ctx, request)

    async def once(self, ctx: LabObjectContext, request: LabRequest) -> LabResponse:
        return await self.perform("once", ctx, request)

    async def lazy(self, ctx: LabObjectContext, request: LabRequest) -> LabResponse:
        return await self.perform("lazy", ctx, request)


class LabFlow(_Bodies, LabFlowHandlers):
    async def run(self, ctx: LabFlowContext, request: LabRequest) -> LabResponse:
        return await self.perform("run", ctx, request)

    async def ask(self, ctx: LabFlowSharedContext, request: LabRequest) -> LabResponse:
        return await self.perform("ask", ctx, request)
