"""Promises: values of a workflow, each completed once, awaited by its run and looked at by everybody."""

from gen.operations.v1.operations_pb import ApprovalRequest, DecideRequest, DecideResponse, Decision, LookRequest
from gen.operations.v1.operations_restate import ApprovalsContext, ApprovalsHandlers, ApprovalsSharedContext


class Approvals(ApprovalsHandlers):
    async def run(self, ctx: ApprovalsContext, request: ApprovalRequest) -> Decision:
        return await ctx.promises.decided

    async def decide(self, ctx: ApprovalsSharedContext, request: DecideRequest) -> DecideResponse:
        if request.decision is None:
            await ctx.promises.decided.reject("withdrawn")  # who awaits it gets a TerminalError
        else:
            await ctx.promises.decided.resolve(request.decision)
        return DecideResponse()

    async def look(self, ctx: ApprovalsSharedContext, request: LookRequest) -> Decision:
        decision = await ctx.promises.decided.peek()  # None while it is open
        return decision or Decision(by="nobody yet")
