"""What others make of an invocation: cancel it, pause and resume it, remove it when it is over. `killing` has the rest.

Each function gives the failure that says why it was not done, or None. Invariant: only an invocation that is not over
changes.
"""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from .acceptance import place
from .activation import activate
from .attempts import record_end, rest
from .completion import complete, is_over
from .decision import AbortAttempt, Forget, PurgeJournal, Report
from .killing import refuse, unschedule
from .records import AttemptOutcome, Status
from .replacement import move
from .retention import remove
from .turn import Turn, key_of
from .world import Hot, Phase


def cancel(
    turn: Turn, hot: Hot, code: StatusCode = StatusCode.CANCELLED, message: str = "cancelled"
) -> j.Failure | None:
    """Asks an invocation to end. One whose code never ran ends here; a paused one hears of it when it resumes."""
    record = hot.record
    if is_over(hot):
        return refuse(turn, hot, "only what is not over can be cancelled")
    if record.epoch == 0 and record.status in (Status.SCHEDULED, Status.QUEUED, Status.PAUSED):
        unschedule(turn, hot)
        complete(turn, hot, j.Failure(code, message))
        return None
    turn.tell(hot, j.Cancelled(code, message))
    if hot.phase is Phase.ATTEMPT:
        hot.cancelled_epoch = record.epoch
    elif record.status is Status.PAUSED:
        turn.effect(Forget(record.id))
    else:
        activate(turn, hot)
    return None


def pause(turn: Turn, hot: Hot) -> j.Failure | None:
    """Stops an invocation where it is until it is resumed. One that only waits for its key leaves the queue."""
    record = hot.record
    if is_over(hot):
        return refuse(turn, hot, "only what is not over can be paused")
    if record.status is Status.PAUSED:
        turn.effect(Forget(record.id))
        return None
    if hot.phase is Phase.ATTEMPT:
        turn.effect(AbortAttempt(record.id, record.epoch, "paused"))
        record_end(turn, hot, AttemptOutcome.PAUSED, None)
    if record.status is Status.QUEUED:
        turn.world.dequeue(key_of(record), record.id)
        record.queue_seq = None
    record.status = Status.PAUSED
    record.next_retry_ms = None
    rest(turn, hot)
    turn.effect(Report("paused", record.id, "by an operator"))
    return None


def resume(turn: Turn, hot: Hot, deployment_id: str | None) -> j.Failure | None:
    """Starts an invocation again that is paused, suspended or backs off; on another deployment if asked.

    Args:
        deployment_id: None: the one it has; `latest`: the newest that serves it.
    """
    record = hot.record
    paused = record.status is Status.PAUSED
    if not paused and record.status is not Status.SUSPENDED and hot.phase is not Phase.BACKING_OFF:
        return refuse(turn, hot, "only what is paused, suspended or backs off resumes")
    if deployment_id is not None:
        problem = move(turn, hot, deployment_id)
        if problem is not None:
            turn.effect(Forget(record.id))
            return problem
    if paused:
        record.retry_count = 0
    if record.epoch == 0:
        place(turn, hot)
        turn.save(hot)
    else:
        activate(turn, hot, follow=deployment_id is None)
    return None


def purge(turn: Turn, hot: Hot, *, journal_only: bool) -> j.Failure | None:
    """Removes a completed invocation, or only its journal."""
    if hot.record.status is not Status.COMPLETED:
        return refuse(turn, hot, "only what is completed can be removed: cancel or kill it first")
    if journal_only:
        hot.batch = turn.world.batch
        turn.write(PurgeJournal(hot.record.id))
        turn.effect(Forget(hot.record.id))
    else:
        remove(turn, hot)
    return None
