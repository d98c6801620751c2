"""How long what is completed is kept: first its journal goes, then the rest of it.

An invocation is looked at when `expires_ms` is past: once where journal and result are kept equally long, twice
where the journal goes earlier. Invariant: a journal never outlives its invocation.
"""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from .completion import complete_command
from .decision import Forget, ForgetState, PurgeInvocation, PurgeJournal
from .records import Status
from .turn import Turn, key_of
from .world import Hot


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
        _remove_workflow(turn, *key_of(record))
    turn.write(PurgeInvocation(record.id))
    turn.effect(Forget(record.id))


def _remove_workflow(turn: Turn, service: str, key: str) -> None:
    """State and promises go. Who still waits for a promise hears that nobody will complete it."""
    turn.world.states.pop((service, key), None)
    turn.effect(ForgetState(service, key))
    held = turn.world.promises.pop((service, key), None)
    waiters = [] if held is None else [one for waiting in held.promises.waiters.values() for one in waiting]
    message = f"the workflow {service}/{key} and its promises were removed: its retention is over, or it was purged"
    for invocation_id, command in waiters:
        complete_command(turn, invocation_id, command, j.Failure(StatusCode.NOT_FOUND, message))
