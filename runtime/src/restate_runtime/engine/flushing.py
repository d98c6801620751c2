"""Commits what was decided, then acts: the group commit.

While one batch is being committed the next one fills. The next commit begins before the effects of the last are
performed, so that the disk works while they leave. Under load a commit waits a little for company: what a commit costs
is shared by all that is in it, and most of what is coming is on its way already.

Invariants:
- Effects of a batch are performed after its commit, in order, and those of the next batch after all of them.
- One commit is under way at a time. If it fails, nothing of it is acted on, nor of what was decided after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from ..core.decision import Decision, Effect, Write
from ..core.turn import Turn
from ..store.base import Store
from .commit_times import CommitTimes

#: A batch of fewer events than this is what a few callers give: there is no load to gather.
_LOAD_EVENTS = 8
#: So many share the cost of a commit well. To wait for more would make all callers go in step, and the disk idle.
_COMPANY_EVENTS = 24

#: How long a commit waits for company at most, in milliseconds, unless a setting says otherwise.
DEFAULT_GATHER_MS = 2


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    effects: Sequence[Effect]


@dataclass(slots=True)
class _Gathering:
    """How much came together, and how much is waited for.

    Attributes:
        events: decided since the last batch was taken.
        before: how many were in that batch.
        enough: with so many, a commit that waits begins; 0: none waits.
    """

    events: int = 0
    before: int = 0
    enough: int = 0

    def expects_more(self) -> bool:
        """Whether the last batch was of many, and this one is not nearly as large yet."""
        self.enough = min(self.before * 4 // 5, _COMPANY_EVENTS) if self.before >= _LOAD_EVENTS else 0
        return self.events < self.enough

    def taken(self) -> None:
        """A batch begins."""
        self.before, self.events, self.enough = self.events, 0, 0


@dataclass(slots=True)
class Flusher:
    """The end of every decision.

    Args:
        store: what makes it durable.
        turn: where decisions gather.
        perform: performs an effect of the batch with this number.
        landed: told of writes that are durable, before effects of theirs are performed.
        performed: told that all effects of the batch with this number are performed.
        gather_ms: how long a commit waits for company at most; 0: not at all.

    Attributes:
        times: how long commits took.
    """

    store: Store
    turn: Turn
    perform: Callable[[Effect, int], None]
    landed: Callable[[Sequence[Write]], None]
    performed: Callable[[int], None]
    gather_ms: int = DEFAULT_GATHER_MS
    times: CommitTimes = field(default_factory=CommitTimes)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _gathering: _Gathering = field(default_factory=_Gathering)
    _in_flight: Sequence[Write] = ()
    _due: _Batch | None = None
    _stopping: bool = False

    def decided(self) -> None:
        """An event was decided into the turn."""
        gathering = self._gathering
        gathering.events += 1
        if gathering.events >= gathering.enough:
            self._work.set()

    def wake(self) -> None:
        """There is something to perform that no event led to."""
        self._work.set()

    def stop(self) -> None:
        """Ends `run` once all that is decided is committed and performed."""
        self._stopping = True
        self._work.set()

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to commit or perform."""
        return not (self._in_flight or self._due or self._gathering.events or self._work.is_set())

    def not_durable(self) -> list[Write]:
        """What was decided and may not be in the store yet, in order."""
        return [*self._in_flight, *self.turn.out.writes]

    async def run(self) -> None:
        """Commits and performs until it is stopped.

        Raises:
            StoreError: a commit failed.
        """
        while True:
            if not self._work.is_set():
                self._act()
            await self._work.wait()
            self._work.clear()
            if self._gathering.expects_more() and self.gather_ms and not self._stopping:
                self._act()
                await self._company()
            out = self._take()
            if out.writes:
                await self._commit(out.writes)
            self._act()
            if out.effects:
                self._due = _Batch(self.turn.world.batch - 1, out.effects)
            elif self._stopping and not self.turn.out.writes:
                return
            if self._stopping:
                self._work.set()

    async def _company(self) -> None:
        """Waits until enough came together, or for as long as is granted."""
        timer = asyncio.get_running_loop().call_later(self.gather_ms / 1000, self._work.set)
        await self._work.wait()
        self._work.clear()
        timer.cancel()

    def _take(self) -> Decision:
        out, self.turn.out = self.turn.out, Decision()
        self.turn.world.batch += 1
        self._gathering.taken()
        return out

    async def _commit(self, writes: Sequence[Write]) -> None:
        self._in_flight = writes
        asked = perf_counter()
        done = asyncio.ensure_future(self.store.commit(writes))
        self._act()  # what the commit before led to, while this one is under way
        await done
        self.times.note(perf_counter() - asked)
        self.landed(writes)
        self._in_flight = ()

    def _act(self) -> None:
        """Performs what is due, if anything is."""
        batch, self._due = self._due, None
        if batch is not None:
            for effect in batch.effects:
                self.perform(effect, batch.number)
            self.performed(batch.number)
