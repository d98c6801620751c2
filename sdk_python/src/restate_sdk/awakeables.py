"""Values from outside the handler: awakeables, which have an id, and signals, which have a name."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar, overload

from restate_protocol import ids
from restate_protocol.futures import DurableFuture
from restate_protocol.journal import Failure, Result
from restate_protocol.status import StatusCode

from . import calls, values
from .attempt import Attempt
from .futures import CommandFuture
from .serde import Serde, checked

T = TypeVar("T")


class Awakeable(CommandFuture[T]):
    """A value that somebody outside gives, by its id. Await it for the value."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """awk_…: whoever has it can resolve or reject the awakeable."""
        assert isinstance(self._handle, int)
        return self._attempt.machine.awakeable_id(self._handle)


class AwakeableOperations:
    """What a context does with awakeables and signals."""

    __slots__ = ()

    _attempt: Attempt

    @overload
    def awakeable(self, type: type[T], /) -> Awakeable[T]: ...

    @overload
    def awakeable(self, /, *, serde: Serde[T]) -> Awakeable[T]: ...

    def awakeable(self, type: Any = None, /, *, serde: Serde[Any] | None = None) -> Awakeable[Any]:
        """A value to come from outside: pass its `.id` to whoever will resolve it, then await it. Journaled.

        Args:
            type: type of the value: any that the result of a run may have.
            serde: reads the value instead.

        Raises:
            TypeError: the serde is none.
        """
        tag = values.tag_of(type) if serde is None else checked(serde, "an awakeable").tag
        self._attempt.check()
        handle = self._attempt.machine.sys_awakeable(tag)
        self._attempt.wake()
        return Awakeable(self._attempt, handle, partial(calls.read_given, "the awakeable", type, serde))

    def resolve_awakeable(self, awakeable_id: str, value: Any, *, serde: Serde[Any] | None = None) -> None:
        """Gives an awakeable of some invocation its value. Journaled.

        Args:
            awakeable_id: awk_….
            value: a message, bytes, what JSON holds, a dataclass, a pydantic model, or what its serde writes.
            serde: writes the value.

        Raises:
            IdError: it is not an awakeable's id.
            MisuseError: the value can be none of these.
        """
        ids.parse_awakeable_id(awakeable_id)
        written, message = calls.given_value(value, f"awakeable {awakeable_id}", serde)
        self._complete_awakeable(awakeable_id, written, message)

    def reject_awakeable(self, awakeable_id: str, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> None:
        """Fails an awakeable of some invocation: who awaits it gets a TerminalError. Journaled.

        Args:
            awakeable_id: awk_….
            message: what happened, for people.
            code: the status code of the error.

        Raises:
            IdError: it is not an awakeable's id.
        """
        ids.parse_awakeable_id(awakeable_id)
        self._complete_awakeable(awakeable_id, Failure(code, message), None)

    def _complete_awakeable(self, awakeable_id: str, result: Result, message: type[Any] | None) -> None:
        self._attempt.check()
        self._attempt.machine.sys_complete_awakeable(awakeable_id, result, message)
        self._attempt.wake()

    @overload
    def signal(self, name: str, type: type[T], /) -> DurableFuture[T]: ...

    @overload
    def signal(self, name: str, /, *, serde: Serde[T]) -> DurableFuture[T]: ...

    def signal(self, name: str, type: Any = None, /, *, serde: Serde[Any] | None = None) -> DurableFuture[Any]:
        """The next value that somebody gives this invocation under a name. Asking for it journals nothing.

        The first such future gets the first signal of the name, the second the second, and so on, whether they came
        before or after. Somebody is a handler, with `ctx.invocation(id).signal(...)`, or a client.

        Args:
            name: not empty, and not beginning with `restate.`.
            type: type of the value: any that the result of a run may have.
            serde: reads the value instead.

        Raises:
            ValueError: the name is empty or the runtime's own.
            TypeError: the serde is none.
            TerminalError: when awaited: the signal was given as a failure, or is no such value.
        """
        calls.check_signal_name(name)
        if serde is not None:
            checked(serde, f"signal {name!r}")
        self._attempt.check()
        handle = self._attempt.machine.sys_signal(name)
        return CommandFuture(self._attempt, handle, partial(calls.read_given, f"signal {name!r}", type, serde))
