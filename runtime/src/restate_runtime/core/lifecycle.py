"""What others make of an invocation: cancel it, pause and resume it, kill it, remove it when it is over.

Each function gives the failure that says why it was not done, or None. Invariants: only an invocation that is not
over changes; a killed one takes along the calls it waits for, in the same commit, and never what it sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from .acceptance import place
from .activation import activate
from .attempts import record_end, rest
from .completion import complete, is_over
from .decision import AbortAttempt, DeleteTimer, Forget, PurgeJournal, Report
from .records import AttemptOutcome, Status, Timer, TimerKind
from .replacement import move
from .retention import remove
from .turn import Turn, key_of
from .world import Hot, Phase, World

KILLED = j.Failure(StatusCode.ABORTED, "killed")


def cancel(
    turn: Turn, hot: Hot, code: StatusCode = StatusCode.CANCELLED, message: str = "cancelled"
) -> j.Failure | None:
    """Asks an invocation to end. One whose code never ran ends here; a paused one hears of it when it resumes."""
    record = hot.record
    if is_over(hot):
        return refuse(turn, hot, "only what is not over can be cancelled")
    if record.epoch == 0 and record.status in (Status.SCHEDULED, Status.QUEUED, Status.PAUSED):
        _unschedule(turn, hot)
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


def kill(turn: Turn, hot: Hot, failure: j.Failure = KILLED) -> j.Failure | None:
    """Ends an invocation without running its code, and the calls it waits for, and those they wait for."""
    if hot.output is not None and hot.record.status is not Status.COMPLETED:
        complete(turn, hot, hot.output)  # it has its result, and only its attempt did not end yet
        return refuse(turn, hot, "it cannot be killed")
    if is_over(hot):
        return refuse(turn, hot, "it cannot be killed")
    dying = [one for one in tree(turn.world, hot) if not is_over(one)]
    # Those that wait for a key leave its queue first, so that none of them gets it; and the others count as completed
    # before that, so that none of them hears of another.
    dying.sort(key=lambda one: one.record.status is not Status.QUEUED)
    for one in dying:
        if one.phase is Phase.ATTEMPT:
            turn.effect(AbortAttempt(one.record.id, one.record.epoch, failure.message))
        _unschedule(turn, one)
        if one.record.status is not Status.QUEUED:
            one.record.status = Status.COMPLETED
    for one in dying:
        complete(turn, one, failure)
    return None


def _unschedule(turn: Turn, hot: Hot) -> None:
    record = hot.record
    if record.status is Status.SCHEDULED and record.scheduled_for_ms is not None:
        turn.write(DeleteTimer(Timer(record.scheduled_for_ms, record.id, 0, TimerKind.START)))


def tree(world: World, hot: Hot) -> Iterator[Hot]:
    """The invocation, the calls it made and waits for, and theirs; as far as they are in memory."""
    found = {hot.record.id}
    left = [hot]
    while left:
        one = left.pop()
        yield one
        for callee in awaited_calls(one):
            called = world.invocations.get(callee)
            if called is not None and callee not in found and called.record.parent_id == one.record.id:
                found.add(callee)
                left.append(called)


def awaited_calls(hot: Hot) -> list[bytes]:
    """The ids of the calls that have no result yet. Some may belong to others: those with an idempotency key."""
    return [command.invocation_id for command in hot.open.values() if isinstance(command, j.Call)]


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


def refuse(turn: Turn, hot: Hot, why: str) -> j.Failure:
    """The failure of a request that the invocation's state does not allow."""
    record = hot.record
    turn.effect(Forget(record.id))
    status = Status.COMPLETED if is_over(hot) else record.status
    name = ids.invocation_id_text(record.id)
    shown = "running" if status is Status.ACTIVE else status.value
    return j.Failure(StatusCode.FAILED_PRECONDITION, f"{name} is {shown}: {why}")
