"""How an invocation comes to be: accepted, scheduled, queued for its key, or started.

Invariants: an invocation and its input are written together; for each key at most one exclusive invocation is
neither scheduled nor queued, and the queue is first in, first out.
"""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.immutable import immutable
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from . import deadlines
from .activation import activate
from .decision import (
    AnswerAccepted,
    AnswerRefused,
    AnswerResult,
    ArmTimer,
    CreateInvocation,
    DeleteTimer,
    Forget,
    PutTimer,
)
from .failures import decode_result
from .records import Invocation, Status, Timer, TimerKind
from .target import Target
from .turn import Turn, key_of
from .world import Hot, Phase

#: Where the metadata of an error names an invocation.
INVOCATION_ID = "restate-invocation-id"


@immutable
class Request:
    """A request for an invocation, wherever it comes from.

    Args:
        id: fresh or derived; see restate_protocol.ids.
        execute_at_ms: when it is due; None or past: at once.
        parent_id, parent_command, reply: the command of another invocation that asks, and whether it waits.
    """

    id: bytes
    service: str
    handler: str
    key: str | None
    payload: bytes
    headers: j.Headers = ()
    idempotency_key: str | None = None
    execute_at_ms: int | None = None
    parent_id: bytes | None = None
    parent_command: int | None = None
    reply: bool = False
    traceparent: str = ""
    tracestate: str = ""


def submit(turn: Turn, request: Request, target: Target, token: int, wait: bool) -> None:
    """A request from outside. `token` names whom to answer; `wait` whether it wants the result too."""
    hot = turn.world.invocations.get(request.id)
    if hot is None:
        hot = accept(turn, request, target)
        turn.effect(AnswerAccepted(token, request.id, new=True))
    elif wait and hot.record.mode is HandlerMode.RUN:
        turn.effect(AnswerRefused(token, started_already(hot)))
        return
    elif differs(hot, target.digest_of(request.payload, request.idempotency_key)):
        turn.effect(AnswerRefused(token, another_request(hot)))
        return
    else:
        turn.effect(AnswerAccepted(token, request.id, new=False))
    if wait:
        attach(turn, hot, token)


def started_already(hot: Hot) -> j.Failure:
    """Why a workflow is not run again."""
    record = hot.record
    message = f"workflow {record.service}/{record.key} was started already; attach to it for its result"
    return j.Failure(StatusCode.ALREADY_EXISTS, message, metadata=_which(hot))


def differs(hot: Hot, digest: bytes | None) -> bool:
    """Whether a request with the idempotency key of an invocation is another one than began it, as far as is known."""
    known = hot.record.request_digest
    return known is not None and digest is not None and known != digest


def another_request(hot: Hot) -> j.Failure:
    """Why a request with a used idempotency key is not the invocation that is there."""
    record = hot.record
    of_key = "" if record.key is None else f" of {record.key!r}"
    message = (
        f"the idempotency key {record.idempotency_key!r} of {record.service}/{record.handler}{of_key} belongs to "
        f"{ids.invocation_id_text(record.id)}, which has another request: send that one again, attach to the "
        "invocation, or use a new key"
    )
    return j.Failure(StatusCode.ALREADY_EXISTS, message, metadata=_which(hot))


def _which(hot: Hot) -> tuple[tuple[str, str], ...]:
    return ((INVOCATION_ID, ids.invocation_id_text(hot.record.id)),)


def attach(turn: Turn, hot: Hot, token: int) -> None:
    """Somebody outside waits for the result of an invocation."""
    if hot.record.status is Status.COMPLETED:
        turn.effect(AnswerResult(token, decode_result(hot.record.result)))
        turn.effect(Forget(hot.record.id))
    else:
        hot.tokens.append(token)


def accept(turn: Turn, request: Request, target: Target) -> Hot:
    """A new invocation with its input."""
    record = Invocation(
        id=request.id,
        service=request.service,
        handler=request.handler,
        key=request.key,
        mode=target.mode,
        created_ms=turn.now_ms,
        scheduled_for_ms=request.execute_at_ms,
        idempotency_key=request.idempotency_key,
        parent_id=request.parent_id,
        parent_command=request.parent_command,
        reply=request.reply,
        traceparent=request.traceparent,
        tracestate=request.tracestate,
        retention_ms=target.retention_ms(request.idempotency_key),
        request_digest=target.digest_of(request.payload, request.idempotency_key),
    )
    hot = Hot(record, target)
    turn.world.invocations[request.id] = hot
    turn.world.absent.discard(request.id)
    turn.write(CreateInvocation(record))
    entry = j.Input(request.payload, request.headers)
    turn.append(hot, entry, j.encode(entry))
    if target.handler.execution_timeout_ms is not None:
        deadlines.begin(turn, hot)
    place(turn, hot)
    return hot


def place(turn: Turn, hot: Hot) -> None:
    """Schedules an invocation that had no attempt yet if it is due later; else it starts or joins the queue."""
    due_ms = hot.record.scheduled_for_ms
    if due_ms is not None and due_ms > turn.now_ms:
        _schedule(turn, hot, due_ms)
    else:
        _admit(turn, hot)


def _schedule(turn: Turn, hot: Hot, due_ms: int) -> None:
    hot.record.status = Status.SCHEDULED
    timer = Timer(due_ms, hot.record.id, 0, TimerKind.START)
    turn.write(PutTimer(timer))
    turn.effect(ArmTimer(timer))
    turn.effect(Forget(hot.record.id))


def due(turn: Turn, hot: Hot, timer: Timer) -> None:
    """A scheduled invocation is due: it joins the queue of its key now, not earlier."""
    turn.write(DeleteTimer(timer))
    if hot.record.status is Status.SCHEDULED:
        _admit(turn, hot)
        turn.save(hot)


def _admit(turn: Turn, hot: Hot) -> None:
    """Starts the invocation, or queues it behind the holder of its key."""
    record = hot.record
    if record.mode is not HandlerMode.EXCLUSIVE:
        activate(turn, hot)
        return
    record.queue_seq = turn.world.next_queue_seq
    turn.world.next_queue_seq += 1
    if turn.world.enqueue(key_of(record), record.id):
        activate(turn, hot)
    else:
        record.status = Status.QUEUED
        hot.phase = Phase.IDLE
        turn.effect(Forget(record.id))
