"""What a trace shows of a command: its name, its kind, its details, and whether it is over at once.

Each function looks at one command alone; what came back for it is the business of `spans`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from restate_protocol import journal
from restate_protocol.ids import awakeable_id_text, invocation_id_text
from restate_protocol.journal import Command

from .span import Attributes, SpanKind
from .trace_context import Link, derived_trace_id, invocation_span_id

FieldName: TypeAlias = Callable[[Command], str | None]


def began_ms(at_ms: int, command: Command) -> int:
    """When a step began: a run that came with its result began before it was recorded."""
    return at_ms - command.duration_ms if isinstance(command, journal.Run) and command.result is not None else at_ms


_KINDS: dict[type, SpanKind] = {
    journal.Call: SpanKind.CLIENT,
    journal.Attach: SpanKind.CLIENT,
    journal.Send: SpanKind.PRODUCER,
    journal.SendSignal: SpanKind.PRODUCER,
}


def kind(command: Command) -> SpanKind:
    """What OpenTelemetry calls the kind of its span."""
    return _KINDS.get(type(command), SpanKind.INTERNAL)


def is_instant(command: Command) -> bool:
    """Whether the command is all there is: no notification follows."""
    match command:
        case journal.GetState():
            return command.result is not None
        case journal.GetStateKeys():
            return command.numbers is not None
        case journal.Awakeable():
            return False
        case _:
            return not isinstance(command, journal.COMPLETABLE)


def command_name(command: Command, field_name: FieldName | None = None) -> str:
    """What the command is about, for people: the name of the run, the callee, the state entry, …"""
    match command:
        case journal.Run() | journal.Sleep() | journal.SendSignal():
            return command.name
        case journal.Call() | journal.Send():
            return f"{command.service}/{command.handler}"
        case (
            journal.GetState()
            | journal.SetState()
            | journal.ClearState()
            | journal.GetPromise()
            | journal.PeekPromise()
            | journal.CompletePromise()
        ):
            return (field_name(command) if field_name else None) or str(command.number)
        case journal.Awakeable():
            return str(command.number)
        case _:
            return ""


def details(invocation_id: bytes, command: Command) -> Attributes:
    """Attributes that commands of its type have."""
    match command:
        case journal.Call() | journal.Send() | journal.Attach() | journal.Cancel() | journal.SendSignal():
            return {"restate.journal.command.invocation.id": invocation_id_text(command.invocation_id)}
        case journal.Sleep():
            return {"restate.journal.command.wake_at_ms": command.wake_at_ms}
        case journal.Awakeable():
            return {"restate.awakeable.id": awakeable_id_text(invocation_id, command.number)}
        case journal.CompleteAwakeable():
            return {"restate.awakeable.id": command.awakeable_id}
        case _:
            return {}


def links(command: Command) -> tuple[Link, ...]:
    """A send links to the trace that it begins; a call needs no link, the callee is its child."""
    if not isinstance(command, journal.Send):
        return ()
    return (Link(derived_trace_id(command.invocation_id), invocation_span_id(command.invocation_id)),)
