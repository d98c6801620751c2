"""ToolsService (§26.1)."""

from __future__ import annotations

from conformance_gen.conformance.v1.tools_pb import ToolRequest, ToolResponse
from conformance_gen.conformance.v1.tools_restate import ToolsContext, ToolsHandlers


class Tools(ToolsHandlers):
    async def echo(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        return ToolResponse(text=request.text)

    async def uppercase_echo(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        return ToolResponse(text=request.text.upper())

    async def echo_headers(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        headers = {name: value for name, value in ctx.request.headers.items() if isinstance(value, str)}
        return ToolResponse(headers=headers)

    async def raw_echo(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        return ToolResponse(data=request.data)

    async def count_executed_side_effects(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        executed = 0

        async def count() -> None:
            nonlocal executed
            executed += 1

        for number in range(request.count):
            await ctx.run(f"count {number}", count)
        return ToolResponse(count=executed)

    async def cancel_invocation(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        await ctx.cancel(request.invocation_id)
        return ToolResponse()

    async def resolve_signal(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        ctx.invocation(request.invocation_id).signal(request.signal, request.text)
        return ToolResponse()

    async def reject_signal(self, ctx: ToolsContext, request: ToolRequest) -> ToolResponse:
        ctx.invocation(request.invocation_id).reject_signal(request.signal, request.text)
        return ToolResponse()
