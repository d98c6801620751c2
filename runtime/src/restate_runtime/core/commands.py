"""What each command of a handler does.

Invariants: a command is journaled together with what it brings about (the child, the timer, the state); a command
that cannot be done is not journaled, and fails the attempt.
"""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from . import closing, spans
from .acceptance import Request, accept, another_request, differs, started_already
from .attempts import progress, reject
from .completion import complete_command
from .decision import (
    AckRun,
    AddPromiseWaiter,
    AddWaiter,
    ArmTimer,
    ClearState,
    Forget,
    PutPromise,
    PutState,
    PutTimer,
    RemovePromiseWaiters,
)
from .failures import decode_result, encode_result
from .killing import kill
from .lifecycle import cancel
from .records import LATEST_MS, Status, Timer, TimerKind
from .signals import complete_awakeable, name_problem, signal
from .target import Target
from .turn import Turn, key_of
from .world import Hot, is_lazy_read

_KEYED = (HandlerMode.EXCLUSIVE, HandlerMode.SHARED, HandlerMode.RUN)
_WRITERS = (HandlerMode.EXCLUSIVE, HandlerMode.RUN)

#: Commands that every handler may give. They are most, so they are told apart at once.
_ALWAYS_RIGHT = frozenset({j.Run, j.Output, j.Sleep, j.Awakeable, j.Attach, j.Cancel})


def apply(turn: Turn, hot: Hot, entry: j.Entry, data: bytes) -> None:
    """Journals a command of the running attempt and does what it says."""
    problem = _problem(turn, hot, entry)
    if problem is not None:
        reject(turn, hot, *problem)
        return
    reused = _reused(turn, entry) if isinstance(entry, j.Send) else None
    if reused is not None:
        kill(turn, hot, reused)  # a send has no result that could tell it
        return
    number = hot.commands
    turn.append(hot, entry, data)
    progress(turn, hot)
    match entry:
        case j.Run():
            if entry.result is not None:
                turn.effect(AckRun(hot.record.id, hot.record.epoch, number))
        case j.Output():
            pass  # it counts once the attempt ends
        case j.Sleep():
            timer = Timer(min(entry.wake_at_ms, LATEST_MS), hot.record.id, number, TimerKind.SLEEP)
            turn.write(PutTimer(timer))
            turn.effect(ArmTimer(timer))
        case j.Call() | j.Send():
            _invoke(turn, hot, entry, number)
            closing.ask(turn, hot, entry)
        case j.SetState() | j.ClearState() | j.ClearAllState():
            _change_state(turn, hot, entry)
        case j.GetPromise() | j.PeekPromise() | j.CompletePromise():
            _promise(turn, hot, entry, number)
        case j.CompleteAwakeable():
            invocation_id, awakeable = ids.parse_awakeable_id(entry.awakeable_id)
            complete_awakeable(turn, invocation_id, awakeable, entry.result)
        case j.Attach():
            _attach(turn, hot, entry.invocation_id, number)
            closing.ask(turn, hot, entry)
        case j.Cancel() | j.SendSignal():
            _reach(turn, entry)
        case j.GetState() | j.GetStateKeys() if is_lazy_read(entry):
            _read_state(turn, hot, entry, number)
        case _:
            pass


def propose(turn: Turn, hot: Hot, command: int, result: j.Result) -> bool:
    """Journals the result of a run; False where there is no such run to have one."""
    if not isinstance(hot.open.get(command), j.Run):
        return False
    entry = j.Completion(command, result)
    turn.append(hot, entry, j.encode(entry))
    progress(turn, hot)
    return True


def _problem(turn: Turn, hot: Hot, entry: j.Entry) -> tuple[StatusCode, str] | None:
    """Why a command cannot be done, if so."""
    if hot.output is not None:
        return StatusCode.INTERNAL, f"{j.type_name(entry)} after the output"
    if type(entry) in _ALWAYS_RIGHT:
        return None
    mode = hot.record.mode
    match entry:
        case j.Input() | j.Completion() | j.Signal() | j.Cancelled() | j.RunFailed() | j.RunDue():
            return StatusCode.INTERNAL, f"{j.type_name(entry)} is not a command of a handler"
        case j.Call() | j.Send():
            return _call_problem(turn, hot, entry)
        case j.GetState() | j.GetStateKeys() if mode not in _KEYED:
            return StatusCode.FAILED_PRECONDITION, "a plain service has no state"
        case j.SetState() | j.ClearState() | j.ClearAllState() if mode not in _WRITERS:
            return StatusCode.FAILED_PRECONDITION, f"a {mode.value} handler does not write state"
        case j.GetPromise() | j.PeekPromise() | j.CompletePromise() if not _has_promises(hot):
            return StatusCode.FAILED_PRECONDITION, "only workflows have promises"
        case j.CompleteAwakeable():
            return _awakeable_problem(entry)
        case j.SendSignal():
            problem = name_problem(entry.name)
            return None if problem is None else (StatusCode.INVALID_ARGUMENT, problem)
        case _:
            return None


def _has_promises(hot: Hot) -> bool:
    mode = hot.record.mode
    if mode is HandlerMode.RUN:
        return True
    return mode is HandlerMode.SHARED and hot.target is not None and hot.target.in_workflow


def _awakeable_problem(entry: j.CompleteAwakeable) -> tuple[StatusCode, str] | None:
    try:
        ids.parse_awakeable_id(entry.awakeable_id)
    except IdError as error:
        return StatusCode.INVALID_ARGUMENT, str(error)
    return None


def _call_problem(turn: Turn, hot: Hot, entry: j.Call | j.Send) -> tuple[StatusCode, str] | None:
    target = turn.resolve(entry.service, entry.handler, None)
    if target is None:
        return (
            StatusCode.UNIMPLEMENTED,
            f"no deployment serves {entry.service}/{entry.handler}: register one; the call is tried again",
        )
    if (target.mode is HandlerMode.SERVICE) is not (entry.key is None):
        return StatusCode.INVALID_ARGUMENT, f"{entry.service}/{entry.handler}: a key where none belongs, or none"
    if target.mode is HandlerMode.RUN and entry.idempotency_key:
        return (
            StatusCode.INVALID_ARGUMENT,
            f"{entry.service}/{entry.handler} is the run of a workflow: its key is its idempotency key",
        )
    if entry.invocation_id != derived_id(entry, target, hot.record.id, hot.commands):
        return StatusCode.INTERNAL, "the invocation id of the call is not the one derived for it"
    return None


def derived_id(entry: j.Call | j.Send, target: Target, caller: bytes, command: int) -> bytes:
    """The id that what is called has."""
    if target.mode is HandlerMode.RUN:
        return ids.workflow_invocation_id(entry.service, entry.key or "")
    if entry.idempotency_key:
        return ids.idempotent_invocation_id(entry.service, entry.handler, entry.key, entry.idempotency_key)
    return ids.child_invocation_id(caller, command)


def _invoke(turn: Turn, hot: Hot, entry: j.Call | j.Send, number: int) -> None:
    callee = turn.world.invocations.get(entry.invocation_id)
    if callee is None:
        _accept_child(turn, hot, entry, number)
        return
    if isinstance(entry, j.Send):
        return
    if callee.record.mode is HandlerMode.RUN:
        complete_command(turn, hot.record.id, number, started_already(callee))
    elif (reused := _reused(turn, entry)) is not None:
        complete_command(turn, hot.record.id, number, reused)
    else:
        _attach(turn, hot, entry.invocation_id, number)


def _reused(turn: Turn, entry: j.Call | j.Send) -> j.Failure | None:
    """The failure of a call or send whose idempotency key belongs to another request."""
    callee = turn.world.invocations.get(entry.invocation_id) if entry.idempotency_key else None
    target = None if callee is None else turn.resolve(entry.service, entry.handler, None)
    if callee is None or target is None:
        return None
    return another_request(callee) if differs(callee, target.digest_of(entry.payload, entry.idempotency_key)) else None


def _accept_child(turn: Turn, hot: Hot, entry: j.Call | j.Send, number: int) -> None:
    target = turn.resolve(entry.service, entry.handler, None)
    if target is None:
        raise ValueError(f"{entry.service}/{entry.handler} was served a moment ago")
    request = Request(
        id=entry.invocation_id,
        service=entry.service,
        handler=entry.handler,
        key=entry.key,
        payload=entry.payload,
        headers=entry.headers,
        idempotency_key=entry.idempotency_key or None,
        execute_at_ms=(min(entry.execute_at_ms, LATEST_MS) or None) if isinstance(entry, j.Send) else None,
        parent_id=hot.record.id,
        parent_command=number,
        reply=isinstance(entry, j.Call),
        traceparent=spans.step_traceparent(hot.record, number),
        tracestate=hot.record.tracestate,
    )
    accept(turn, request, target)


def _attach(turn: Turn, hot: Hot, target: bytes, number: int) -> None:
    callee = turn.world.invocations.get(target)
    if callee is None:
        message = f"{ids.invocation_id_text(target)} is unknown: it never was, or its retention is over"
        complete_command(turn, hot.record.id, number, j.Failure(StatusCode.NOT_FOUND, message))
    elif callee.record.status is Status.COMPLETED:
        complete_command(turn, hot.record.id, number, decode_result(callee.record.result))
    else:
        callee.waiters.append((hot.record.id, number))
        callee.batch = turn.world.batch
        turn.write(AddWaiter(target, hot.record.id, number))
        turn.effect(Forget(target))


def _reach(turn: Turn, entry: j.Cancel | j.SendSignal) -> None:
    """Acts on another invocation. One that is over or never was takes no notice, and that is no error."""
    hot = turn.world.invocations.get(entry.invocation_id)
    if hot is None:
        return
    if isinstance(entry, j.Cancel):
        cancel(turn, hot)
    else:
        signal(turn, hot, entry.name, entry.result)


def _change_state(turn: Turn, hot: Hot, entry: j.SetState | j.ClearState | j.ClearAllState) -> None:
    service, key = key_of(hot.record)
    view = turn.world.states.get((service, key))
    match entry:
        case j.SetState() | j.ClearState():
            value = entry.value if isinstance(entry, j.SetState) else None
            turn.write(PutState(service, key, entry.number, value))
            if view is not None:
                view.put(entry.number, value)
        case j.ClearAllState():
            turn.write(ClearState(service, key))
            if view is not None:
                view.clear()


def _read_state(turn: Turn, hot: Hot, entry: j.GetState | j.GetStateKeys, number: int) -> None:
    """Answers at once: what is needed of the state is in memory by now."""
    view = turn.world.states[key_of(hot.record)]
    if isinstance(entry, j.GetState):
        value = view.value(entry.number)
        result = j.Void() if value is None else j.Value(value)
    else:
        result = j.Value(journal_pb.StateKeys(numbers=view.numbers()).to_binary())
    complete_command(turn, hot.record.id, number, result)


def _promise(turn: Turn, hot: Hot, entry: j.GetPromise | j.PeekPromise | j.CompletePromise, number: int) -> None:
    key = key_of(hot.record)
    held = turn.world.promises[key]
    known = held.promises.results.get(entry.number)
    invocation_id = hot.record.id
    match entry:
        case j.CompletePromise() if known is not None:
            how = "rejected" if isinstance(decode_result(known), j.Failure) else "resolved"
            message = f"promise {entry.number} of {key[0]}/{key[1]} was {how} already"
            complete_command(turn, invocation_id, number, j.Failure(StatusCode.FAILED_PRECONDITION, message))
        case j.CompletePromise():
            complete_command(turn, invocation_id, number, j.Void())
            _complete_promise(turn, key, entry)
        case _ if known is not None:
            complete_command(turn, invocation_id, number, decode_result(known))
        case j.PeekPromise():
            complete_command(turn, invocation_id, number, j.Void())
        case j.GetPromise():
            held.promises.waiters.setdefault(entry.number, []).append((invocation_id, number))
            held.batch = turn.world.batch
            turn.write(AddPromiseWaiter(*key, entry.number, invocation_id, number))


def _complete_promise(turn: Turn, key: tuple[str, str], entry: j.CompletePromise) -> None:
    held = turn.world.promises[key]
    data = encode_result(entry.result)
    held.promises.results[entry.number] = data
    held.batch = turn.world.batch
    turn.write(PutPromise(*key, entry.number, data))
    waiters = held.promises.waiters.pop(entry.number, [])
    if waiters:
        turn.write(RemovePromiseWaiters(*key, entry.number))
    for invocation_id, command in waiters:
        complete_command(turn, invocation_id, command, entry.result)
