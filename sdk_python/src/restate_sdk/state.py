"""Typed state: the fields of a state message as entries of an object or workflow.

An entry is stored under the number of its field, as the state message with only that field. `get` gives a fresh copy;
only `set` writes. Shared handlers have fields that only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.futures import DurableFuture
from restate_protocol.journal import Result, Value
from restate_protocol.status import StatusCode

from . import calls, misuse
from .futures import CommandFuture

if TYPE_CHECKING:
    from .context import Context

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class StateEntry:
    """Declares one state entry.

    Args:
        name: the field's name in the contract.
        number: the field's number.
        attribute: the field's name in Python.
        message: class of the state message.
        default: whether an absent entry reads as the field's default; else it reads as None.
    """

    name: str
    number: int
    attribute: str
    message: type[Any]
    default: bool

    def encode(self, value: object) -> bytes:
        """The stored bytes of a value.

        Raises:
            MisuseError: it is not a value of the field.
        """
        return calls.field_value(f"state {self.name}", self.message, self.attribute, value)

    def read(self, result: Result) -> Any:
        """The value of a read.

        Raises:
            TerminalError: DATA_LOSS, the stored bytes are not the state message.
        """
        if not isinstance(result, Value):
            return codec.field(self.message(), self.attribute) if self.default else None
        try:
            return codec.field(codec.decode(self.message, result.data), self.attribute)
        except ValueError as error:
            raise TerminalError(
                f"state {self.name} does not hold a {codec.full_name(self.message)}: {error}",
                code=StatusCode.DATA_LOSS,
            ) from error


class SharedStateField(Generic[T_co]):
    """A state entry that may be read."""

    __slots__ = ("_context", "_entry")

    def __init__(self, context: Context, entry: StateEntry) -> None:
        self._context = context
        self._entry = entry

    def get(self) -> DurableFuture[T_co]:
        """Reads the entry: the value, the field's default, or None. Journals what was seen."""
        attempt = self._context._attempt
        attempt.check()
        handle = attempt.machine.sys_get_state(self._entry.number)
        attempt.wake()
        return _Read(attempt, handle, self._entry.read, ())

    if not TYPE_CHECKING:  # for type checkers a shared handler has no writes; who does not check types is told here

        def set(self, value: T_co) -> NoReturn:
            """Refuses the write: MisuseError."""
            self._refuse("set")

        def clear(self) -> NoReturn:
            """Refuses the write: MisuseError."""
            self._refuse("clear")

    def _refuse(self, write: str) -> NoReturn:
        attempt = self._context._attempt
        attempt.check()
        attempt.misuse(misuse.shared_write(f"ctx.state.{self._entry.attribute}.{write}"))


class _Read(CommandFuture[T_co]):
    """A read gives a fresh copy each time it is awaited: a handler may change what it got."""

    __slots__ = ()

    def _take(self) -> T_co:
        return self._read(self._attempt.machine.result(self._handle))


class StateField(SharedStateField[T]):
    """A state entry that may be read and written."""

    __slots__ = ()

    def set(self, value: T) -> None:
        """Writes the entry, journaled. None clears it.

        Raises:
            MisuseError: the value does not fit the field.
            TerminalError: RESOURCE_EXHAUSTED, the value is too long.
        """
        if value is None:
            self.clear()
            return
        attempt, entry = self._context._attempt, self._entry
        attempt.check()
        attempt.machine.sys_set_state(entry.number, entry.encode(value), entry.message)
        attempt.wake()

    def clear(self) -> None:
        """Removes the entry, journaled."""
        attempt = self._context._attempt
        attempt.check()
        attempt.machine.sys_clear_state(self._entry.number)
        attempt.wake()


class SharedStateFields:
    """Base of generated state classes of shared handlers: one property for each entry, to read."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def _field(self, entry: StateEntry) -> SharedStateField[Any]:
        return SharedStateField(self._context, entry)


class StateFields:
    """Base of generated state classes of exclusive handlers: one property for each entry, to read and write."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def _field(self, entry: StateEntry) -> StateField[Any]:
        return StateField(self._context, entry)
