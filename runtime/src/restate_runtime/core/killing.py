"""How an invocation ends without its code: it, the calls it waits for, and those they wait for.

Invariant: all of them end in one commit, and nothing that was sent ends with them.
"""

from __future__ import annotations

from collections.abc import Iterator

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.status import StatusCode

from .completion import complete, is_over
from .decision import AbortAttempt, DeleteTimer, Forget
from .records import Status, Timer, TimerKind
from .turn import Turn
from .world import Hot, Phase, World

KILLED = j.Failure(StatusCode.ABORTED, "killed")


def kill(turn: Turn, hot: Hot, failure: j.Failure = KILLED) -> j.Failure | None:
    """Ends an invocation without running its code, and the calls it waits for, and those they wait for."""
    if hot.output is not None and hot.record.status is not Status.COMPLETED:
        complete(turn, hot, hot.output)  # it has its result, and only its attempt did not end yet
        return refuse(turn, hot, "it cannot be killed")
    if is_over(hot):
        return refuse(turn, hot, "it cannot be killed")
    dying = [one for one in tree(turn.world, hot) if not is_over(one)]
    # Those that wait for a key leave its queue first, so that none of them gets it; and the others count as completed
    # before that, so that none of them hears of another.
    dying.sort(key=lambda one: one.record.status is not Status.QUEUED)
    for one in dying:
        if one.phase is Phase.ATTEMPT:
            turn.effect(AbortAttempt(one.record.id, one.record.epoch, failure.message))
        unschedule(turn, one)
        if one.record.status is not Status.QUEUED:
            one.record.status = Status.COMPLETED
    for one in dying:
        complete(turn, one, failure)
    return None


def unschedule(turn: Turn, hot: Hot) -> None:
    """Nothing starts it any more."""
    record = hot.record
    if record.status is Status.SCHEDULED and record.scheduled_for_ms is not None:
        turn.write(DeleteTimer(Timer(record.scheduled_for_ms, record.id, 0, TimerKind.START)))


def tree(world: World, hot: Hot) -> Iterator[Hot]:
    """The invocation, the calls it made and waits for, and theirs; as far as they are in memory."""
    found = {hot.record.id}
    left = [hot]
    while left:
        one = left.pop()
        yield one
        for callee in awaited_calls(one):
            called = world.invocations.get(callee)
            if called is not None and callee not in found and called.record.parent_id == one.record.id:
                found.add(callee)
                left.append(called)


def awaited_calls(hot: Hot) -> list[bytes]:
    """The ids of the calls that have no result yet. Some may belong to others: those with an idempotency key."""
    return [command.invocation_id for command in hot.open.values() if isinstance(command, j.Call)]


def refuse(turn: Turn, hot: Hot, why: str) -> j.Failure:
    """The failure of a request that the invocation's state does not allow."""
    record = hot.record
    turn.effect(Forget(record.id))
    status = Status.COMPLETED if is_over(hot) else record.status
    name = ids.invocation_id_text(record.id)
    shown = "running" if status is Status.ACTIVE else status.value
    return j.Failure(StatusCode.FAILED_PRECONDITION, f"{name} is {shown}: {why}")
