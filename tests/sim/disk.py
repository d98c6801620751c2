"""A disk that survives crashes, is slow, and loses what was not committed. Its ledger sees every commit as it lands.

A store is one runtime's hold on the disk. When the runtime dies the hold is void: what it still asks for never
comes, as for a process that is gone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from restate_runtime.core.decision import CreateInvocation, SaveInvocation, Write
from restate_runtime.store.base import Store
from restate_runtime.store.memory import MemoryStore

_READS = sorted(Store.__abstractmethods__ - {"open", "close", "commit"})


class Disk:
    """The disk.

    Args:
        chance: how long things take.
        slowest_ms: the longest.
        landed: hears of every commit that is durable.
    """

    def __init__(self, chance: random.Random, slowest_ms: int, landed: Callable[[Sequence[Write]], None]) -> None:
        self.contents = MemoryStore()
        self.slowest_ms = slowest_ms
        self.commits = 0
        self._chance = chance
        self._landed = landed
        self._head = asyncio.Lock()
        self._holds: list[Hold] = []

    def hold(self, before: Callable[[int], bool], after: Callable[[int], bool]) -> Hold:
        """A store for one life of a runtime.

        Args:
            before, after: asked before and after each commit, by its number; True: the runtime dies there.
        """
        made = cast(Any, _store_class())()
        made.hold = Hold(self, before, after)
        made.hold.store = made
        found: Hold = made.hold
        self._holds.append(found)  # what the dead still wait for is kept until the end
        return found

    async def pause(self) -> None:
        """The time that one thing takes."""
        await asyncio.sleep(self._chance.random() * self.slowest_ms / 1000)

    async def write(self, writes: Sequence[Write]) -> None:
        """Makes writes durable."""
        await self.contents.commit(writes)
        self._landed(writes)


class Hold:
    """What one life of a runtime has of the disk."""

    def __init__(self, disk: Disk, before: Callable[[int], bool], after: Callable[[int], bool]) -> None:
        self.store: Store
        self.dead = False
        self._disk = disk
        self._before = before
        self._after = after
        self._never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def commit(self, writes: Sequence[Write]) -> Awaitable[None]:
        """One commit after the other; the runtime may die before or after it is durable."""
        self._disk.commits += 1
        return self._write(self._disk.commits, [_copy(write) for write in writes])

    async def _write(self, number: int, kept: Sequence[Write]) -> None:
        async with self._disk._head:
            await self._go_on(self._before(number))
            await self._disk.pause()
            await self._go_on(False)
            await self._disk.write(kept)
            await self._go_on(self._after(number))
        await self._disk.pause()
        await self._go_on(False)

    async def read(self, name: str, *args: Any) -> Any:
        """What the disk has, some time between question and answer."""
        await self._disk.pause()
        await self._go_on(False)
        found = await getattr(self._disk.contents, name)(*args)
        await self._disk.pause()
        await self._go_on(False)
        return found

    async def _go_on(self, dies: bool) -> None:
        """Never returns to the dead."""
        self.dead = self.dead or dies
        if self.dead:
            await self._never


def _copy(write: Write) -> Write:
    """The write as it is now: records change after a commit was called."""
    if isinstance(write, CreateInvocation | SaveInvocation):
        return type(write)(dataclasses.replace(write.invocation))
    return write


def _store_class() -> type[Store]:
    """A Store that hands everything to its hold."""

    def reading(name: str) -> Any:
        async def read(self: Any, *args: Any) -> Any:
            return await self.hold.read(name, *args)

        return read

    def commit(self: Any, writes: Sequence[Write]) -> Awaitable[None]:
        written: Awaitable[None] = self.hold.commit(writes)
        return written

    async def nothing(self: Any) -> None:
        """The disk is there before and after."""

    methods = {name: reading(name) for name in _READS}
    return type("_HeldStore", (Store,), {**methods, "commit": commit, "open": nothing, "close": nothing})
