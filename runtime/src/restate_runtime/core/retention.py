"""How long what is completed is kept: first its journal goes, then the rest of it.

An invocation is looked at when `expires_ms` is past: once where journal and result are kept equally long, twice
where the journal goes earlier. Invariant: a journal never outlives its invocation.
"""

from __future__ import annotations

from restate_protocol.services import HandlerMode

from .decision import Forget, PurgeInvocation, PurgeJournal
from .records import Status
from .turn import Turn, key_of
from .world import Hot


def first_ms(hot: Hot) -> int:
    """For how long all of a completed invocation is kept, journal included; in milliseconds."""
    kept_ms = hot.record.retention_ms
    return kept_ms if hot.target is None else min(kept_ms, hot.target.handler.journal_retention_ms)


def expire(turn: Turn, hot: Hot) -> None:
    """Removes what is past its retention, if anything is."""
    record = hot.record
    if record.status is not Status.COMPLETED or record.expires_ms is None or record.expires_ms > turn.now_ms:
        turn.effect(Forget(record.id))
        return
    removed_ms = record.removed_ms
    if removed_ms is None or removed_ms <= turn.now_ms:
        remove(turn, hot)
        return
    turn.write(PurgeJournal(record.id))
    record.expires_ms = removed_ms
    turn.save(hot)
    turn.effect(Forget(record.id))


def remove(turn: Turn, hot: Hot) -> None:
    """A completed invocation goes, with everything that is kept of it."""
    record = hot.record
    hot.batch = turn.world.batch
    if record.mode is HandlerMode.RUN:
        turn.world.promises.pop(key_of(record), None)
    turn.write(PurgeInvocation(record.id))
    turn.effect(Forget(record.id))
