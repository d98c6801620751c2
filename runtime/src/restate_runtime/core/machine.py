"""The core's one entry: an event in, a decision out.

Everything the event needs must be in memory; see `needs`. What a stale attempt says changes nothing.
"""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from . import acceptance, attempts, commands, run_retry, signals
from .completion import complete
from .decision import AckRun, AnswerAccepted, AnswerDone, AnswerRefused, Forget, PurgeInvocation
from .events import (
    Attach,
    AttemptEnded,
    AttemptFailed,
    AttemptLost,
    AttemptSuspended,
    AwakeableCompleted,
    CommandSaid,
    Event,
    Expire,
    Kill,
    Recover,
    Resume,
    RunProposed,
    RunTryFailed,
    Submit,
    TimerFired,
)
from .records import Status
from .turn import Turn, key_of
from .world import Hot, Phase


def decide(turn: Turn, event: Event) -> None:
    """Decides one event: changes the world and adds to the turn's writes and effects."""
    match event:
        case (
            CommandSaid()
            | RunProposed()
            | RunTryFailed()
            | AttemptSuspended()
            | AttemptFailed()
            | AttemptEnded()
            | AttemptLost()
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
        case Attach() | Resume() | Kill():
            _request(turn, event)
        case Expire(subject=subject):
            _expire(turn, subject)
        case Recover(subject=subject):
            hot = turn.world.invocations.get(subject)
            if hot is not None and hot.phase is Phase.IDLE and hot.record.status is Status.ACTIVE:
                attempts.recover(turn, hot)


def _attempt(
    turn: Turn,
    hot: Hot,
    event: CommandSaid | RunProposed | RunTryFailed | AttemptSuspended | AttemptFailed | AttemptEnded | AttemptLost,
) -> None:
    match event:
        case CommandSaid(entry=entry, data=data):
            commands.apply(turn, hot, entry, data)
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
            attempts.fail(turn, hot, frame)
        case AttemptEnded():
            _end(turn, hot)
        case AttemptLost(reason=reason, delivered=delivered):
            attempts.lose(turn, hot, reason, delivered)


def _end(turn: Turn, hot: Hot) -> None:
    if hot.output is None:
        attempts.reject(turn, hot, StatusCode.INTERNAL, "the attempt ended without an output")
    else:
        complete(turn, hot, hot.output)


def _expire(turn: Turn, invocation_id: bytes) -> None:
    hot = turn.world.invocations.get(invocation_id)
    if hot is None or hot.record.expires_ms is None or hot.record.expires_ms > turn.now_ms:
        return
    hot.batch = turn.world.batch
    if hot.record.mode is HandlerMode.RUN:
        turn.world.promises.pop(key_of(hot.record), None)
    turn.write(PurgeInvocation(invocation_id))
    turn.effect(Forget(invocation_id))


def _request(turn: Turn, event: Attach | Resume | Kill) -> None:
    hot = turn.world.invocations.get(event.subject)
    if hot is None:
        message = f"{ids.invocation_id_text(event.subject)} is unknown: it never was, or its retention is over"
        _answer(turn, event.token, j.Failure(StatusCode.NOT_FOUND, message))
        return
    match event:
        case Attach(token=token):
            turn.effect(AnswerAccepted(token, event.subject, new=False))
            acceptance.attach(turn, hot, token)
        case Resume(token=token):
            _answer(turn, token, signals.resume(turn, hot))
        case Kill(token=token):
            _answer(turn, token, signals.kill(turn, hot))


def _answer(turn: Turn, token: int | None, problem: j.Failure | None) -> None:
    if token is None:
        return
    turn.effect(AnswerDone(token) if problem is None else AnswerRefused(token, problem))
