"""`ctx.run`: executing a function once for the journal, retrying it, and reading its recorded result.

A function that is awaited at once executes in the handler's own task; otherwise it begins at the loop's next turn, in
a task of its own. Plain functions execute in a thread. A result that the journal has is never computed again. A try
that failed is followed by another, as the run's own policy says, only once the journal has counted it. What the
journal gives back must be of the kind that the code expects, else it is a mismatch.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Generator
from datetime import timedelta
from time import perf_counter
from typing import Any, NoReturn, TypeVar

from restate_protocol.errors import TerminalError
from restate_protocol.immutable import immutable
from restate_protocol.journal import BYTES, JSON, Failure, Result, Value
from restate_protocol.status import StatusCode

from . import values
from .attempt import Attempt
from .errors import MisuseError
from .failures import attempt_failure, error_of, failure_of, known_errors, retry_after
from .futures import Waitable
from .result_types import expected_result
from .retry import RUN_RETRY_IN_PLACE_MAX, RetryPolicy
from .serde import Serde, checked
from .values import Expected
from .vm.awaiting import Tree
from .vm.commands import too_long
from .vm.tries import RunTries

T_co = TypeVar("T_co", covariant=True)

_OPEN: Any = object()
_IN_PLACE_MS = RUN_RETRY_IN_PLACE_MAX / timedelta(milliseconds=1)
_log = logging.getLogger("restate_sdk")


@immutable
class RunOptions:
    """How a function is run.

    Args:
        retry: how it is retried when it fails; None: the attempt fails with it.
        timeout: how long each try may take.
        returns: the type of the result, where the function's annotation does not say it.
        serde: writes and reads the result, instead of the built-in ways.
    """

    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    returns: Any = None
    serde: Serde[Any] | None = None


#: What almost every run has.
NO_OPTIONS = RunOptions()


def checked_options(name: str, options: RunOptions) -> RunOptions:
    """The options of a run, which make sense.

    Raises:
        TypeError: one is of a wrong type, or both returns and serde are given.
        ValueError: the timeout is not longer than nothing.
    """
    timeout = options.timeout
    if options.retry is not None and not isinstance(options.retry, RetryPolicy):
        raise TypeError(f"the retry of run {name!r} is a RetryPolicy, not {options.retry!r}")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TypeError(f"the timeout of run {name!r} is a timedelta, such as timedelta(seconds=5), not {timeout!r}")
    if timeout is not None and timeout <= timedelta():
        raise ValueError(f"the timeout of run {name!r} must be longer than nothing, not {timeout.total_seconds():g} s")
    if options.serde is not None:
        checked(options.serde, f"run {name!r}")
        if options.returns is not None:
            raise TypeError(f"run {name!r} takes returns= or serde=, not both: the serde knows the type")
    return options


class RunFuture(Waitable[T_co]):
    """The result of a run.

    Args:
        attempt: whose it is.
        name: the step's name.
        function: the function and its arguments.
        options: how it is run.
    """

    __slots__ = (
        "_args",
        "_began",
        "_first_try_at_ms",
        "_function",
        "_handle",
        "_name",
        "_options",
        "_stopped",
        "_task",
        "_value",
        "_waiter",
        "_wanted",
    )

    def __init__(
        self,
        attempt: Attempt,
        name: str,
        function: tuple[Callable[..., Any], tuple[Any, ...]],
        options: RunOptions = NO_OPTIONS,
    ) -> None:
        self._attempt = attempt
        self._name = name
        self._function, self._args = function
        self._options = options
        self._value: Any = _OPEN
        self._stopped = False
        self._task: asyncio.Task[Any] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._handle = attempt.machine.sys_run(name)
        self._began = attempt.machine.has_result(self._handle) or not attempt.executes
        if not self._began:
            attempt.add_run(self._handle, self)
            if options.retry is not None:
                self._take_up(options.retry)

    def __await__(self) -> Generator[Any, Any, T_co]:
        attempt = self._attempt
        attempt.check()
        if not self._began and not (attempt.machine.looks_back and attempt.poll(self._handle)):
            yield from self._execute_here()
        if not attempt.poll(self._handle):
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

    @property
    def waits(self) -> bool:
        """Whether its function has yet to begin."""
        return not self._began and not self._attempt.machine.over

    def start(self) -> None:
        """Executes in a task of its own."""
        self._begin(self._execute())

    def stop(self) -> None:
        """Cancels the function. One in a thread goes on, and nobody looks at what it returns."""
        self._began = self._stopped = True
        self._attempt.run_stopped(self._handle)
        if self._task is not None:
            self._task.cancel()

    def _begin(self, work: Any) -> None:
        self._began = True
        self._task = self._attempt.spawn(work)

    def _execute_here(self) -> Generator[Any, Any, None]:
        self._attempt.machine.check_open()
        if self._attempt.turns is not None:  # other tasks of the handler go on meanwhile
            self.start()
            return
        self._began = True
        self._task = self._attempt.task
        self._attempt.enter_run(self._handle)
        try:
            yield from self._execute().__await__()
        finally:
            self._attempt.leave_run()

    async def _execute(self) -> None:
        """Executes the function once. What follows, another try included, is begun before this ends."""
        began = perf_counter()
        function, timeout = self._function, self._options.timeout
        is_coroutine = is_coroutine_function(function)
        try:
            if timeout is not None:
                value = await self._timed(timeout)
            else:
                value = await (function(*self._args) if is_coroutine else self._in_thread())
            result: Result = self._written(value)
        except TerminalError as error:
            result = failure_of(error)
        except asyncio.CancelledError as error:
            self._cancelled(error)
            return
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            self._failed(error)
            return
        if self._stopped:
            return
        # A plain function executes in a thread: its command is recorded by itself, and shows at once.
        took = int((perf_counter() - began) * 1000) if is_coroutine else None
        self._attempt.run_ended(self._handle, result, took)

    async def _in_thread(self) -> Any:
        context = contextvars.copy_context()

        def call() -> Any:
            return context.run(_plainly, self._function, self._args)

        value = await self._attempt.loop.run_in_executor(self._attempt.executor, call)
        return await value if inspect.isawaitable(value) else value

    async def _timed(self, longest: timedelta) -> Any:
        limit = asyncio.timeout(longest.total_seconds())
        try:
            async with limit:
                is_coroutine = is_coroutine_function(self._function)
                return await (self._function(*self._args) if is_coroutine else self._in_thread())
        except TimeoutError as error:
            if not limit.expired():
                raise
            text = f"run {self._name!r} took longer than its timeout of {longest.total_seconds():g} s"
            raise TimeoutError(text) from error

    def _cancelled(self, error: asyncio.CancelledError) -> None:
        """Cancelled with the attempt, with the run, by a timeout around the await, or inside the function."""
        if self._attempt.machine.over:
            raise error
        task = asyncio.current_task()
        if self._stopped:
            if task is not None:
                task.uncancel()
            return
        if task is not None and task.cancelling():
            self._attempt.cancelled_inside()
        self._attempt.run_failed(self._handle, self._name, error)

    # Trying again

    def _take_up(self, retry: RetryPolicy) -> None:
        """Goes on waiting for the next try where an earlier attempt left off."""
        self._first_try_at_ms = self._attempt.now_ms()
        tries = self._attempt.machine.tries(self._handle)
        if tries is not None:
            self._first_try_at_ms = tries.first_try_at_ms
            self._begin(self._again(tries.failures))

    def _failed(self, error: BaseException) -> None:
        attempt, retry = self._attempt, self._options.retry
        if self._stopped or attempt.machine.over:
            return
        if retry is None or not isinstance(error, Exception) or isinstance(error, MisuseError):
            attempt.run_failed(self._handle, self._name, error)
            return
        tries = attempt.machine.tries(self._handle)
        failures = 1 if tries is None else tries.failures + 1
        now_ms = attempt.now_ms()
        at_ms = retry.next_try(failures, self._first_try_at_ms, now_ms, retry_after(error))
        if at_ms is None:
            attempt.run_ended(self._handle, failure_of(self._exhausted(failures, error)), None)
            return
        _log.info("run %r of %s failed %s and is tried again: %r", self._name, attempt.name, _times(failures), error)
        attempt.machine.try_failed(
            self._handle, attempt_failure(error), (self._first_try_at_ms, at_ms), durable=at_ms - now_ms > _IN_PLACE_MS
        )
        attempt.wake()
        self._begin(self._again(failures))

    async def _again(self, failures: int) -> None:
        """Executes again once the failure is counted and the wait after it is over."""
        self._attempt.begin_retrying()
        try:
            await self._until_due(failures)
        finally:
            self._attempt.end_retrying()
        await self._execute()

    async def _until_due(self, failures: int) -> None:
        attempt = self._attempt
        if (tries := self._told(failures)) is None:
            await self._until_told(failures)
            tries = self._told(failures)
        assert tries is not None
        left_ms = tries.retry_at_ms - attempt.now_ms()
        if tries.due or left_ms <= 0:
            return
        timer = attempt.loop.call_later(left_ms / 1000, self._ring)
        long = left_ms > _IN_PLACE_MS
        if long:
            attempt.begin_rest()
        try:
            await self._until_told(failures, due=True)
        finally:
            timer.cancel()
            if long:
                attempt.end_rest()

    def _told(self, failures: int) -> RunTries | None:
        """What the journal says once it has counted that many failures."""
        tries = self._attempt.machine.tries(self._handle)
        return None if tries is None or tries.failures < failures else tries

    async def _until_told(self, failures: int, *, due: bool = False) -> None:
        self._wanted = (failures, due)
        self._waiter = self._attempt.loop.create_future()
        await self._waiter

    def look(self) -> None:
        """Frames arrived: the journal may say what this waits for."""
        if self._waiter is not None:
            failures, due = self._wanted
            tries = self._told(failures)
            if tries is not None and (tries.due or not due):
                self._ring()

    def _ring(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _exhausted(self, failures: int, error: Exception) -> TerminalError:
        return TerminalError(
            f"run {self._name!r} failed {_times(failures)}, and its retry policy allows no more:"
            f" {type(error).__name__}: {error}",
            code=StatusCode.DEADLINE_EXCEEDED if isinstance(error, TimeoutError) else StatusCode.UNKNOWN,
        )

    # The result, to and from the journal

    def _written(self, value: Any) -> Value:
        options = self._options
        try:
            if options.serde is None:
                written, back = values.encode_as(value, expected_result(self._function, options.returns))
            else:
                written, back = values.encode_by(options.serde, value)
        except values.Unwritable as error:
            raise TerminalError(
                f"the result of run {self._name!r} cannot be journaled: {error}", code=StatusCode.INTERNAL
            ) from error
        limit = self._attempt.machine.max_value_bytes
        if len(written.data) > limit:
            raise too_long(f"the result of run {self._name!r}", len(written.data), limit)
        self._value = back
        return written

    def _recorded(self, result: Result) -> Any:
        if not isinstance(result, Value):
            return None
        serde, wanted = self._options.serde, None
        if serde is None:
            wanted = expected_result(self._function, self._options.returns)
            if wanted is None and result.type not in (JSON, BYTES):
                self._mismatch(result.type, "nothing that says how to read it (no annotation, no returns=)")
        tags = [serde.tag] if serde is not None else [JSON, BYTES] if wanted is None else wanted.tags
        if result.type not in tags:
            self._mismatch(result.type, " or ".join(tags))
        try:
            return _read(result, wanted, serde)
        except Exception as error:
            self._mismatch(f"{result.type}, {_text(result)}", f"what it cannot be read as: {error}")

    def _mismatch(self, recorded: str, expected: str) -> NoReturn:
        self._attempt.machine.result_mismatch(self._handle, self._name, recorded, expected)


def _read(result: Value, wanted: Expected | None, serde: Serde[Any] | None) -> Any:
    if serde is not None:
        return serde.loads(result.data)
    return values.decode(result, None) if wanted is None else values.decode_as(result, wanted)


def _text(value: Value) -> str:
    return repr(value.data[:200].decode()) if value.type == JSON else f"{len(value.data)} bytes"


def _plainly(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Calls a plain function. No future can hold a StopIteration: whoever waited for it would wait for ever."""
    try:
        return function(*args)
    except StopIteration as error:
        raise RuntimeError(f"the function of a run raised StopIteration({error})") from error


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; plain code objects are looked at first because steps are many."""
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & inspect.CO_COROUTINE:
        return True
    if code is not None:
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
