"""The recorded journal while it is replayed: its commands in order, and comparing one with what the handler asks.

Commands stay bytes until something needs their fields: equal bytes are equal commands. Notifications are read at
once. Two commands are compared by value, field by field; payloads through a comparator that knows the user's
messages. Fields that hold what an earlier attempt saw or when it ran are never compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from typing import Any, TypeAlias, get_args

from restate_protocol import ids, journal
from restate_protocol.errors import FrameError
from restate_protocol.journal import Command, Completion, Notification, Result, RunDue, RunFailed, Signal, Value, Void

from .awaiting import Handle
from .mismatch import Row, Unfinished

#: Compares two payloads of a message class (None: unknown) that are not equal as bytes. Gives the parts in which they
#: differ as values: path, recorded and attempted, for people; an empty path is the whole.
Comparator: TypeAlias = Callable[[type[Any] | None, bytes, bytes], Sequence[tuple[str, str, str]]]

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
# Without a result these cannot be taken over by a restart: only the invocation that made them can get it.
_OWN_RESULTS = (journal.Call, journal.Attach, journal.GetPromise, journal.Awakeable)
_LONGEST_TEXT = 200

_NOTIFICATION_TAGS = (
    journal.encode(Completion(0, Void()))[:2],
    journal.encode(Signal(1, Void()))[:2],
    journal.encode(journal.Cancelled(0, ""))[:2],
    journal.encode(journal.RunFailed(0, 0, journal.Failure(0, ""), 0, 0))[:2],
    journal.encode(journal.RunDue(0, 0))[:2],
)
_RUN_TAG = journal.encode(journal.Run(""))[:1]


def compare_bytes(cls: type[Any] | None, recorded: bytes, attempted: bytes) -> Sequence[tuple[str, str, str]]:
    """The comparator that knows no messages: other bytes are another value."""
    return () if recorded == attempted else (("", _short(recorded), _short(attempted)),)


class Recording:
    """The commands and notifications of a journal, as far as they were received.

    Args:
        length: how many entries were announced.
    """

    __slots__ = ("_at", "_commands", "_missing", "_notified", "left", "notifications")

    def __init__(self, length: int) -> None:
        self._commands: list[bytes] = []
        self._missing = length
        self._at = 0
        self.left = False  # whether commands remain to be replayed; asked by each operation
        self._notified: list[int] = []  # how many commands come before each entry that is a notification
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
                self._notified.append(len(self._commands))
            else:
                if entry[:1] == _RUN_TAG:
                    self._note_result(entry)
                self._commands.append(entry)
        self.left = self._at < len(self._commands)

    def _note_result(self, entry: bytes) -> None:
        """A run that has its result with it counts as completed in this place."""
        run = journal.decode(entry)
        if isinstance(run, journal.Run) and run.result is not None:
            self.notifications.append(Completion(len(self._commands), run.result))

    @property
    def complete(self) -> bool:
        """Whether every announced entry is here."""
        return self._missing == 0

    def entries_before(self, command: int) -> int:
        """How many entries come before a command."""
        return command + bisect_right(self._notified, command)

    def results_between(self, begin: int, end: int) -> list[str]:
        """Results and cancellations of the journal by their places, for people."""
        results = [one for one in self.notifications if not isinstance(one, RunFailed | RunDue)]
        return [self._result_of(one) for one in results[begin:end]]

    def _result_of(self, notification: Notification) -> str:
        match notification:
            case Completion(command=command):
                return f"command {command}, {describe(read_command(self._commands[command]))}"
            case Signal(target=int() as number):
                return f"awakeable {number}"
            case Signal(target=name):
                return f"signal {name!r}"
            case _:
                return "a cancellation"

    def unfinished_before(self, command: int, results: AbstractSet[Handle]) -> Unfinished | None:
        """The first command before another that a restart cannot take over, given what has a result."""
        for number, data in enumerate(self._commands[:command]):
            then = read_command(data)
            handle = -then.number if isinstance(then, journal.Awakeable) else number
            if isinstance(then, _OWN_RESULTS) and handle not in results:
                return Unfinished(self.entries_before(number), describe(then))
        return None

    def peek(self) -> bytes:
        """The next command, which stays next."""
        return self._commands[self._at]

    def next(self) -> bytes:
        """The next command, which is done with."""
        command = self._commands[self._at]
        self._at += 1
        self.left = self._at < len(self._commands)
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


def side_by_side(recorded: Command, attempted: Command, cls: type[Any] | None, compare: Comparator) -> tuple[Row, ...]:
    """Two commands, field by field."""
    kind = type(attempted)
    if type(recorded) is kind:
        return tuple(row for name in _COMPARED[kind] for row in _rows(recorded, attempted, name, cls, compare))
    types = Row("command", journal.type_name(recorded), journal.type_name(attempted))
    then, now = _told(recorded), _told(attempted)
    names = dict.fromkeys([*then, *now])
    return (types, *(Row(name, then.get(name), now.get(name), differs=False) for name in names))


def differs(recorded: Command, attempted: Command, cls: type[Any] | None, compare: Comparator) -> bool:
    """Whether two commands are different ones, as values."""
    kind = type(attempted)
    if type(recorded) is not kind:
        return True
    if isinstance(recorded, journal.Run) and isinstance(attempted, journal.Run):  # each replayed step comes here
        return recorded.name != attempted.name
    return any(row.differs for name in _COMPARED[kind] for row in _rows(recorded, attempted, name, cls, compare))


_COMPARED: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind) if (kind, one.name) not in _SEEN_BY_AN_EARLIER_ATTEMPT)
    for kind in get_args(Command)
}


def _told(command: Command) -> dict[str, str]:
    """The fields of a command that say something."""
    values = ((name, getattr(command, name)) for name in _COMPARED[type(command)])
    return {name: _field_text(name, value) for name, value in values if value not in (None, "", (), 0)}


def _rows(recorded: Command, attempted: Command, name: str, cls: type[Any] | None, compare: Comparator) -> list[Row]:
    """A field of two commands of one type; a message in the fields in which it differs."""
    kind, then, now = type(attempted), getattr(recorded, name), getattr(attempted, name)
    payload = _as_payload(kind, name, then, now)
    if payload is not None and then != now:
        return [Row(f"{name}.{path}" if path else name, a, b) for path, a, b in compare(cls, *payload)]
    if (kind, name) == (journal.Send, "execute_at_ms"):
        return [Row("delay", _delay(then), _delay(now), differs=bool(then) != bool(now))] if then or now else []
    if then == now and then in (None, "", ()):
        return []
    return [Row(name, _field_text(name, then), _field_text(name, now), differs=then != now)]


def _as_payload(kind: type[Command], name: str, then: Any, now: Any) -> tuple[bytes, bytes] | None:
    """Both sides as bytes of one type, where the field holds such."""
    if (kind, name) in _PAYLOADS:
        return then, now
    if isinstance(then, Value) and isinstance(now, Value) and then.type == now.type:
        return then.data, now.data
    return None


def _field_text(name: str, value: Any) -> str:
    match value:
        case bytes() if name == "invocation_id":
            return ids.invocation_id_text(value) if len(value) == ids.INVOCATION_ID_BYTES else value.hex()
        case bytes():
            return f"{len(value)} bytes"
        case Value():
            return f"{len(value.data)} bytes of {value.type}" if value.type else f"{len(value.data)} bytes"
        case journal.Failure():
            return f"failure {value.code}: {_short(value.message)}"
        case Void():
            return "void"
        case str() if value.isprintable():
            return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
        case str():
            return _short(value)
        case None:
            return "none"
        case tuple():
            return _field_text(name, ", ".join(f"{key}: {one.decode(errors='replace')}" for key, one in value))
        case _:
            return str(value)


def _delay(execute_at_ms: int) -> str:
    return "with" if execute_at_ms else "without"


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
