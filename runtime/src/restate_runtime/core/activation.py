"""How an attempt starts: at first, again after a failure, or because what was awaited is there."""

from __future__ import annotations

from restate_protocol import awaiting as aw

from .decision import Forget, StartAttempt
from .records import Status
from .turn import Turn, is_settled
from .world import Hot, Phase


def activate(turn: Turn, hot: Hot, *, follow: bool = True) -> None:
    """Decides the next attempt.

    Args:
        follow: go to the newest deployment while that is free; False where somebody just chose one.
    """
    record = hot.record
    if follow:
        _pin(turn, hot)
    record.status = Status.ACTIVE
    record.epoch += 1
    record.attempt_started_ms = turn.now_ms
    record.awaiting = None
    record.next_retry_ms = None
    hot.phase = Phase.ATTEMPT
    turn.save(hot)
    start(turn, hot)


def start(turn: Turn, hot: Hot) -> None:
    """Hands the attempt that is decided to the endpoints, with the journal as it is now."""
    record = hot.record
    turn.effect(StartAttempt(record, record.epoch, len(hot.entries), record.retry_count, tuple(hot.entries)))


def _pin(turn: Turn, hot: Hot) -> None:
    """The first command pins an invocation to its deployment; until then it follows the newest."""
    record = hot.record
    if record.deployment_id is not None and (hot.commands > 1 or hot.target is None or record.epoch == 0):
        return  # one that has a deployment before its first attempt was given it by somebody who chose
    newest = turn.resolve(record.service, record.handler, None)
    if newest is not None:
        hot.target = newest
        record.deployment_id = newest.deployment_id


def wake(turn: Turn, hot: Hot) -> None:
    """A notification was journaled: start again if that is what was awaited."""
    if hot.record.status is Status.SUSPENDED and (is_settled(hot) or (turn.world.queued and _may_be_stuck(hot))):
        activate(turn, hot)
    elif hot.phase is Phase.IDLE:
        turn.effect(Forget(hot.record.id))


def _may_be_stuck(hot: Hot) -> bool:
    """Whether a failure may have been the last hope but for a wait cycle; see `cycles`."""
    return hot.record.awaiting is not None and aw.needs_success(aw.decode(hot.record.awaiting))
