"""Combinators: waiting for several calls at once, with a time limit. The journal decides who was first."""

import asyncio
from datetime import timedelta

import restate_sdk
from bank import haggle
from gen.operations.v1.operations_pb import AskRequest, Quote, QuotesRequest, QuotesResponse
from gen.operations.v1.operations_restate import QuotesClient, QuotesContext, QuotesHandlers
from restate_sdk import DurableFuture, DurableTimeout, StatusCode, TerminalError


def ask_all(ctx: QuotesContext, suppliers: list[str]) -> list[DurableFuture[Quote]]:
    """Asks all of them; each call is under way as soon as it is made."""
    return [QuotesClient(ctx).ask(AskRequest(supplier=supplier)) for supplier in suppliers]


class Quotes(QuotesHandlers):
    async def fastest(self, ctx: QuotesContext, request: QuotesRequest) -> Quote:
        answers = ask_all(ctx, request.suppliers)
        try:
            return await restate_sdk.timeout(restate_sdk.race(*answers), timedelta(milliseconds=request.limit_ms))
        except DurableTimeout:
            return Quote(supplier="nobody in time")

    async def available(self, ctx: QuotesContext, request: QuotesRequest) -> Quote:
        return await restate_sdk.first_success(*ask_all(ctx, request.suppliers))

    async def all(self, ctx: QuotesContext, request: QuotesRequest) -> QuotesResponse:
        answers = await restate_sdk.gather(*ask_all(ctx, request.suppliers), return_exceptions=True)
        texts = [str(answer) if isinstance(answer, TerminalError) else answer.supplier for answer in answers]
        return QuotesResponse(answers=texts)

    async def stream(self, ctx: QuotesContext, request: QuotesRequest) -> QuotesResponse:
        limit = ctx.sleep(timedelta(milliseconds=request.limit_ms), name="time limit")
        came: list[str] = []
        async for _, answer in restate_sdk.as_completed(*ask_all(ctx, request.suppliers), limit):
            if answer is None:  # the sleep: what came in time counts
                break
            came.append(answer.supplier)
        return QuotesResponse(answers=came)

    async def haggle(self, ctx: QuotesContext, request: QuotesRequest) -> QuotesResponse:
        async def with_one(supplier: str) -> str:
            quote = await QuotesClient(ctx).ask(AskRequest(supplier=supplier))
            return await ctx.run(f"haggle with {quote.supplier}", haggle, quote.supplier)

        # Tasks of one handler: each goes on when its own result is there, in the order of the journal.
        answers = await asyncio.gather(*(with_one(supplier) for supplier in request.suppliers))
        return QuotesResponse(answers=answers)

    async def ask(self, ctx: QuotesContext, request: AskRequest) -> Quote:
        if request.supplier == "slow":
            await ctx.sleep(timedelta(days=30))
        if request.supplier == "empty":
            raise TerminalError("nothing left", code=StatusCode.NOT_FOUND)
        return Quote(supplier=request.supplier)
