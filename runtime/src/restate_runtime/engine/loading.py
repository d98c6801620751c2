"""Brings what the core needs from the store into memory, each thing once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..core.needs import Need, NeedInvocation, NeedPromises
from ..core.records import Status
from ..core.target import Resolve
from ..core.world import PromiseSet, World, load
from ..store.base import Store


class Loader:
    """Loads invocations and promises. Two events that need one thing share one read.

    That is what keeps a slow read from bringing back what has changed meanwhile: nothing that is being read can
    be created or changed by anyone who did not wait for the read.
    """

    def __init__(self, world: World, store: Store, resolve: Resolve) -> None:
        self._world = world
        self._store = store
        self._resolve = resolve
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
            self._world.invocations[invocation_id] = load(record, rows, waiters, target)
