"""The core's one entry: an event in, a decision out.

Everything the event needs must be in memory; see `needs`. What a stale attempt says changes nothing.
"""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from . import (
    acceptance,
    attempts,
    commands,
    killing,
    lifecycle,
    overdue,
    restart,
    retention,
    run_retry,
    signals,
)
from .activation import start
from .completion import complete
from .decision import AckRun, AnswerAccepted, AnswerDone, AnswerRefused
from .events import (
    Attach,
    AttemptEnded,
    AttemptFailed,
    AttemptLost,
    AttemptStalled,
    AttemptSuspended,
    AwakeableCompleted,
    Cancel,
    CommandSaid,
    Event,
    Expire,
    Kill,
    Pause,
    Purge,
    Recover,
    Restart,
    Resume,
    RunProposed,
    RunTryFailed,
    SignalSent,
    StartWanted,
    Submit,
    TimerFired,
)
from .records import Status
from .turn import Turn
from .world import Hot, Phase


def decide(turn: Turn, event: Event) -> None:
    """Decides one event: changes the world and adds to the turn's writes and effects."""
    match event:
        case CommandSaid(entry=entry, data=data):  # most events
            hot = turn.current(event.subject, event.epoch)
            if hot is not None:
                commands.apply(turn, hot, entry, data)
        case (
            RunProposed()
            | RunTryFailed()
            | AttemptSuspended()
            | AttemptFailed()
            | AttemptEnded()
            | AttemptLost()
            | AttemptStalled()
        ):
            hot = turn.current(event.subject, event.epoch)
            if hot is not None:
                _attempt(turn, hot, event)
        case Submit(request=request, target=target, token=token, wait=wait):
            acceptance.submit(turn, request, target, token, wait)
        case TimerFired(timer=timer):
            signals.fire(turn, timer)
        case AwakeableCompleted(subject=subject, number=number, result=result, token=token):
            _answer(turn, token, signals.complete_awakeable(turn, subject, number, result))
        case Attach() | SignalSent() | Cancel() | Pause() | Resume() | Kill() | Purge():
            _request(turn, event)
        case Restart():
            restart.restart(turn, event)
        case Expire(subject=subject):
            hot = turn.world.invocations.get(subject)
            if hot is not None:
                retention.expire(turn, hot)
        case StartWanted(subject=subject, epoch=epoch):
            hot = turn.current(subject, epoch)
            if hot is not None:
                start(turn, hot)
        case Recover(subject=subject):
            hot = turn.world.invocations.get(subject)
            if hot is not None and hot.phase is Phase.IDLE and hot.record.status is Status.ACTIVE:
                attempts.recover(turn, hot)


def _attempt(
    turn: Turn,
    hot: Hot,
    event: RunProposed | RunTryFailed | AttemptSuspended | AttemptFailed | AttemptEnded | AttemptLost | AttemptStalled,
) -> None:
    match event:
        case RunProposed(command=command, result=result):
            if commands.propose(turn, hot, command, result):
                turn.effect(AckRun(hot.record.id, hot.record.epoch, command))
            else:
                message = f"a result for command {command}, which is not a run that waits for one"
                attempts.reject(turn, hot, StatusCode.INTERNAL, message)
        case RunTryFailed():
            run_retry.failed(turn, hot, event)
        case AttemptSuspended(tree=tree):
            if hot.tries:
                run_retry.time_all(turn, hot)
            attempts.suspend(turn, hot, tree)
        case AttemptFailed(frame=frame):
            attempts.told_failed(turn, hot, frame)
        case AttemptEnded():
            _end(turn, hot)
        case AttemptLost(reason=reason, delivered=delivered):
            attempts.lose(turn, hot, reason, delivered)
        case AttemptStalled(quiet_ms=quiet_ms):
            overdue.stalled(turn, hot, quiet_ms)


def _end(turn: Turn, hot: Hot) -> None:
    if hot.output is None:
        attempts.reject(turn, hot, StatusCode.INTERNAL, "the attempt ended without an output")
    else:
        complete(turn, hot, hot.output)


def _request(turn: Turn, event: Attach | SignalSent | Cancel | Pause | Resume | Kill | Purge) -> None:
    hot = turn.world.invocations.get(event.subject)
    if hot is None:
        message = f"{ids.invocation_id_text(event.subject)} is unknown: it never was, or its retention is over"
        _answer(turn, event.token, j.Failure(StatusCode.NOT_FOUND, message))
        return
    match event:
        case Attach(token=token):
            turn.effect(AnswerAccepted(token, event.subject, new=False))
            acceptance.attach(turn, hot, token)
        case SignalSent(name=name, result=result, token=token):
            _answer(turn, token, signals.signal(turn, hot, name, result))
        case Cancel(token=token):
            _answer(turn, token, lifecycle.cancel(turn, hot))
        case Pause(token=token):
            _answer(turn, token, lifecycle.pause(turn, hot))
        case Resume(token=token, deployment_id=deployment_id):
            _answer(turn, token, lifecycle.resume(turn, hot, deployment_id))
        case Kill(token=token):
            _answer(turn, token, killing.kill(turn, hot))
        case Purge(token=token, journal_only=journal_only):
            _answer(turn, token, lifecycle.purge(turn, hot, journal_only=journal_only))


def _answer(turn: Turn, token: int, problem: j.Failure | None) -> None:
    turn.effect(AnswerDone(token) if problem is None else AnswerRefused(token, problem))
