"""Runs that fail and are tried again: counted in the journal, and timed here where the wait is long.

Invariants: each failure is counted once and before the function runs again, so the count outlives every crash; a wait
that is over is told once; a timer of an earlier wait changes nothing.
"""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from .activation import wake
from .attempts import progress, reject
from .decision import ArmTimer, DeleteTimer, Forget, PutTimer, Report
from .events import RunTryFailed
from .records import LATEST_MS, Status, Timer, TimerKind
from .turn import Turn
from .world import Hot, Phase, RunTries


def failed(turn: Turn, hot: Hot, event: RunTryFailed) -> None:
    """Journals one more failure of a run. The first try is when it was first told, whatever later attempts say."""
    command = event.command
    if not isinstance(hot.open.get(command), j.Run):
        message = f"a failure of command {command}, which is not a run that waits for a result"
        reject(turn, hot, StatusCode.INTERNAL, message)
        return
    before = _tries(hot, command)
    failures = 1 if before is None else before.failures + 1
    first_ms = event.first_try_at_ms if before is None else before.first_try_at_ms
    retry_at_ms = min(event.retry_at_ms, LATEST_MS)
    turn.tell(hot, j.RunFailed(command, failures, event.failure, first_ms, retry_at_ms))
    progress(turn, hot)
    turn.effect(Report("run_failed", hot.record.id, event.failure.message))
    if event.durable_timer:
        _time(turn, hot, command, retry_at_ms)


def due(turn: Turn, hot: Hot | None, timer: Timer) -> None:
    """The wait after a failed run is over: the attempt hears of it, a suspended invocation starts again."""
    turn.write(DeleteTimer(timer))
    if hot is None:
        return
    tries = _tries(hot, timer.command)
    if hot.record.status is Status.COMPLETED or tries is None or tries.due or tries.retry_at_ms != timer.due_ms:
        if hot.phase is Phase.IDLE:
            turn.effect(Forget(hot.record.id))
        return
    turn.tell(hot, j.RunDue(timer.command, tries.failures))
    wake(turn, hot)


def time_all(turn: Turn, hot: Hot) -> None:
    """An attempt suspends: its failed runs have timers from now on, or nobody would try them again."""
    for command, tries in (hot.tries or {}).items():
        if not tries.due:
            _time(turn, hot, command, tries.retry_at_ms)


def _tries(hot: Hot, command: int) -> RunTries | None:
    return None if hot.tries is None else hot.tries.get(command)


def _time(turn: Turn, hot: Hot, command: int, due_ms: int) -> None:
    """Putting a timer twice is fine: it fires once, or twice and the second changes nothing."""
    timer = Timer(due_ms, hot.record.id, command, TimerKind.RUN_RETRY)
    turn.write(PutTimer(timer))
    turn.effect(ArmTimer(timer))
