"""Failing (§26.1). Counts are kept for each key, not for the process (§0.4 item 3)."""

from __future__ import annotations

from collections import Counter as Counts
from datetime import timedelta

from conformance_gen.conformance.v1.failing_pb import FailRequest, FailResponse
from conformance_gen.conformance.v1.failing_restate import FailingClient, FailingContext, FailingHandlers
from restate_sdk import RetryPolicy, TerminalError

_FAST = timedelta(milliseconds=10)


class Failing(FailingHandlers):
    def __init__(self) -> None:
        self.executed: Counts[str] = Counts()
        self.reached: Counts[str] = Counts()

    async def terminally_failing_call(self, ctx: FailingContext, request: FailRequest) -> FailResponse:
        raise TerminalError(request.message, metadata=dict(request.metadata))

    async def call_terminally_failing_call(self, ctx: FailingContext, request: FailRequest) -> FailResponse:
        other = FailRequest(key=str(ctx.uuid()), message=request.message, metadata=dict(request.metadata))
        await FailingClient(ctx).terminally_failing_call(other)
        self.reached[ctx.key] += 1
        return FailResponse()

    async def failing_call_with_eventual_success(self, ctx: FailingContext, request: FailRequest) -> FailResponse:
        self.executed[ctx.key] += 1
        attempt = self.executed[ctx.key]
        if attempt < 4:
            raise ValueError(f"Failed at attempt: {attempt}")
        return FailResponse(attempts=attempt)

    async def terminally_failing_side_effect(self, ctx: FailingContext, request: FailRequest) -> FailResponse:
        async def fail() -> None:
            self.executed[ctx.key] += 1
            raise TerminalError(request.message, metadata=dict(request.metadata))

        await ctx.run("fail", fail)
        self.reached[ctx.key] += 1
        return FailResponse()

    async def side_effect_succeeds_after_given_attempts(
        self, ctx: FailingContext, request: FailRequest
    ) -> FailResponse:
        async def count() -> int:
            self.executed[ctx.key] += 1
            if self.executed[ctx.key] < request.attempts:
                raise ValueError(f"Failed at attempt: {self.executed[ctx.key]}")
            return self.executed[ctx.key]

        retry = RetryPolicy(initial_interval=_FAST, factor=1)
        return FailResponse(attempts=await ctx.run("count", count, retry=retry))

    async def side_effect_fails_after_given_attempts(self, ctx: FailingContext, request: FailRequest) -> FailResponse:
        async def fail() -> None:
            self.executed[ctx.key] += 1
            raise ValueError(f"Failed at attempt: {self.executed[ctx.key]}")

        retry = RetryPolicy(initial_interval=_FAST, factor=1, max_attempts=request.attempts)
        try:
            await ctx.run("fail", fail, retry=retry)
        except TerminalError as error:
            return FailResponse(text=error.message, attempts=self.executed[ctx.key])
        raise TerminalError("the run should have failed")
