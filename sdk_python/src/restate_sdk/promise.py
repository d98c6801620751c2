"""Durable promises of a workflow: the fields of its promises message, each completed once for each key.

The run handler awaits them, the others complete or peek at them. A promise's value travels as the promises message
with only that field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.futures import DurableFuture
from restate_protocol.journal import Failure, Result, Value
from restate_protocol.status import StatusCode

from . import calls
from .failures import error_of, known_errors
from .futures import CommandFuture, Waitable
from .vm.awaiting import Tree

if TYPE_CHECKING:
    from .context import Context

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PromiseEntry:
    """Declares one promise.

    Args:
        name: the field's name in the contract.
        number: the field's number.
        attribute: the field's name in Python.
        message: class of the promises message.
    """

    name: str
    number: int
    attribute: str
    message: type[Any]

    def read(self, result: Result) -> Any:
        """The value of a completed promise; None of one that is open.

        Raises:
            TerminalError: INVALID_ARGUMENT, it was completed with something else.
        """
        if not isinstance(result, Value):
            return None
        try:
            return codec.field(codec.decode(self.message, result.data), self.attribute)
        except ValueError as error:
            raise TerminalError(
                f"promise {self.name} was not completed with a {codec.full_name(self.message)}: {error}",
                code=StatusCode.INVALID_ARGUMENT,
            ) from error


class PromiseField(Waitable[T]):
    """One promise. Await it for its value; that is journaled once for each PromiseField, when first awaited."""

    __slots__ = ("_entry", "_handle")

    def __init__(self, context: Context, entry: PromiseEntry) -> None:
        super().__init__(context._attempt)
        self._entry = entry
        self._handle: int | None = None

    def _tree(self) -> Tree:
        if self._handle is None:
            self._handle = self._attempt.machine.sys_get_promise(self._entry.number)
            self._attempt.wake()
        return self._handle

    def _take(self) -> T:
        assert self._handle is not None
        result = self._attempt.machine.result(self._handle)
        if isinstance(result, Failure):
            raise error_of(result, known_errors())
        value: T = self._entry.read(result)
        return value

    def resolve(self, value: T) -> DurableFuture[None]:
        """Completes the promise with a value. Journaled.

        Raises:
            MisuseError: the value does not fit the promise.
            TerminalError: when awaited: FAILED_PRECONDITION, it was completed before.
        """
        entry = self._entry
        data = calls.field_value(f"promise {entry.name}", entry.message, entry.attribute, value)
        return self._complete(Value(data))

    def reject(self, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> DurableFuture[None]:
        """Completes the promise with an error: whoever awaits it gets a TerminalError. Journaled.

        Raises:
            TerminalError: when awaited: FAILED_PRECONDITION, it was completed before.
        """
        return self._complete(Failure(code, message))

    def peek(self) -> DurableFuture[T | None]:
        """Its value if it is completed, else None, without waiting for it. Journaled.

        Raises:
            TerminalError: when awaited: the promise was rejected.
        """
        self._attempt.check()
        handle = self._attempt.machine.sys_peek_promise(self._entry.number)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, self._entry.read)

    def _complete(self, result: Result) -> DurableFuture[None]:
        self._attempt.check()
        handle = self._attempt.machine.sys_complete_promise(self._entry.number, result, self._entry.message)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, _nothing, ())


def _nothing(_: Result) -> None:
    return None


class PromiseFields:
    """Base of generated promise classes: one property for each promise."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def _field(self, entry: PromiseEntry) -> PromiseField[Any]:
        return PromiseField(self._context, entry)
