"""What an operator may do and see, for tests: the admin API's methods without a port. Ids are texts, `inv_…`.

Every method raises what the admin API answers: TerminalError with NOT_FOUND or FAILED_PRECONDITION, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable

from restate_protocol import journal as j
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import parse_invocation_id

from .node import Node


class Verbs:
    """See the module.

    Args:
        node: gives the runtime of the moment.
    """

    def __init__(self, node: Callable[[], Node]) -> None:
        self._node = node

    async def invocation(self, invocation_id: str) -> pb.Invocation:
        """One invocation: status, attempts, last error, times."""
        answer = await self._node().admin.get_invocation(pb.GetInvocationRequest(id=invocation_id))
        assert answer.invocation is not None
        return answer.invocation

    async def invocations(self, *, service: str = "", status: str = "", limit: int = 100) -> list[pb.Invocation]:
        """Invocations, newest first, of a service or status if given."""
        request = pb.ListInvocationsRequest(service=service, status=status, limit=limit)
        return list((await self._node().admin.list_invocations(request)).invocations)

    async def journal(self, invocation_id: str) -> list[j.Entry]:
        """The journal as values."""
        rows = await self._node().store.journal(parse_invocation_id(invocation_id))
        return [j.decode(row.entry) for row in rows]

    async def journal_json(self, invocation_id: str) -> list[pb.JournalEntry]:
        """The journal as the admin API shows it."""
        return list((await self._node().admin.get_journal(pb.GetJournalRequest(id=invocation_id))).entries)

    async def state(self, service: str, key: str) -> dict[int, bytes]:
        """The state of an object or workflow: by field number, each the state message with only that field."""
        return await self._node().store.state(service, key)

    async def kill(self, invocation_id: str) -> None:
        """Ends an invocation without running its code."""
        await self._node().engine.kill(parse_invocation_id(invocation_id))

    async def resume(self, invocation_id: str) -> None:
        """Starts a paused invocation again."""
        await self._node().engine.resume(parse_invocation_id(invocation_id))
