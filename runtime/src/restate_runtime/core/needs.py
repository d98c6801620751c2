"""What must be in memory before an event can be decided.

The engine loads what is missing and asks again, because what is loaded may show that more is needed. Only an
event whose needs are met is decided; so the core never waits.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeAlias

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.contract.model import OnMaxAttempts
from restate_protocol.errors import IdError
from restate_protocol.immutable import immutable
from restate_protocol.services import HandlerMode

from . import closing, cycles
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
    Resume,
    RunProposed,
    RunTryFailed,
    SignalSent,
    StartWanted,
    Submit,
    TimerFired,
)
from .killing import awaited_calls, tree
from .records import TimerKind
from .retry import exhausted
from .turn import key_of
from .world import Hot, Key, World


@immutable
class NeedInvocation:
    invocation_id: bytes


@immutable
class NeedPromises:
    key: Key


@immutable
class NeedState:
    """A state entry of a key; None: the numbers of all that there are."""

    key: Key
    number: int | None


Need: TypeAlias = NeedInvocation | NeedPromises | NeedState

_NONE: list[Need] = []


def missing(world: World, event: Event) -> list[Need]:
    """What is needed for the event and neither in memory nor known to be absent."""
    match event:
        case CommandSaid(entry=entry):
            if type(entry) in _NEEDS_NOTHING:
                return _of_failure(world, event.subject)
            return _of_command(world, event) or _of_failure(world, event.subject) or _of_closing(world, event)
        case RunProposed() | RunTryFailed():
            return _of_failure(world, event.subject)
        case Submit():
            return _invocations(world, [event.subject]) if event.derived else _NONE
        case TimerFired(timer=timer) if timer.kind is TimerKind.DEADLINE:
            return _invocations(world, [event.subject]) or _of_kill(world, event.subject)
        case Attach() | TimerFired() | AwakeableCompleted() | SignalSent() | Pause() | Resume() | StartWanted():
            return _invocations(world, [event.subject])
        case Purge() | Expire():
            return _invocations(world, [event.subject]) or _of_removal(world, event.subject)
        case Kill():
            return _invocations(world, [event.subject]) or _of_kill(world, event.subject)
        case Cancel() | Recover():
            return _invocations(world, [event.subject]) or _of_completion(world, event.subject)
        case AttemptSuspended():
            return _of_suspension(world, event)
        case AttemptEnded():
            return _of_completion(world, event.subject)
        case AttemptFailed() | AttemptLost() | AttemptStalled():
            return _of_failure(world, event.subject) or _of_completion(world, event.subject)
        case _:
            return _NONE


def _invocations(world: World, wanted: list[bytes]) -> list[Need]:
    needs: list[Need] = [
        NeedInvocation(one) for one in wanted if one not in world.invocations and one not in world.absent
    ]
    return needs if len(needs) < 2 else _once(needs)


def _once(needs: list[Need]) -> list[Need]:
    """Each of them once, because each is read."""
    return list(dict.fromkeys(needs))


def _of_completion(world: World, invocation_id: bytes) -> list[Need]:
    """Those who hear of the end of an invocation: its parent, its waiters, the next for its key."""
    hot = world.invocations.get(invocation_id)
    if hot is None:
        return _NONE
    record = hot.record
    wanted = [waiter for waiter, _ in hot.waiters]
    if record.reply and record.parent_id is not None:
        wanted.append(record.parent_id)
    if record.mode is HandlerMode.EXCLUSIVE and record.queue_seq is not None:
        following = world.follower(key_of(record), record.id)
        if following is not None:
            wanted.append(following)
    return _invocations(world, wanted) if wanted else _NONE


def _of_failure(world: World, invocation_id: bytes) -> list[Need]:
    """Where it is the last failure that the policy allows, the invocation may be killed, and its calls with it."""
    hot = world.invocations.get(invocation_id)
    if hot is None or hot.target is None:
        return _NONE
    policy = hot.target.handler.retry
    if policy.on_max_attempts is OnMaxAttempts.KILL and exhausted(policy, hot.record.retry_count + 1):
        return _of_kill(world, invocation_id)
    return _NONE


def _of_suspension(world: World, event: AttemptSuspended) -> list[Need]:
    """Whoever the invocation waits for, as far as a wait cycle can be seen there, and who hears of its end."""
    hot = world.invocations.get(event.subject)
    if hot is None or hot.record.epoch != event.epoch:
        return _NONE
    unknown, ending = cycles.needed(world, hot, event.tree)
    return _invocations(world, unknown) or _once([need for one in ending for need in _of_completion(world, one)])


def _of_kill(world: World, invocation_id: bytes) -> list[Need]:
    """The calls that end with it, and those who hear of their ends."""
    hot = world.invocations.get(invocation_id)
    if hot is None:
        return _NONE
    dying = list(tree(world, hot))
    called = _invocations(world, [callee for one in dying for callee in awaited_calls(one)])
    if called:
        return called
    ids_of_dying = {one.record.id for one in dying}
    needs = [need for one in dying for need in _of_completion(world, one.record.id)]
    for one in dying:
        needs += _invocations(world, _heir(world, one, ids_of_dying))
    return _once(needs)


def _of_removal(world: World, invocation_id: bytes) -> list[Need]:
    """Those who wait for the promises of a workflow that is removed."""
    hot = world.invocations.get(invocation_id)
    if hot is None or hot.record.mode is not HandlerMode.RUN:
        return _NONE
    key = key_of(hot.record)
    held = world.promises.get(key)
    if held is None:
        return [NeedPromises(key)]
    return _invocations(world, [one for waiting in held.promises.waiters.values() for one, _ in waiting])


def _heir(world: World, hot: Hot, dying: set[bytes]) -> list[bytes]:
    """Who gets the key of an invocation when others that wait for it end with it."""
    if hot.record.mode is not HandlerMode.EXCLUSIVE or hot.record.queue_seq is None:
        return []
    queue = world.queues.get(key_of(hot.record), ())
    return list(islice((one for one in queue if one not in dying), 1))


#: Commands that touch nothing but their own invocation. They are most, so they are told apart at once.
_NEEDS_NOTHING = frozenset({j.Run, j.Output, j.Sleep, j.Awakeable, j.SetState, j.ClearState, j.ClearAllState})


def _of_command(world: World, event: CommandSaid) -> list[Need]:
    match event.entry:
        case j.Call() | j.Send():
            return _invocations(world, _callee(event)) or _of_send(world, event)
        case j.Attach(invocation_id=target) | j.SendSignal(invocation_id=target):
            return _invocations(world, [target])
        case j.Cancel(invocation_id=target):
            return _invocations(world, [target]) or _of_completion(world, target)
        case j.CompleteAwakeable(awakeable_id=awakeable_id):
            return _invocations(world, _owner(awakeable_id))
        case j.GetPromise(number=number) | j.PeekPromise(number=number) | j.CompletePromise(number=number):
            return _of_promise(world, world.invocations.get(event.subject), number)
        case j.GetState(number=number, result=None):
            return _of_state(world, world.invocations.get(event.subject), number)
        case j.GetStateKeys(numbers=None):
            return _of_state(world, world.invocations.get(event.subject), None)
        case _:
            return _NONE


def _of_closing(world: World, event: CommandSaid) -> list[Need]:
    if not isinstance(event.entry, j.Call | j.Attach):
        return _NONE
    hot = world.invocations.get(event.subject)
    if hot is None or hot.record.epoch != event.epoch:
        return _NONE
    return _invocations(world, closing.needed(world, hot, event.entry))


def _callee(event: CommandSaid) -> list[bytes]:
    """What a call may find existing. A fresh child never exists, so it needs no look-up."""
    entry = event.entry
    if not isinstance(entry, j.Call | j.Send):
        return []
    if entry.idempotency_key:
        return [entry.invocation_id]
    if entry.key is not None and entry.invocation_id == ids.workflow_invocation_id(entry.service, entry.key):
        return [entry.invocation_id]
    return []


def _of_send(world: World, event: CommandSaid) -> list[Need]:
    """A send with the idempotency key of another request ends its sender."""
    entry = event.entry
    if isinstance(entry, j.Send) and entry.idempotency_key and entry.invocation_id in world.invocations:
        return _of_kill(world, event.subject)
    return _NONE


def _owner(awakeable_id: str) -> list[bytes]:
    try:
        return [ids.parse_awakeable_id(awakeable_id)[0]]
    except IdError:
        return []


def _of_promise(world: World, hot: Hot | None, number: int) -> list[Need]:
    if hot is None or hot.record.key is None:
        return _NONE
    key = key_of(hot.record)
    held = world.promises.get(key)
    if held is None:
        return [NeedPromises(key)]
    return _invocations(world, [waiter for waiter, _ in held.promises.waiters.get(number, [])])


def _of_state(world: World, hot: Hot | None, number: int | None) -> list[Need]:
    if hot is None or hot.record.key is None:
        return _NONE
    key = key_of(hot.record)
    view = world.states.get(key)
    return _NONE if view is not None and view.knows(number) else [NeedState(key, number)]
