"""How an invocation ends, and who hears of it.

Invariant: the result, the completions in the journals of all who wait for it, and the hand-over of the key are
one commit.
"""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.services import HandlerMode

from . import deadlines
from .activation import activate, wake
from .decision import AnswerResult, Forget, RemoveWaiters, Report
from .failures import encode_result
from .records import Invocation, Status
from .turn import Turn, key_of
from .world import Hot, Phase


def is_over(hot: Hot) -> bool:
    """Whether nothing can change the result any more: it is there, if only as the output of an attempt."""
    return hot.output is not None or hot.record.status is Status.COMPLETED


def complete(turn: Turn, hot: Hot, result: j.Result) -> None:
    """The invocation is over."""
    record = hot.record
    was_queued = record.status is Status.QUEUED
    record.status = Status.COMPLETED
    record.result = encode_result(result)
    record.completed_ms = turn.now_ms
    whole_ms = record.retention_ms if hot.target is None else hot.target.whole_ms(record.retention_ms)
    record.expires_ms = turn.now_ms + whole_ms
    record.next_retry_ms = None
    record.awaiting = None
    hot.phase = Phase.IDLE
    turn.save(hot)
    if hot.target is not None and hot.target.handler.execution_timeout_ms is not None:
        deadlines.end(turn, hot)
    for token in hot.tokens:
        turn.effect(AnswerResult(token, result))
    hot.tokens.clear()
    _tell_waiters(turn, hot, result)
    if record.mode is HandlerMode.EXCLUSIVE and record.queue_seq is not None:
        _release(turn, record, was_queued)
    turn.effect(Report("completed", record.id))
    turn.effect(Forget(record.id))


def _tell_waiters(turn: Turn, hot: Hot, result: j.Result) -> None:
    record = hot.record
    if record.reply and record.parent_id is not None and record.parent_command is not None:
        complete_command(turn, record.parent_id, record.parent_command, result)
    for invocation_id, command in hot.waiters:
        complete_command(turn, invocation_id, command, result)
    if hot.waiters:
        turn.write(RemoveWaiters(record.id))
        hot.waiters.clear()


def complete_command(turn: Turn, invocation_id: bytes, command: int, result: j.Result) -> None:
    """Journals the completion of a command of some invocation, unless that is over or has it already."""
    hot = turn.world.invocations.get(invocation_id)
    if hot is None or hot.record.status is Status.COMPLETED or command in hot.done:
        return
    turn.tell(hot, j.Completion(command, result))
    wake(turn, hot)


def _release(turn: Turn, record: Invocation, was_queued: bool) -> None:
    """The key goes to the next in its queue; one that only waited just leaves the queue."""
    following = turn.world.dequeue(key_of(record), record.id)
    if following is None or was_queued:
        return
    activate(turn, turn.world.invocations[following])
