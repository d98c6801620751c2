"""What is looked for from time to time, because a timer for each would cost more than it is worth.

Attempts that stand still, and completed invocations that are past their retention. A sweep decides nothing: it tells
the core what it found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from restate_protocol.immutable import immutable

from ..core.events import AttemptStalled, Event, Expire
from ..core.overdue import allowed_ms
from ..core.world import World
from ..deployments.dispatch import Dispatcher
from ..store.base import Store

#: How many completed invocations one sweep looks at: few enough that reading them delays nobody. Where there are more,
#: the next sweep follows soon.
EXPIRED_MAX = 256
_SOON_S = 0.05


@immutable
class SweepTimes:
    """How often is looked, in seconds.

    Args:
        retention_s: for what is past its retention.
        abort_s: for attempts that stand still. One is aborted at most that much late.
    """

    retention_s: float = 10.0
    abort_s: float = 1.0


DEFAULT_SWEEP_TIMES = SweepTimes()


class Sweeps:
    """See the module.

    Args:
        clock: milliseconds since the epoch.
        post: takes what was found.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        world: World,
        clock: Callable[[], int],
        post: Callable[[Event], None],
        times: SweepTimes,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._world = world
        self._clock = clock
        self._post = post
        self._times = times

    async def forever(self) -> None:
        """Looks as often as it was told to."""
        await asyncio.gather(self._retention_forever(), self._attempts_forever())

    async def _retention_forever(self) -> None:
        pause_s = self._times.retention_s
        while True:
            await asyncio.sleep(pause_s)
            found = await self.retention()
            pause_s = min(_SOON_S, self._times.retention_s) if found == EXPIRED_MAX else self._times.retention_s

    async def _attempts_forever(self) -> None:
        while True:
            await asyncio.sleep(self._times.abort_s)
            self.attempts()

    async def retention(self) -> int:
        """Tells which completed invocations are past a retention; gives how many."""
        found = await self._store.expired(self._clock(), EXPIRED_MAX)
        for invocation_id in found:
            self._post(Expire(invocation_id))
        return len(found)

    def attempts(self) -> None:
        """Tells which attempts said nothing for longer than they may."""
        now_ms = self._clock()
        for invocation_id, epoch, heard_ms in self._dispatcher.heard():
            hot = self._world.invocations.get(invocation_id)
            quiet_ms = now_ms - heard_ms
            if hot is not None and hot.target is not None and quiet_ms >= allowed_ms(hot.target.handler):
                self._post(AttemptStalled(invocation_id, epoch, quiet_ms))
