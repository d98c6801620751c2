"""What reaches an invocation from elsewhere: completed awakeables, named signals, timers."""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from . import overdue, run_retry
from .acceptance import due
from .activation import wake
from .attempts import retry
from .completion import complete_command, is_over
from .decision import DeleteTimer, Forget
from .records import Status, Timer, TimerKind
from .turn import Turn
from .world import Hot

#: No name of a user's signal begins like this.
RESERVED = "restate."


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


def name_problem(name: str) -> str | None:
    """Why a signal cannot have this name."""
    if not name:
        return "a signal needs a name"
    if name.startswith(RESERVED):
        return f"the signal name {name!r} begins with {RESERVED!r}, which is reserved: choose another"
    return None


def signal(turn: Turn, hot: Hot, name: str, result: j.Result) -> j.Failure | None:
    """Journals a named signal; the failure says why it was not done. It may come before anybody waits for it."""
    if is_over(hot):
        turn.effect(Forget(hot.record.id))
        message = f"{ids.invocation_id_text(hot.record.id)} is completed: nobody takes the signal any more"
        return j.Failure(StatusCode.FAILED_PRECONDITION, message)
    turn.tell(hot, j.Signal(name, result))
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
        case TimerKind.DEADLINE:
            overdue.fire(turn, hot, timer)
        case TimerKind.START:
            if hot is None:
                turn.write(DeleteTimer(timer))
            else:
                due(turn, hot, timer)
