"""The recorded journal while it is replayed: its commands in order, and comparing one with what the handler asks.

Commands stay bytes until something needs their fields: equal bytes are equal commands. Notifications are read at
once. Two commands are compared by value, field by field; payloads through a comparator that knows the user's
messages. Fields that hold what an earlier attempt saw or when it ran are never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from restate_protocol import journal
from restate_protocol.errors import FrameError
from restate_protocol.journal import Command, Completion, Notification, Result, Signal, Value, Void

from .errors import Difference

#: Compares two payloads of a message class (None: unknown) that are not equal as bytes. Gives None where they are
#: equal as values, else the difference: recorded and attempted, for people.
Comparator: TypeAlias = Callable[[type[Any] | None, bytes, bytes], tuple[str, str] | None]

_SEEN_BY_AN_EARLIER_ATTEMPT = frozenset(
    {
        (journal.Run, "result"),
        (journal.Run, "duration_ms"),
        (journal.Sleep, "wake_at_ms"),
        (journal.GetState, "result"),
        (journal.GetStateKeys, "numbers"),
    }
)
_PAYLOADS = frozenset({(journal.Call, "payload"), (journal.Send, "payload"), (journal.SetState, "value")})
_LONGEST_TEXT = 200

_NOTIFICATION_TAGS = (
    journal.encode(Completion(0, Void()))[:2],
    journal.encode(Signal(1, Void()))[:2],
    journal.encode(journal.Cancelled(0, ""))[:2],
    journal.encode(journal.RunFailed(0, 0, journal.Failure(0, ""), 0, 0))[:2],
    journal.encode(journal.RunDue(0, 0))[:2],
)
_RUN_TAG = journal.encode(journal.Run(""))[:1]


def compare_bytes(cls: type[Any] | None, recorded: bytes, attempted: bytes) -> tuple[str, str] | None:
    """The comparator that knows no messages: other bytes are another value."""
    return None if recorded == attempted else (_short(recorded), _short(attempted))


class Recording:
    """The commands and notifications of a journal, as far as they were received.

    Args:
        length: how many entries were announced.
    """

    __slots__ = ("_at", "_commands", "_missing", "notifications")

    def __init__(self, length: int) -> None:
        self._commands: list[bytes] = []
        self._missing = length
        self._at = 0
        self.notifications: list[Notification] = []

    def add(self, entries: Sequence[bytes]) -> None:
        """Takes more entries, in order.

        Raises:
            FrameError: more than were announced, or not entries.
        """
        self._missing -= len(entries)
        if self._missing < 0:
            raise FrameError("more journal entries than announced")
        for entry in entries:
            if entry[:2] in _NOTIFICATION_TAGS:
                self.notifications.append(read_notification(entry))
            else:
                if entry[:1] == _RUN_TAG:
                    self._note_result(entry)
                self._commands.append(entry)

    def _note_result(self, entry: bytes) -> None:
        """A run that has its result with it counts as completed in this place."""
        run = journal.decode(entry)
        if isinstance(run, journal.Run) and run.result is not None:
            self.notifications.append(Completion(len(self._commands), run.result))

    @property
    def complete(self) -> bool:
        """Whether every announced entry is here."""
        return self._missing == 0

    @property
    def left(self) -> bool:
        """Whether commands remain to be replayed."""
        return self._at < len(self._commands)

    def peek(self) -> bytes:
        """The next command, which stays next."""
        return self._commands[self._at]

    def next(self) -> bytes:
        """The next command, which is done with."""
        command = self._commands[self._at]
        self._at += 1
        return command


def read_notification(entry: bytes) -> Notification:
    """The notification in these bytes.

    Raises:
        FrameError: they are not one.
    """
    decoded = journal.decode(entry)
    if not isinstance(decoded, journal.NOTIFICATIONS):
        raise FrameError(f"{journal.type_name(decoded)} is not a notification")
    return decoded


def read_command(entry: bytes) -> Command:
    """The command in these bytes.

    Raises:
        FrameError: they are not one.
    """
    decoded = journal.decode(entry)
    if isinstance(decoded, journal.NOTIFICATIONS):
        raise FrameError(f"{journal.type_name(decoded)} is not a command")
    return decoded


def difference(recorded: Command, attempted: Command, cls: type[Any] | None, compare: Comparator) -> Difference | None:
    """The first field in which two commands differ as values, or None."""
    kind = type(attempted)
    if type(recorded) is not kind:
        return Difference("command", describe(recorded), describe(attempted))
    for one in fields(kind):
        if (kind, one.name) in _SEEN_BY_AN_EARLIER_ATTEMPT:
            continue
        then, now = getattr(recorded, one.name), getattr(attempted, one.name)
        found = _field_difference(kind, one.name, then, now, cls, compare)
        if found is not None:
            return Difference(one.name, *found)
    return None


def _field_difference(
    kind: type[Command], name: str, then: Any, now: Any, cls: type[Any] | None, compare: Comparator
) -> tuple[str, str] | None:
    if then == now:
        return None
    if (kind, name) in _PAYLOADS:
        return compare(cls, then, now)
    if (kind, name) == (journal.Send, "execute_at_ms"):
        return None if bool(then) == bool(now) else (_delay(then), _delay(now))
    if isinstance(then, Value) and isinstance(now, Value) and then.type == now.type:
        return compare(cls, then.data, now.data)
    return _short(then), _short(now)


def _delay(execute_at_ms: int) -> str:
    return "with a delay" if execute_at_ms else "without a delay"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def describe(command: Command) -> str:
    """A command in a few words: its type, and what it is about."""
    kind = journal.type_name(command)
    match command:
        case journal.Run() | journal.Sleep():
            return f"{kind} {command.name!r}" if command.name else kind
        case journal.Call() | journal.Send():
            return f"{kind} {command.service}/{command.handler}"
        case journal.GetState() | journal.SetState() | journal.ClearState():
            return f"{kind} of field {command.number}"
        case journal.GetPromise() | journal.PeekPromise() | journal.CompletePromise():
            return f"{kind} of field {command.number}"
        case journal.Awakeable():
            return f"{kind} {command.number}"
        case journal.Output():
            return f"{kind} (the end of the handler, {_kind_of(command.result)})"
        case _:
            return kind


def _kind_of(result: Result) -> str:
    match result:
        case journal.Failure():
            return f"failed: {_short(result.message)}"
        case _:
            return "succeeded"


def name_of(command: Command) -> str:
    """What Failed frames name a command: the run's or sleep's name, else the handler called."""
    match command:
        case journal.Run() | journal.Sleep():
            return command.name
        case journal.Call() | journal.Send():
            return f"{command.service}/{command.handler}"
        case _:
            return ""
