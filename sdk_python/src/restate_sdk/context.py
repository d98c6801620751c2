"""What a handler gets: every durable operation, and what is known about the invocation.

Each operation is a command in the journal and gives a DurableFuture at once; awaiting only waits. Operations that
journal nothing say so. A context belongs to the handler's own task: other tasks, threads and run functions get a
MisuseError.
"""

from __future__ import annotations

import json
import logging
import random
import uuid
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, TypeVarTuple, cast, overload

from restate_protocol import ids
from restate_protocol.futures import DurableFuture
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.journal import JSON, Result, Value
from restate_protocol.services import HandlerDescriptor, ServiceDescriptor

from . import calls, misuse, values
from .attempt import Attempt
from .awakeables import AwakeableOperations
from .chance import HandlerRandom
from .futures import CommandFuture
from .invocations import InvocationOperations
from .retry import RetryPolicy
from .runs import NO_OPTIONS, RunFuture, RunOptions, checked_options
from .serde import Serde

T = TypeVar("T")
Res = TypeVar("Res")
K_co = TypeVar("K_co", covariant=True)
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Request:
    """What came with the invocation.

    Args:
        body: the request message's bytes, as journaled.
        headers: metadata of the caller; bytes where the name ends in `-bin`. Read only.
    """

    body: bytes
    headers: Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class About:
    """What is known about an invocation before its handler runs."""

    service: ServiceDescriptor
    handler: HandlerDescriptor[Any, Any]
    key: str | None
    random_seed: int
    now_ms: Callable[[], int]
    state_names: Callable[[], Mapping[int, str]]


class Context(InvocationOperations, AwakeableOperations):
    """The context of a plain service's handler, and the base of the others."""

    __slots__ = ("_about", "_attempt", "_log", "_random", "_request")

    def __init__(self, attempt: Attempt, about: About) -> None:
        self._attempt = attempt
        self._about = about
        self._random: random.Random | None = None
        self._request: Request | None = None
        self._log: HandlerLog | None = None

    def __repr__(self) -> str:
        about = self._about
        return f"<{type(self).__name__} of {about.service.name}/{about.handler.name} {self.invocation_id}>"

    # About the invocation

    @property
    def invocation_id(self) -> str:
        """inv_… of this invocation, the same in every attempt."""
        return ids.invocation_id_text(self._attempt.machine.invocation_id)

    @property
    def request(self) -> Request:
        """The request's bytes and headers."""
        if self._request is None:
            machine = self._attempt.machine
            headers = {name: calls.header_value(name, value) for name, value in machine.headers}
            self._request = Request(machine.payload, MappingProxyType(headers))
        return self._request

    @property
    def log(self) -> HandlerLog:
        """A logger that is silent while the handler replays what it did before."""
        if self._log is None:
            self._log = HandlerLog(self._attempt, self._about, self.invocation_id)
        return self._log

    # Chance and time

    @property
    def random(self) -> random.Random:
        """Random numbers, the same in every attempt. Journals nothing. Not for secrets.

        Raises:
            MisuseError: in the function of a run, a thread or a task that is not the handler's, also when drawn from
                through a reference: a replay would not draw there again, and all later numbers would differ.
        """
        self._attempt.check()
        if self._random is None:
            self._random = HandlerRandom.of(self._attempt, self._about.random_seed)
        return self._random

    def uuid(self) -> uuid.UUID:
        """A version 4 UUID, the same in every attempt. Journals nothing. Raises what `random` raises."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    def now(self) -> DurableFuture[datetime]:
        """The time, in UTC and to the millisecond, at which this was first asked. Journaled as a run."""
        attempt = self._attempt
        attempt.check()
        machine = attempt.machine
        handle = machine.sys_run("now")
        if not machine.has_result(handle):
            at = datetime.fromtimestamp(self._about.now_ms() / 1000, UTC)
            machine.propose(handle, Value(json.dumps(at.isoformat()).encode(), JSON))
        attempt.wake()
        return CommandFuture(attempt, handle, _read_time)

    def sleep(self, delay: timedelta, *, name: str = "") -> DurableFuture[None]:
        """A durable timer; it costs no memory while the invocation is suspended. Journaled.

        Args:
            delay: how long from now, when first asked; later attempts keep that time.
            name: shown in the journal and the trace.

        Raises:
            ValueError: the delay is negative.
            TypeError: it is no timedelta.
        """
        if not isinstance(delay, timedelta):
            raise TypeError(f"a sleep takes a timedelta, such as timedelta(seconds=5), not {delay!r}")
        if delay < timedelta():
            raise ValueError(f"a sleep cannot be negative: {delay.total_seconds():g} s")
        self._attempt.check()
        handle = self._attempt.machine.sys_sleep(self._attempt.due_ms(delay), name)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, _nothing, ())

    # Steps

    @overload
    def run(
        self,
        name: str,
        function: Callable[[*Ts], Coroutine[Any, Any, T]],
        /,
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        returns: type[T] | None = None,
        serde: Serde[T] | None = None,
    ) -> DurableFuture[T]: ...

    @overload
    def run(
        self,
        name: str,
        function: Callable[[*Ts], T],
        /,
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        returns: type[T] | None = None,
        serde: Serde[T] | None = None,
    ) -> DurableFuture[T]: ...

    def run(
        self,
        name: str,
        function: Callable[[*Ts], Any],
        /,
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        returns: type[Any] | None = None,
        serde: Serde[Any] | None = None,
    ) -> DurableFuture[Any]:
        """Executes a function once for the journal: its result is journaled, and later attempts take it from there.

        The function may execute again when it failed or its attempt ended before the result was committed: make it
        idempotent. It begins at once, in the handler's task or beside it; a plain function executes in a thread.

        Args:
            name: shown in the journal and the trace; it may not change while invocations are under way.
            function: a coroutine function or a plain one. For keyword arguments use functools.partial or a lambda.
            args: its positional arguments.
            retry: how it is retried when it raises; each failure is journaled. Default: the attempt fails, and the
                handler's policy decides. Exhausted, the run fails with a TerminalError.
            timeout: how long each try may take, then it fails with TimeoutError. A coroutine function is cancelled; a
                plain one goes on in its thread, and nobody looks at what it returns. Default: no limit.
            returns: type of the result, where the function's annotation does not name it. Results are messages,
                bytes, what JSON holds, dataclasses, named tuples, typed dicts, enums, dates, decimals, UUIDs, pydantic
                models, and lists, tuples, sets, dicts and unions of them.
            serde: writes and reads the result instead, whatever its type.

        Raises:
            TerminalError: when awaited: the function raised one, its retries were exhausted, or its result cannot be
                journaled.
            TypeError: no name, no function, a timeout that is no timedelta, a serde that is none, or both returns
                and serde.
            ValueError: the timeout is not longer than nothing.
        """
        if not isinstance(name, str) or not callable(function):
            raise _no_step(name, function)
        options = NO_OPTIONS
        if retry is not None or timeout is not None or returns is not None or serde is not None:
            options = checked_options(name, RunOptions(retry, timeout, returns, serde))
        attempt = self._attempt
        attempt.check()
        future: RunFuture[Any] = RunFuture(attempt, name, (function, args), options)
        attempt.wake()
        return future


class KeyedContext(Context, Generic[K_co]):
    """What contexts of objects and workflows share."""

    __slots__ = ()

    @property
    def key(self) -> K_co:
        """The object's or workflow's key, in the type the contract gives it."""
        key = self._about.key or ""
        return cast("K_co", int(key) if self._about.service.key_type is int else key)

    def state_keys(self) -> DurableFuture[list[str]]:
        """Names of the state entries there are, in the order of the field numbers. Journals what was seen."""
        self._attempt.check()
        handle = self._attempt.machine.sys_state_keys()
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, partial(_read_keys, self._about.state_names), ())

    if not TYPE_CHECKING:  # for type checkers a shared handler has no writes; who does not check types is told here

        def clear_state(self) -> NoReturn:
            """Refuses the write: MisuseError."""
            self._attempt.check()
            self._attempt.misuse(misuse.shared_write("ctx.clear_state"))

    def _clear_state(self) -> None:
        self._attempt.check()
        self._attempt.machine.sys_clear_all_state()
        self._attempt.wake()


class ObjectSharedContext(KeyedContext[K_co]):
    """The context of an object's shared handlers: they read state and never write it."""

    __slots__ = ()


class ObjectContext(ObjectSharedContext[K_co]):
    """The context of an object's exclusive handlers: one at a time for each key."""

    __slots__ = ()

    def clear_state(self) -> None:
        """Removes every state entry of this key. Journaled."""
        self._clear_state()


class WorkflowSharedContext(KeyedContext[K_co]):
    """The context of a workflow's other handlers: they read state and complete promises."""

    __slots__ = ()


class WorkflowContext(WorkflowSharedContext[K_co]):
    """The context of a workflow's run: once for each key."""

    __slots__ = ()

    def clear_state(self) -> None:
        """Removes every state entry of this key. Journaled."""
        self._clear_state()


class HandlerLog(logging.LoggerAdapter[logging.Logger]):
    """Logger `restate.<service>`; silent on replay, each record with `invocation_id` and `handler`."""

    def __init__(self, attempt: Attempt, about: About, invocation_id: str) -> None:
        extra = {"invocation_id": invocation_id, "handler": f"{about.service.name}/{about.handler.name}"}
        super().__init__(logging.getLogger(f"restate.{about.service.name}"), extra)
        self._attempt = attempt

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Whether a record of this level would be logged now."""
        return not self._attempt.machine.replaying and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Keeps the caller's own `extra` beside ours."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def _no_step(name: object, function: object) -> TypeError:
    """What is wrong with the arguments of a run. A coroutine is closed, lest Python warns about it."""
    if not isinstance(name, str):
        return TypeError(f"a run begins with its name: ctx.run('charge card', charge, card), not {name!r}")
    if isinstance(function, Coroutine):
        function.close()
        return TypeError(f"run {name!r} takes a function and its arguments: charge, card instead of charge(card)")
    return TypeError(f"run {name!r} takes a function, not a {type(function).__name__}")


def _nothing(_: Result) -> None:
    return None


def _read_time(result: Result) -> datetime:
    return datetime.fromisoformat(values.read(result, str, "the recorded time"))


def _read_keys(names: Callable[[], Mapping[int, str]], result: Result) -> list[str]:
    data = result.data if isinstance(result, Value) else b""
    known = names()
    return [known.get(number, str(number)) for number in journal_pb.StateKeys.from_binary(data).numbers]
