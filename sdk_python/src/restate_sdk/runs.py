"""`ctx.run`: executing a function once for the journal, and reading its recorded result.

A function that is awaited at once executes in the handler's own task; otherwise it begins at the loop's next turn, in
a task of its own. Plain functions execute in a thread. A result that the journal has is never computed again. What
the journal gives back must be of the kind that the code expects, else it is a mismatch.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable
from time import perf_counter
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.journal import BYTES, JSON, Failure, Result, Value
from restate_protocol.status import StatusCode

from . import values
from .attempt import Attempt
from .failures import error_of, failure_of, known_errors
from .futures import Waitable
from .retry import RetryPolicy, Tries
from .vm.awaiting import Tree
from .vm.commands import too_long

T_co = TypeVar("T_co", covariant=True)

_OPEN: Any = object()
_UNKNOWN: Any = object()


class RunFuture(Waitable[T_co]):
    """The result of a run.

    Args:
        attempt: whose it is.
        name: the step's name.
        function: the function and its arguments.
        retry: how it is retried in place; None: the attempt fails with it.
        returns: the class of the result, where the function's annotation does not say it.
    """

    __slots__ = ("_args", "_began", "_function", "_handle", "_name", "_retry", "_returns", "_value")

    def __init__(
        self,
        attempt: Attempt,
        name: str,
        function: tuple[Callable[..., Any], tuple[Any, ...]],
        retry: RetryPolicy | None,
        returns: type[Any] | None,
    ) -> None:
        self._attempt = attempt
        self._name = name
        self._function, self._args = function
        self._retry = retry
        self._returns = returns
        self._value: Any = _OPEN
        self._handle = attempt.machine.sys_run(name)
        self._began = attempt.machine.has_result(self._handle) or not attempt.executes
        if not self._began:
            attempt.add_run(self)

    def __await__(self) -> Generator[Any, Any, T_co]:
        attempt = self._attempt
        attempt.check()
        if not self._began:
            yield from self._execute_here()
        if not attempt.machine.poll(self._handle):
            yield from attempt.wait(self._handle)
        return self._take()

    def _tree(self) -> Tree:
        return self._handle

    def _take(self) -> T_co:
        result = self._attempt.machine.result(self._handle)
        if isinstance(result, Failure):
            raise error_of(result, known_errors())
        if self._value is _OPEN:
            self._value = self._recorded(result)
        value: T_co = self._value
        return value

    # Executing

    def start(self) -> None:
        """Executes in a task of its own, unless it executes already."""
        if self._began:
            return
        self._began = True
        task = self._attempt.loop.create_task(self._execute())
        self._attempt.run_tasks.add(task)
        task.add_done_callback(self._attempt.run_tasks.discard)

    def _execute_here(self) -> Generator[Any, Any, None]:
        self._attempt.machine.check_open()
        self._began = True
        self._attempt.enter_run()
        try:
            yield from self._execute().__await__()
        finally:
            self._attempt.leave_run()

    async def _execute(self) -> None:
        began = perf_counter()
        try:
            result = await self._outcome()
        except TerminalError as error:
            result = failure_of(error)
        except asyncio.CancelledError as error:
            self._cancelled(error)
            return
        except Exception as error:
            self._attempt.run_failed(self._handle, self._name, error)
            return
        # A plain function executes in a thread: its command is recorded by itself, and shows at once.
        took = int((perf_counter() - began) * 1000) if is_coroutine_function(self._function) else None
        self._attempt.run_ended(self._handle, result, took)

    def _cancelled(self, error: asyncio.CancelledError) -> None:
        """Cancelled with the attempt, by a timeout around the await, or by something inside the function."""
        if self._attempt.machine.over:
            raise error
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self._attempt.cancelled_inside()
        self._attempt.run_failed(self._handle, self._name, error)

    async def _outcome(self) -> Result:
        if self._retry is None:
            return self._written(await self._call())
        tries = Tries(self._retry, self._attempt.loop.time())
        while True:
            try:
                return self._written(await self._call())
            except TerminalError:
                raise
            except Exception as error:
                wait = tries.failed(self._attempt.loop.time())
                if wait is None:
                    raise self._exhausted(tries.count, error) from error
            await asyncio.sleep(wait)

    async def _call(self) -> Any:
        function, args = self._function, self._args
        if is_coroutine_function(function):
            return await function(*args)
        call = functools.partial(contextvars.copy_context().run, function, *args)
        value = await self._attempt.loop.run_in_executor(self._attempt.executor, call)
        return await value if inspect.isawaitable(value) else value

    def _exhausted(self, tries: int, error: Exception) -> TerminalError:
        times = "once" if tries == 1 else f"{tries} times"
        return TerminalError(
            f"run {self._name!r} failed {times}, and its retry policy allows no more: {type(error).__name__}: {error}",
            code=StatusCode.UNKNOWN,
        )

    # The result, to and from the journal

    def _written(self, value: Any) -> Value:
        try:
            written, back = values.encode(value)
            self._check_type(written.type)
        except values.Unwritable as error:
            raise TerminalError(
                f"the result of run {self._name!r} cannot be journaled: {error}", code=StatusCode.INTERNAL
            ) from error
        limit = self._attempt.machine.max_value_bytes
        if len(written.data) > limit:
            raise too_long(f"the result of run {self._name!r}", len(written.data), limit)
        self._value = back
        return written

    def _check_type(self, written: str) -> None:
        """What is written must be what a later attempt expects."""
        expected = expected_types(self._function, self._returns)
        if expected is None and written not in (JSON, BYTES):
            raise values.Unwritable(
                f"it is a {written}, and nothing says how to read it back: annotate the function's return type or"
                " pass returns="
            )
        if expected is not None and written not in expected:
            raise values.Unwritable(f"it is a {written}, and the function says that it returns {_either(expected)}")

    def _recorded(self, result: Result) -> Any:
        if not isinstance(result, Value):
            return None
        expected = expected_types(self._function, self._returns)
        if expected is None:
            if result.type in (JSON, BYTES):
                return values.read(result, None, f"the result of run {self._name!r}")
            self._mismatch(result.type, "nothing that says how to read it (no annotation, no returns=)")
        if result.type not in expected:
            self._mismatch(result.type, _either(expected))
        return values.read(result, expected[result.type], f"the result of run {self._name!r}")

    def _mismatch(self, recorded: str, expected: str) -> NoReturn:
        self._attempt.machine.result_mismatch(self._handle, self._name, recorded, expected)


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; plain code objects are looked at first because steps are many."""
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & inspect.CO_COROUTINE:
        return True
    if code is not None:
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _plain(function: Callable[..., Any]) -> Any:
    """The function under partials and bound methods; an object's __call__ where it is an object."""
    if type(function) is types.FunctionType:
        return function
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    found = getattr(found, "__func__", found)
    if hasattr(found, "__annotations__") and not isinstance(found, type):
        return found
    return found if isinstance(found, type) else type(found).__call__


def expected_types(function: Callable[..., Any], returns: type[Any] | None) -> dict[str, type[Any]] | None:
    """Tags that a result may have, each with its class; None where nothing is said."""
    annotation: Any = returns if returns is not None else _annotation(function)
    try:
        return _expected_of(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return _expected_of.__wrapped__(annotation)


@functools.lru_cache(maxsize=1024)
def _expected_of(annotation: Hashable) -> dict[str, type[Any]] | None:
    if annotation is _UNKNOWN:
        return None
    found: dict[str, type[Any]] = {}
    for one in _members(annotation):
        if one is None or one is type(None):
            found[JSON] = type(None)
        elif one is Any or one is object or isinstance(one, TypeVar):
            return None
        elif isinstance(one, type) and (one is bytes or codec.is_message(one)):
            found[values.tag_of(one)] = one
        else:
            found[JSON] = dict
    return found


def _either(expected: dict[str, type[Any]]) -> str:
    return " or ".join(sorted(expected))


def _members(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin in (Awaitable, Coroutine):
        return _members(get_args(annotation)[-1])
    if origin in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _annotation(function: Callable[..., Any]) -> Any:
    plain = _plain(function)
    if isinstance(plain, type):
        return plain
    annotation = getattr(plain, "__annotations__", {}).get("return", _UNKNOWN)
    return _evaluated(plain, annotation) if isinstance(annotation, str) else annotation


#: Annotations left as text by `from __future__ import annotations`, by the identity of their module's names.
_evaluated_texts: dict[tuple[int, str], Any] = {}


def _evaluated(function: Any, text: str) -> Any:
    """What an annotation's text names; _UNKNOWN where it names nothing that exists at run time."""
    names: dict[str, Any] = getattr(function, "__globals__", {})
    if getattr(function, "__closure__", None):
        return _named(text, names, dict(inspect.getclosurevars(function).nonlocals))
    place = (id(names), text)
    if place not in _evaluated_texts:
        _evaluated_texts[place] = _named(text, names, {})
    return _evaluated_texts[place]


def _named(text: str, names: dict[str, Any], nonlocals: dict[str, Any]) -> Any:
    try:
        return eval(text, names, nonlocals)
    except Exception:
        return _UNKNOWN
