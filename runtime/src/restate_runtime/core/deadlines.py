"""The durable timer of an invocation that has an execution timeout: set at acceptance, dropped at the end.

Handlers without `execution_timeout` have no such timer. What follows when it is due is in `overdue`.
"""

from __future__ import annotations

from .decision import ArmTimer, DeleteTimer, DisarmTimer, PutTimer
from .records import Invocation, Timer, TimerKind
from .turn import Turn
from .world import Hot

#: What the timer of an execution timeout is about, in place of a command: first the end is asked for, then it comes.
CANCEL = 0
KILL = 1


def begin(turn: Turn, hot: Hot) -> None:
    """The time runs from acceptance, or from when a delayed invocation is due."""
    timer = _first(hot)
    if timer is not None:
        put(turn, timer)


def end(turn: Turn, hot: Hot) -> None:
    """The invocation is over: it has no deadline any more."""
    timer = _first(hot)
    if timer is not None and timer.due_ms > turn.now_ms:
        turn.write(DeleteTimer(timer))
        turn.effect(DisarmTimer(timer))


def put(turn: Turn, timer: Timer) -> None:
    """A durable timer."""
    turn.write(PutTimer(timer))
    turn.effect(ArmTimer(timer))


def begins_ms(record: Invocation) -> int:
    """When the execution of an invocation may begin."""
    return max(record.created_ms, record.scheduled_for_ms or 0)


def _first(hot: Hot) -> Timer | None:
    timeout_ms = None if hot.target is None else hot.target.handler.execution_timeout_ms
    if timeout_ms is None:
        return None
    return Timer(begins_ms(hot.record) + timeout_ms, hot.record.id, CANCEL, TimerKind.DEADLINE)
