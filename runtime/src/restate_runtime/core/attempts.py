"""What follows when an attempt suspends, fails or is lost.

Invariants: at most one attempt of an invocation counts, the one with the record's epoch while the phase is
ATTEMPT; every attempt but the one that gives the output leaves a record of how it ended.
"""

from __future__ import annotations

from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts, RetryPolicy
from restate_protocol.gen.restate.protocol.v1 import session_pb
from restate_protocol.status import StatusCode

from . import cycles
from .activation import activate
from .completion import complete
from .decision import AbortAttempt, ArmTimer, Forget, RecordAttempt, Report
from .failures import failed_frame, failure_of
from .killing import kill
from .records import LATEST_MS, Attempt, AttemptOutcome, Status, Timer, TimerKind
from .retry import exhausted, next_delay_ms
from .turn import Turn, is_settled
from .world import Hot, Phase

_DEFAULT_POLICY = RetryPolicy()


def suspend(turn: Turn, hot: Hot, tree: aw.Awaiting) -> None:
    """The attempt gave up its place until what it awaits is there; which may be already."""
    record_end(turn, hot, AttemptOutcome.SUSPENDED, None)
    record = hot.record
    record.awaiting = aw.encode(tree)
    if is_settled(hot) or hot.cancelled_epoch == record.epoch:
        # A cancellation that met the suspension on its way may not have been seen: the next attempt sees it.
        activate(turn, hot)
        return
    record.status = Status.SUSPENDED
    rest(turn, hot)
    turn.effect(Report("suspended", record.id))
    cycles.break_all(turn, hot)


def told_failed(turn: Turn, hot: Hot, frame: session_pb.Failed) -> None:
    """The endpoint says that the attempt failed. One that is cancelled and did nothing yet is over with it.

    Its code would otherwise have to come as far as an await to hear of the cancellation, which it may never do. Nothing
    but the input is journaled, so there is nothing to clean up.
    """
    cancellation = None if hot.commands > 1 else _cancellation(hot)
    if cancellation is None or frame.behavior == session_pb.Failed.Behavior.FAIL:
        fail(turn, hot, frame)
        return
    data = frame.to_binary()
    record_end(turn, hot, AttemptOutcome.FAILED, data)
    hot.record.last_failure = data
    turn.effect(Report(f"attempt_{AttemptOutcome.FAILED.value}", hot.record.id, failure_of(frame).message))
    complete(turn, hot, cancellation)


def _cancellation(hot: Hot) -> j.Failure | None:
    """What the first request to end says, if there was one."""
    for data in hot.entries[1:]:
        entry = j.decode(data)
        if isinstance(entry, j.Cancelled):
            return j.Failure(entry.code, entry.message)
    return None


def fail(turn: Turn, hot: Hot, frame: session_pb.Failed, outcome: AttemptOutcome = AttemptOutcome.FAILED) -> None:
    """The attempt failed: again later, paused, or over, as frame and policy say."""
    record = hot.record
    if hot.output is not None:
        complete(turn, hot, hot.output)  # what comes after the output changes nothing
        return
    data = frame.to_binary()
    record_end(turn, hot, outcome, data)
    record.retry_count += 1
    record.last_failure = data
    failure = failure_of(frame)
    turn.effect(Report(f"attempt_{outcome.value}", record.id, failure.message))
    policy = hot.target.handler.retry if hot.target else _DEFAULT_POLICY
    behavior = session_pb.Failed.Behavior
    if frame.behavior == behavior.FAIL:
        complete(turn, hot, failure)
    elif frame.behavior == behavior.PAUSE:
        _pause(turn, hot, failure)
    elif not exhausted(policy, record.retry_count):
        _back_off(turn, hot, _delay_ms(frame, policy, record.retry_count))
    elif policy.on_max_attempts is OnMaxAttempts.KILL:
        kill(turn, hot, failure)
    else:
        _pause(turn, hot, failure)


def reject(turn: Turn, hot: Hot, code: StatusCode, message: str) -> None:
    """What the attempt asked for cannot be done: nothing of it is journaled, the attempt is over and failed."""
    record = hot.record
    turn.effect(AbortAttempt(record.id, record.epoch, message))
    fail(turn, hot, failed_frame(record.id, record.epoch, j.Failure(code, message)))


def progress(turn: Turn, hot: Hot) -> None:
    """Something was recorded: failures before it count no more."""
    if hot.record.retry_count:
        hot.record.retry_count = 0
        hot.record.last_failure = None
        turn.save(hot)


def lose(turn: Turn, hot: Hot, reason: str, delivered: bool) -> None:
    """The session with the attempt died. One that never reached the endpoint does not count as tried."""
    if not delivered:
        activate(turn, hot)
        return
    record = hot.record
    frame = failed_frame(record.id, record.epoch, j.Failure(StatusCode.UNAVAILABLE, reason))
    fail(turn, hot, frame, AttemptOutcome.LOST)


def recover(turn: Turn, hot: Hot) -> None:
    """The runtime starts, and this invocation was active: its attempt is gone, another one is due."""
    record = hot.record
    if hot.output is not None:
        complete(turn, hot, hot.output)
        return
    if record.attempt_started_ms is not None:
        failure = j.Failure(StatusCode.UNAVAILABLE, "the runtime stopped while the attempt ran")
        data = failed_frame(record.id, record.epoch, failure).to_binary()
        record_end(turn, hot, AttemptOutcome.LOST, data)
    if record.next_retry_ms is not None and record.next_retry_ms > turn.now_ms:
        hot.phase = Phase.BACKING_OFF
        turn.effect(ArmTimer(Timer(record.next_retry_ms, record.id, record.epoch, TimerKind.RETRY)))
        return
    activate(turn, hot)


def retry(turn: Turn, hot: Hot, epoch: int) -> None:
    """The back-off after attempt `epoch` is over."""
    if hot.phase is Phase.BACKING_OFF and hot.record.epoch == epoch:
        activate(turn, hot)


def _delay_ms(frame: session_pb.Failed, policy: RetryPolicy, failures: int) -> int:
    if frame.has_field("retry_after_ms"):
        return min(frame.retry_after_ms, LATEST_MS)
    return next_delay_ms(policy, failures)


def _back_off(turn: Turn, hot: Hot, delay_ms: int) -> None:
    record = hot.record
    record.next_retry_ms = turn.now_ms + delay_ms
    hot.phase = Phase.BACKING_OFF
    turn.save(hot)
    turn.effect(ArmTimer(Timer(record.next_retry_ms, record.id, record.epoch, TimerKind.RETRY)))


def _pause(turn: Turn, hot: Hot, failure: j.Failure) -> None:
    hot.record.status = Status.PAUSED
    rest(turn, hot)
    turn.effect(Report("paused", hot.record.id, failure.message))


def rest(turn: Turn, hot: Hot) -> None:
    """Nothing goes on with it now: it needs no memory."""
    hot.phase = Phase.IDLE
    turn.save(hot)
    turn.effect(Forget(hot.record.id))


def record_end(turn: Turn, hot: Hot, outcome: AttemptOutcome, failure: bytes | None) -> None:
    """Records how the attempt under way ended."""
    record = hot.record
    started_ms = turn.now_ms if record.attempt_started_ms is None else record.attempt_started_ms
    turn.write(
        RecordAttempt(
            Attempt(
                record.id,
                record.epoch,
                started_ms,
                turn.now_ms,
                outcome,
                record.deployment_id or "",
                failure,
            )
        )
    )
    record.attempt_started_ms = None
