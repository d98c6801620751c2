"""Starting on a store that has work: queues of keys first, then every active invocation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..core.events import Recover
from ..core.records import Status
from ..store.base import Store

if TYPE_CHECKING:
    from .loop import Engine

PAGE = 1_000


async def recover(engine: Engine, store: Store) -> None:
    """Rebuilds what is only in memory. Suspended and scheduled invocations stay where they are, in the store."""
    await _queues(engine, store)
    after: bytes | None = None
    while True:
        page = await store.active_invocations(after, PAGE)
        for record in page:
            engine.post(Recover(record.id))
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _queues(engine: Engine, store: Store) -> None:
    world = engine.world
    holders = await store.key_holders()
    holders.sort(key=lambda one: (one.status is Status.QUEUED, one.queue_seq))
    for holder in holders:
        world.enqueue((sys.intern(holder.service), holder.key), holder.invocation_id)
        world.next_queue_seq = max(world.next_queue_seq, holder.queue_seq + 1)
