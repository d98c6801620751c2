"""One turn of the core: the world, the time, and what is decided so far.

The modules `acceptance`, `attempts`, `commands`, `completion` and `signals` hold the rules as functions on a turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from restate_protocol import awaiting as aw
from restate_protocol import journal as j

from .decision import AppendEntry, Decision, Effect, NotifyAttempt, SaveInvocation, Write
from .records import Invocation
from .target import Resolve
from .world import Hot, Phase, World


@dataclass(slots=True)
class Turn:
    """Deciding about one event.

    Args:
        world: what is in memory; changed in place.
        now_ms: the time, milliseconds since the epoch.
        resolve: gives the handler for a name.
        out: writes and effects decided.
    """

    world: World
    now_ms: int
    resolve: Resolve
    out: Decision = field(default_factory=Decision)

    def write(self, write: Write) -> None:
        self.out.writes.append(write)

    def effect(self, effect: Effect) -> None:
        self.out.effects.append(effect)

    def save(self, hot: Hot) -> None:
        """The record changed."""
        hot.batch = self.world.batch
        self.out.writes.append(SaveInvocation(hot.record))

    def append(self, hot: Hot, entry: j.Entry, data: bytes) -> None:
        """One more journal entry."""
        index = hot.note(entry, data)
        self.world.held_bytes += len(data)
        hot.batch = self.world.batch
        self.out.writes.append(AppendEntry(hot.record.id, index, self.now_ms, data))

    def current(self, invocation_id: bytes, epoch: int) -> Hot | None:
        """The invocation if this is its running attempt; None if what was said is stale."""
        hot = self.world.invocations.get(invocation_id)
        if hot is None or hot.phase is not Phase.ATTEMPT or hot.record.epoch != epoch:
            return None
        return hot

    def tell(self, hot: Hot, entry: j.Notification) -> None:
        """Journals a notification and passes it to the running attempt, if there is one."""
        data = j.encode(entry)
        self.append(hot, entry, data)
        if hot.phase is Phase.ATTEMPT:
            self.effect(NotifyAttempt(hot.record.id, hot.record.epoch, data))


def is_settled(hot: Hot) -> bool:
    """Whether what a suspended invocation awaits is there, or a run of it is to be tried again."""
    if hot.tries and any(tries.due for tries in hot.tries.values()):
        return True
    awaiting = hot.record.awaiting
    return awaiting is None or aw.settled(aw.decode(awaiting), hot.lookup)


def key_of(record: Invocation) -> tuple[str, str]:
    """Service and key of an invocation that has one."""
    if record.key is None:
        raise ValueError(f"{record.service} has no keys")
    return record.service, record.key
