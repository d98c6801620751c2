"""What an operator may do and see, for tests: the admin API's methods without a port. Ids are texts, `inv_…`.

Every method raises what the admin API answers: TerminalError with NOT_FOUND or FAILED_PRECONDITION, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable

from restate_protocol import journal as j
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import invocation_id_text, parse_invocation_id

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

    async def cancel(self, invocation_id: str) -> None:
        """Asks an invocation to end: its handler gets a TerminalError where it waits."""
        await self._node().engine.cancel(parse_invocation_id(invocation_id))

    async def pause(self, invocation_id: str) -> None:
        """Stops an invocation until it is resumed."""
        await self._node().engine.pause(parse_invocation_id(invocation_id))

    async def resume(self, invocation_id: str, *, deployment_id: str | None = None) -> None:
        """Starts a paused invocation again, on another deployment if one is given."""
        await self._node().engine.resume(parse_invocation_id(invocation_id), deployment_id)

    async def restart(self, invocation_id: str, *, entries: int = 0, deployment_id: str | None = None) -> str:
        """Starts a completed invocation anew, with the first entries of its journal; gives the new id.

        Args:
            entries: how many entries are kept; 0: it begins from the start.
            deployment_id: where it runs; None: where the original ran, or the newest if nothing is kept.
        """
        id_ = parse_invocation_id(invocation_id)
        return invocation_id_text(await self._node().engine.restart(id_, entries, deployment_id))

    async def purge(self, invocation_id: str) -> None:
        """Removes a completed invocation."""
        await self._node().engine.purge(parse_invocation_id(invocation_id))

    async def purge_journal(self, invocation_id: str) -> None:
        """Removes the journal of a completed invocation; its result stays."""
        await self._node().engine.purge_journal(parse_invocation_id(invocation_id))
