"""A completed invocation starts anew, as another one: from its input, or from a first part of its journal.

The new invocation has the request, the headers, the retention and the random seed of the old one. It has no
idempotency key and no caller, and state is as it is now. Invariant: what is taken over is a journal that an attempt
could have left behind: every call in it has its result, every sleep a timer.
"""

from __future__ import annotations

from collections.abc import Sequence

from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from . import deadlines
from .acceptance import place
from .decision import AnswerAccepted, AnswerRefused, ArmTimer, CreateInvocation, PutTimer
from .events import Restart
from .records import Invocation, Timer, TimerKind
from .replacement import choose
from .target import LATEST
from .trace_context import attempt_traceparent
from .turn import Turn
from .world import Hot

# What cannot be awaited by another invocation than the one that began it.
_OWN = (j.Call, j.Attach, j.GetPromise, j.Awakeable)


def restart(turn: Turn, event: Restart) -> None:
    """The new invocation begins, or the answer says why it cannot."""
    old = event.original
    chosen = event.deployment_id or LATEST
    target = choose(turn, old, chosen)
    if isinstance(target, j.Failure):
        turn.effect(AnswerRefused(event.token, target))
        return
    record = Invocation(
        id=event.subject,
        service=old.service,
        handler=old.handler,
        key=old.key,
        mode=old.mode,
        created_ms=turn.now_ms,
        parent_id=old.restarted_from or old.id,
        traceparent=attempt_traceparent(old, old.epoch),
        tracestate=old.tracestate,
        retention_ms=old.retention_ms,
        deployment_id=None if chosen == LATEST else target.deployment_id,
    )
    hot = Hot(record, target)
    turn.world.invocations[record.id] = hot
    turn.write(CreateInvocation(record))
    for data in event.entries:
        turn.append(hot, j.decode(data), data)
    for number, command in hot.open.items():
        if isinstance(command, j.Sleep):
            timer = Timer(command.wake_at_ms, record.id, number, TimerKind.SLEEP)
            turn.write(PutTimer(timer))
            turn.effect(ArmTimer(timer))
    if target.handler.execution_timeout_ms is not None:
        deadlines.begin(turn, hot)
    place(turn, hot)
    turn.effect(AnswerAccepted(event.token, record.id, new=True))


def problem(record: Invocation, journal: Sequence[bytes]) -> j.Failure | None:
    """Why an invocation that is completed cannot be restarted, whatever is taken over."""
    if record.mode is HandlerMode.RUN:
        message = f"{record.service}/{record.handler} runs once for a key: purge it, and call it again"
    elif not journal:
        message = "its journal was removed, and its input with it"
    else:
        return None
    return j.Failure(StatusCode.FAILED_PRECONDITION, f"it cannot be restarted: {message}")


def prefix(journal: Sequence[bytes], count: int) -> tuple[bytes, ...] | j.Failure:
    """The first entries, and the later results of what they began; the failure says why it cannot be cut there.

    Failed tries of runs that have no result are left out: they are tried anew.

    Args:
        journal: all entries of the completed invocation, the input first.
        count: how many entries to take over; 0 is as good as 1, the input.
    """
    entries = [j.decode(data) for data in journal]
    length = next((index for index, entry in enumerate(entries) if isinstance(entry, j.Output)), len(entries))
    count = max(1, count)
    if count > length:
        message = f"{count} entries cannot be taken over: there are {length} before the output"
        return j.Failure(StatusCode.INVALID_ARGUMENT, message)
    begun = _begun(entries[:count])
    settled = {place for entry in entries if (place := _place(entry)) is not None}
    for place, index in begun.items():
        if place not in settled and isinstance(entries[index], _OWN):
            what = j.type_name(entries[index])
            message = f"entry {index}, {what}, has no result in the journal: take over at most {index} entries"
            return j.Failure(StatusCode.FAILED_PRECONDITION, message)
    first = [
        data
        for data, entry in zip(journal[:count], entries, strict=False)
        if not isinstance(entry, j.RunFailed | j.RunDue) or _command(entry.command) in settled
    ]
    later = zip(journal[count:], entries[count:], strict=True)
    return (*first, *(data for data, entry in later if _place(entry) in begun))


def _begun(entries: Sequence[j.Entry]) -> dict[tuple[str, int], int]:
    """What waits for a result, and the index of its entry."""
    found: dict[tuple[str, int], int] = {}
    number = 0
    for index, entry in enumerate(entries):
        if isinstance(entry, j.NOTIFICATIONS):
            continue
        if isinstance(entry, j.Awakeable):
            found["awakeable", entry.number] = index
        elif isinstance(entry, j.COMPLETABLE) and not (isinstance(entry, j.Run) and entry.result is not None):
            found[_command(number)] = index
        number += 1
    return found


def _place(entry: j.Entry) -> tuple[str, int] | None:
    """What a notification is the result of."""
    match entry:
        case j.Completion(command=command):
            return _command(command)
        case j.Signal(target=int() as number):
            return "awakeable", number
        case _:
            return None


def _command(number: int) -> tuple[str, int]:
    return "command", number
