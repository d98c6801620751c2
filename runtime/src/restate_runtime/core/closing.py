"""Commands that may close a wait cycle: who would be in it is asked to suspend, for only then can it be seen.

A cycle is closed by a call that waits for a held key, or by waiting for an invocation that is there already: what a
fresh invocation is waited for by cannot wait for anything yet. So only such commands look, and only of an invocation
that somebody may wait for. Whether it is a cycle is decided when the last of them is suspended; see `cycles`.

Invariant: asking changes nothing but when attempts suspend. At most `MOST_SEEN` invocations are looked at; a longer
cycle shows when its attempts suspend by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from restate_protocol import journal as j
from restate_protocol.services import HandlerMode

from .decision import SuspendAttempt
from .records import Status
from .turn import Turn, key_of
from .world import Hot, Phase, World

#: Invocations that one command has looked at, at most.
MOST_SEEN = 1_000

_Waits = dict[bytes, tuple[bytes, ...]]


def needed(world: World, hot: Hot, entry: j.Entry) -> list[bytes]:
    """Ids that must be in memory to see whether a command may close a cycle."""
    awaited = _awaited(world, hot, entry)
    if awaited is None:
        return []
    followed = _follow(world, awaited, hot.record.id)
    return [one for one in followed if one not in world.invocations and one not in world.absent]


def ask(turn: Turn, hot: Hot, entry: j.Entry) -> None:
    """After the command was done: asks the attempts of those who may wait for each other now to suspend."""
    awaited = _awaited(turn.world, hot, entry)
    if awaited is None:
        return
    waits = _follow(turn.world, awaited, hot.record.id)
    if hot.record.id not in waits:
        return
    for one in _leading_to(waits, hot.record.id):
        member = turn.world.invocations.get(one)
        if member is not None and member.phase is Phase.ATTEMPT:
            turn.effect(SuspendAttempt(one, member.record.epoch))


def _awaited(world: World, hot: Hot, entry: j.Entry) -> bytes | None:
    """Whom the command makes the invocation wait for; None where that cannot close a cycle."""
    match entry:
        case j.Attach(invocation_id=awaited):
            pass
        case j.Call(invocation_id=callee, service=service, key=key):
            queue = None if key is None else world.queues.get((service, key))
            if queue is None and not entry.idempotency_key:
                return None
            awaited = callee if queue is None or callee in world.invocations else queue[0]
        case _:
            return None
    return awaited if _is_awaited(world, hot, awaited) else None


def _is_awaited(world: World, hot: Hot, awaited: bytes) -> bool:
    """Whether anybody may wait for this invocation."""
    record = hot.record
    if record.reply or hot.waiters or awaited == record.id:
        return True
    if record.mode is not HandlerMode.EXCLUSIVE:
        return False
    return len(world.queues.get(key_of(record), ())) > 1


def _follow(world: World, begin: bytes, end: bytes) -> _Waits:
    """Whom each invocation waits for, from one on to another; nobody, where that is not known."""
    found: _Waits = {}
    left = [begin]
    while left and len(found) < MOST_SEEN:
        one = left.pop()
        if one not in found:
            found[one] = () if one == end else tuple(_waits_for(world, one))
            left.extend(found[one])
    return found


def _waits_for(world: World, one: bytes) -> Iterable[bytes]:
    hot = world.invocations.get(one)
    if hot is None:
        return ()
    match hot.record.status:
        case Status.QUEUED:
            return (world.queues[key_of(hot.record)][0],)
        case Status.ACTIVE | Status.SUSPENDED:
            calls = (entry for entry in hot.open.values() if isinstance(entry, j.Call | j.Attach))
            return (entry.invocation_id for entry in calls)
        case _:
            return ()


def _leading_to(waits: _Waits, end: bytes) -> Iterable[bytes]:
    """Those of them that wait for one, at once or through others, and itself."""
    waiters: dict[bytes, list[bytes]] = {}
    for one, others in waits.items():
        for other in others:
            waiters.setdefault(other, []).append(one)
    found = {end: None}
    left = [end]
    while left:
        for one in waiters.get(left.pop(), ()):
            if one not in found:
                found[one] = None
                left.append(one)
    return found
