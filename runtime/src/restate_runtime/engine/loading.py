"""Brings what the core needs from the store into memory, each thing once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..core.decision import ClearState, PutState, Write
from ..core.needs import Need, NeedInvocation, NeedPromises, NeedState
from ..core.records import Status
from ..core.state_view import StateView
from ..core.target import Resolve
from ..core.world import Key, Phase, PromiseSet, World, load
from ..store.base import Store


class Loader:
    """Loads invocations and promises. Two events that need one thing share one read.

    That is what keeps a slow read from bringing back what has changed meanwhile: nothing that is being read can
    be created or changed by anyone who did not wait for the read. State is the exception: whoever writes it tells the
    view that is being filled.

    Args:
        uncommitted: gives the writes that are decided and not committed, in order.
        awaits_endpoint: tells of an invocation whether its attempt was decided and waits for an endpoint.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        resolve: Resolve,
        uncommitted: Callable[[], Sequence[Write]],
        awaits_endpoint: Callable[[bytes], bool],
    ) -> None:
        self._world = world
        self._store = store
        self._resolve = resolve
        self._uncommitted = uncommitted
        self._awaits_endpoint = awaits_endpoint
        self._reads: dict[Need, asyncio.Task[None]] = {}

    async def load(self, needs: Sequence[Need]) -> None:
        """Returns when all of them are in memory or known to be absent."""
        for need in needs:
            read = self._reads.get(need)
            if read is None:
                read = asyncio.get_running_loop().create_task(self._read(need))
                self._reads[need] = read
            await asyncio.shield(read)

    async def _read(self, need: Need) -> None:
        try:
            match need:
                case NeedInvocation(invocation_id=invocation_id):
                    await self._invocation(invocation_id)
                case NeedState(key=key, number=number):
                    await self._state(key, number)
                case NeedPromises(key=key):
                    if key not in self._world.promises:
                        self._world.promises[key] = PromiseSet(await self._store.promises(*key))
        finally:
            del self._reads[need]

    async def _invocation(self, invocation_id: bytes) -> None:
        record = await self._store.invocation(invocation_id)
        if record is None:
            if invocation_id not in self._world.invocations:
                self._world.absent.add(invocation_id)
            return
        live = record.status is not Status.COMPLETED
        rows = await self._store.journal(invocation_id) if live else []
        waiters = await self._store.waiters(invocation_id) if live else []
        if invocation_id not in self._world.invocations:
            target = self._resolve(record.service, record.handler, record.deployment_id)
            hot = load(record, rows, waiters, target)
            if self._awaits_endpoint(invocation_id):
                hot.phase = Phase.ATTEMPT
            self._world.invocations[invocation_id] = hot
            self._world.held_bytes += hot.size

    async def _state(self, key: Key, number: int | None) -> None:
        """Adds to the view of a key. One that was dropped meanwhile is filled for nothing, and read again."""
        view = self._world.states.get(key)
        if view is None:
            view = self._world.states[key] = _begin_view(key, self._uncommitted())
        if number is None:
            view.read_numbers = await self._store.state_numbers(*key)
        else:
            view.read[number] = await self._store.state_entry(*key, number)


def _begin_view(key: Key, uncommitted: Sequence[Write]) -> StateView:
    view = StateView()
    for write in uncommitted:
        if isinstance(write, PutState) and (write.service, write.key) == key:
            view.put(write.number, write.value)
        elif isinstance(write, ClearState) and (write.service, write.key) == key:
            view.clear()
    return view
