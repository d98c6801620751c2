"""What reaches an invocation from elsewhere: completed awakeables, timers, kill, resume."""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from . import run_retry
from .acceptance import due
from .activation import activate, wake
from .attempts import retry
from .completion import complete, complete_command
from .decision import AbortAttempt, DeleteTimer, Forget, KillLater
from .records import Status, Timer, TimerKind
from .turn import Turn
from .world import Hot, Phase


def complete_awakeable(turn: Turn, invocation_id: bytes, number: int, result: j.Result) -> j.Failure | None:
    """Journals the result of an awakeable, once; the failure says why it was not done.

    It may come before the awakeable itself is recorded: whoever got the id can be faster than the journal.
    """
    hot = turn.world.invocations.get(invocation_id)
    name = ids.awakeable_id_text(invocation_id, number)
    if hot is None or hot.record.status is Status.COMPLETED:
        return j.Failure(StatusCode.NOT_FOUND, f"{name}: its invocation is over or never was")
    if number in hot.signals:
        return j.Failure(StatusCode.FAILED_PRECONDITION, f"{name} was completed already")
    turn.tell(hot, j.Signal(number, result))
    wake(turn, hot)
    return None


def fire(turn: Turn, timer: Timer) -> None:
    """A timer is due."""
    hot = turn.world.invocations.get(timer.invocation_id)
    match timer.kind:
        case TimerKind.RETRY:
            if hot is not None:
                retry(turn, hot, timer.command)
        case TimerKind.SLEEP:
            turn.write(DeleteTimer(timer))
            complete_command(turn, timer.invocation_id, timer.command, j.Void())
        case TimerKind.RUN_RETRY:
            run_retry.due(turn, hot, timer)
        case TimerKind.START:
            if hot is None:
                turn.write(DeleteTimer(timer))
            else:
                due(turn, hot, timer)


def resume(turn: Turn, hot: Hot) -> j.Failure | None:
    """Starts a paused invocation again, or one that backs off at once; the failure says why not."""
    record = hot.record
    if record.status is not Status.PAUSED and hot.phase is not Phase.BACKING_OFF:
        name = ids.invocation_id_text(record.id)
        turn.effect(Forget(record.id))
        return j.Failure(
            StatusCode.FAILED_PRECONDITION, f"{name} is {record.status.value}: only what is paused or backs off resumes"
        )
    if record.status is Status.PAUSED:
        record.retry_count = 0
    activate(turn, hot)
    return None


def kill(turn: Turn, hot: Hot) -> j.Failure | None:
    """Ends an invocation without running its code, and the calls it waits for; the failure says why not."""
    record = hot.record
    if record.status is Status.COMPLETED:
        turn.effect(Forget(record.id))
        return j.Failure(StatusCode.FAILED_PRECONDITION, f"{ids.invocation_id_text(record.id)} is completed already")
    if hot.phase is Phase.ATTEMPT:
        turn.effect(AbortAttempt(record.id, record.epoch, "killed"))
    for command in hot.open.values():
        if isinstance(command, j.Call):
            turn.effect(KillLater(command.invocation_id))
    complete(turn, hot, j.Failure(StatusCode.ABORTED, "killed"))
    return None
