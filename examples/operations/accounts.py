"""State: typed entries for each key, written by one handler at a time, read by shared ones at any time."""

from gen.operations.v1.operations_pb import Balance, CloseRequest, CloseResponse, DepositRequest, ShowRequest
from gen.operations.v1.operations_restate import AccountsContext, AccountsHandlers, AccountsSharedContext


class Accounts(AccountsHandlers):
    async def deposit(self, ctx: AccountsContext, request: DepositRequest) -> Balance:
        amount = await ctx.state.amount.get() + request.amount  # absent: the default, 0
        owner = await ctx.state.owner.get()  # `optional` in the contract: None while absent
        notes = await ctx.state.notes.get()  # a copy: changing it changes nothing until it is set
        notes.append(request.note)

        ctx.state.amount.set(amount)
        ctx.state.notes.set(notes)
        if owner is None:
            ctx.state.owner.set(f"owner of {ctx.key}")
        return Balance(amount=amount, owner=owner or "", notes=notes)

    async def close(self, ctx: AccountsContext, request: CloseRequest) -> CloseResponse:
        entries = await ctx.state_keys()
        ctx.clear_state()
        return CloseResponse(entries=entries)

    async def show(self, ctx: AccountsSharedContext, request: ShowRequest) -> Balance:
        owner = await ctx.state.owner.get()
        return Balance(amount=await ctx.state.amount.get(), owner=owner or "", notes=await ctx.state.notes.get())
