"""What takes too long: an attempt that stands still, an invocation past its execution timeout.

Invariant: an overdue invocation is asked to end first, and has `abort_timeout` for its cleanup; only then is it
killed. The failure names the option that it is due to.
"""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.contract.model import Handler
from restate_protocol.status import StatusCode

from . import killing, lifecycle
from .attempts import reject
from .completion import is_over
from .deadlines import CANCEL, KILL, put
from .decision import DeleteTimer, Forget
from .records import Status, Timer, TimerKind
from .turn import Turn
from .world import Hot

# The contract's default, for an invocation whose deployment is not known.
_ABORT_MS = 600_000


def stalled(turn: Turn, hot: Hot, quiet_ms: int) -> None:
    """An attempt said nothing for longer than it may: it is aborted and failed."""
    if hot.target is None or quiet_ms < allowed_ms(hot.target.handler):
        return
    handler = hot.target.handler
    message = (
        f"aborted: no step ended and nothing was asked for in {seconds(quiet_ms)}, and the attempt did not suspend. "
        f"inactivity_timeout ({seconds(handler.inactivity_ms)}) and then abort_timeout ({seconds(handler.abort_ms)}) "
        f"are over; raise abort_timeout of {hot.record.service}/{hot.record.handler} if its steps take that long"
    )
    reject(turn, hot, StatusCode.DEADLINE_EXCEEDED, message)


def allowed_ms(handler: Handler) -> int:
    """How long an attempt may say nothing."""
    return handler.inactivity_ms + handler.abort_ms


def fire(turn: Turn, hot: Hot | None, timer: Timer) -> None:
    """The timer of an execution timeout is due."""
    turn.write(DeleteTimer(timer))
    if hot is None:
        return
    if is_over(hot):
        turn.effect(Forget(hot.record.id))
    elif timer.command == CANCEL:
        _cancel(turn, hot)
    else:
        end = f"{_passed(hot)}, and it did not end within abort_timeout ({seconds(_abort_ms(hot))}) after that: killed"
        killing.kill(turn, hot, j.Failure(StatusCode.DEADLINE_EXCEEDED, end))


def _cancel(turn: Turn, hot: Hot) -> None:
    if not _was_told(hot):
        lifecycle.cancel(turn, hot, StatusCode.DEADLINE_EXCEEDED, _passed(hot))
    if hot.record.status is not Status.COMPLETED:
        put(turn, Timer(turn.now_ms + _abort_ms(hot), hot.record.id, KILL, TimerKind.DEADLINE))


def _was_told(hot: Hot) -> bool:
    """A timer may fire twice; the deadline passes once."""
    entries = (j.decode(data) for data in hot.entries)
    return any(isinstance(one, j.Cancelled) and one.code == StatusCode.DEADLINE_EXCEEDED for one in entries)


def _passed(hot: Hot) -> str:
    timeout_ms = None if hot.target is None else hot.target.handler.execution_timeout_ms
    value = "" if timeout_ms is None else f" ({seconds(timeout_ms)})"
    return f"execution_timeout{value} of {hot.record.service}/{hot.record.handler} passed"


def _abort_ms(hot: Hot) -> int:
    return _ABORT_MS if hot.target is None else hot.target.handler.abort_ms


def seconds(milliseconds: int) -> str:
    """0.25 s, 60 s: a duration for people."""
    return f"{milliseconds / 1000:g} s"
