"""Bugs that the simulator has to find: each takes one safeguard out of the code for as long as it is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from restate_protocol import journal as j
from restate_runtime.core.turn import Turn
from restate_runtime.core.world import Hot, Phase, World
from restate_runtime.deployments.sessions import Session
from restate_runtime.engine.flushing import Flusher
from restate_runtime.engine.timers import Timers

Bug = Callable[[], AbstractContextManager[None]]


@contextmanager
def drop_a_notification() -> Iterator[None]:
    """A notification that would be the fourth entry is neither journaled nor told."""
    tell = Turn.tell

    def forgetful(self: Turn, hot: Hot, entry: j.Notification) -> None:
        if len(hot.entries) != 3:
            tell(self, hot, entry)

    with mock.patch.object(Turn, "tell", forgetful):
        yield


@contextmanager
def commit_after_acting() -> Iterator[None]:
    """What was decided is told before it is durable."""

    async def run(self: Any) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            out = self._take()
            for effect in out.effects:
                self.perform(effect, self.turn.world.batch - 1)
            if out.writes:
                await self._commit(out.writes)

    with mock.patch.object(Flusher, "run", run):
        yield


class _AnyEpoch(int):
    """Equal to all."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


@contextmanager
def skip_the_epoch_check() -> Iterator[None]:
    """What any attempt of an invocation says counts for the one that runs."""

    def current(self: Turn, invocation_id: bytes, epoch: int) -> Hot | None:
        hot = self.world.invocations.get(invocation_id)
        return hot if hot is not None and hot.phase is Phase.ATTEMPT else None

    def epoch_of(self: Session, invocation_id: bytes) -> int | None:
        return _AnyEpoch(0) if invocation_id in self.attempts else None

    with mock.patch.object(Turn, "current", current), mock.patch.object(Session, "epoch_of", epoch_of):
        yield


@contextmanager
def fire_timers_early() -> Iterator[None]:
    """Timers go by a clock that is fast."""
    init = Timers.__init__

    def fast(self: Timers, store: Any, clock: Callable[[], int], *args: Any) -> None:
        init(self, store, lambda: clock() + 200, *args)

    with mock.patch.object(Timers, "__init__", fast):
        yield


@contextmanager
def two_writers_for_a_key() -> Iterator[None]:
    """Whoever comes gets the key at once."""
    enqueue = World.enqueue

    def generous(self: World, key: tuple[str, str], invocation_id: bytes) -> bool:
        enqueue(self, key, invocation_id)
        return True

    with mock.patch.object(World, "enqueue", generous):
        yield


#: Every bug, and the number of seeds within which it has to be found.
BUGS: dict[str, tuple[Bug, int]] = {
    "drop a notification": (drop_a_notification, 20),
    "commit after acting": (commit_after_acting, 150),
    "skip the epoch check": (skip_the_epoch_check, 150),
    "fire timers early": (fire_timers_early, 20),
    "two writers for a key": (two_writers_for_a_key, 50),
}
