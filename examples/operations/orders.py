"""Steps, calls, results of earlier sends, chance, time, and errors."""

from datetime import timedelta

import restate_sdk
from bank import charge, look_up, notify
from gen.operations.v1.operations_pb import (
    AuditRequest,
    AuditResponse,
    CheckRequest,
    CheckResponse,
    DepositRequest,
    DrawRequest,
    DrawResponse,
    PlaceRequest,
    PlaceResponse,
    Refused,
    ShowRequest,
)
from gen.operations.v1.operations_restate import (
    AccountsClient,
    OrdersContext,
    OrdersHandlers,
    RefusedError,
)
from restate_sdk import RetryPolicy, StatusCode, TerminalError


class Orders(OrdersHandlers):
    async def place(self, ctx: OrdersContext, request: PlaceRequest) -> PlaceResponse:
        payment_id = str(ctx.uuid())  # the same in every attempt, so a charge that is asked for twice is one charge
        policy = RetryPolicy(initial_interval=timedelta(milliseconds=20), max_attempts=5)
        receipt = await ctx.run("charge", charge, payment_id, request.card, request.amount, retry=policy)

        # Each is under way as soon as it is made; awaiting only waits.
        mail = ctx.run("mail", notify, "mail", receipt)
        message = ctx.run("message", notify, "message", receipt)
        await restate_sdk.gather(mail, message)
        return PlaceResponse(receipt=receipt)

    async def audit(self, ctx: OrdersContext, request: AuditRequest) -> AuditResponse:
        deposit = DepositRequest(account=request.account, amount=1, note="audit")
        # One way: durable, and on its way. Nobody waits for it.
        handle = await AccountsClient(ctx).deposit.send(deposit)
        # Whoever has the handle, or the id, can wait for the result.
        balance = await ctx.attach(handle)
        # A call: sent, and waited for.
        shown = await AccountsClient(ctx).show(ShowRequest(account=request.account))
        if shown.amount < balance.amount:
            raise TerminalError("money is missing", code=StatusCode.DATA_LOSS)
        return AuditResponse(balance=balance.amount, invocation_id=handle.invocation_id)

    async def draw(self, ctx: OrdersContext, request: DrawRequest) -> DrawResponse:
        winner = ctx.random.choice(request.names)  # not journaled: it follows from the invocation
        ticket = ctx.uuid()
        at = await ctx.now()  # journaled, when first asked
        ctx.log.info("drew %s", winner)  # silent while the handler replays
        return DrawResponse(winner=winner, id=str(ticket), at=at.isoformat())

    async def check(self, ctx: OrdersContext, request: CheckRequest) -> CheckResponse:
        verdict = await ctx.run("look up", look_up, request.what)
        if verdict == "bad":
            raise RefusedError(Refused(reason=f"{request.what} is bad"))
        if verdict == "unknown":
            raise TerminalError(f"nobody knows {request.what}", code=StatusCode.NOT_FOUND)
        return CheckResponse(verdict=verdict)
