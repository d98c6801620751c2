"""One attempt at work in the asyncio loop: what its context, its futures and its driver share.

It ties the machine to the loop: the handler's task waits and frames wake it (several tasks take `turns`); runs are
counted, and when the handler has been blocked for the inactivity timeout with no run executing, the attempt suspends.
What to emit and when results count is the machine's to say.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any, NoReturn

from restate_protocol.errors import TerminalError
from restate_protocol.journal import Result

from . import misuse
from .errors import MisuseError
from .failures import attempt_failure, retry_after_ms
from .pending import NextTurn, PendingRun
from .tasks import owner
from .turns import Turns
from .vm.awaiting import Tree, leaves
from .vm.commands import Behavior
from .vm.errors import Closed
from .vm.machine import Machine

#: Seconds that an attempt may wait without progress once the runtime stops. Longer than any acknowledgement takes.
DRAIN_INACTIVITY = 0.2

_log = logging.getLogger("restate_sdk")


class Attempt:
    """The shared part of one attempt.

    Args:
        name: `service/handler`, for logs.
        machine: the replay machine, loaded.
        wake: called after something was emitted, so that it is sent.
        executor: where plain functions of runs execute.
        inactivity_ms: how long the handler may be blocked, in milliseconds, before it is suspended.
        next_turn: begins the functions of runs that are not awaited at once.
        now_ms: the clock, in milliseconds since the epoch.
        executes: whether functions of runs execute; else a run without a recorded result never has one.
    """

    __slots__ = (
        "_blocked_at",
        "_executing",
        "_in_run",
        "_inactivity",
        "_interrupted",
        "_next_turn",
        "_open_runs",
        "_retrying",
        "_timer",
        "_tree",
        "_waiter",
        "executes",
        "executor",
        "loop",
        "machine",
        "name",
        "now_ms",
        "run_tasks",
        "task",
        "turns",
        "wake",
    )

    def __init__(
        self,
        name: str,
        machine: Machine,
        wake: Callable[[], None],
        executor: Executor | None,
        inactivity_ms: int,
        *,
        next_turn: NextTurn,
        now_ms: Callable[[], int],
        executes: bool = True,
    ) -> None:
        self.name = name
        self.now_ms = now_ms
        self.machine = machine
        self.wake = wake
        self.executor = executor
        self.executes = executes
        self.loop = asyncio.get_running_loop()
        self.task: asyncio.Task[None] | None = None
        self.run_tasks: set[asyncio.Task[None]] = set()
        self._inactivity = inactivity_ms / 1000
        self._executing = 0
        self._in_run: int | None = None
        self._interrupted = False
        self._next_turn = next_turn
        self._open_runs: dict[int, PendingRun] = {}
        self._retrying = 0
        self._waiter: asyncio.Future[None] | None = None
        self._tree: Tree = 0
        self._blocked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.turns: Turns | None = None

    def due_ms(self, delay: timedelta) -> int:
        """When a delay that begins now is over, in milliseconds since the epoch."""
        return self.now_ms() + math.ceil(delay / timedelta(milliseconds=1))

    # Who may use it

    def check(self) -> None:
        """Only the handler's own task, and those that it made, may go on.

        Raises:
            MisuseError: this is another task, a thread, or a run's function.
        """
        try:
            task = asyncio.current_task()
        except RuntimeError:
            raise MisuseError(misuse.IN_A_THREAD) from None
        if task is not self.task:
            self._check_other(task)
        elif self._in_run is not None:
            self.misuse(misuse.IN_A_RUN)
        if self.turns is not None:
            self.turns.check()

    def _check_other(self, task: asyncio.Task[Any] | None) -> None:
        if task in self.run_tasks:
            self.misuse(misuse.IN_A_RUN)
        if self.turns is None or task not in self.turns.tasks:
            self.misuse(misuse.IN_A_TASK)

    def adopt(self, coroutine: Any, options: dict[str, Any]) -> asyncio.Task[Any]:
        """Makes a task that the handler wants beside its own. From now on they go on in turns."""
        if self.turns is None:
            self.turns = Turns(self)
        return self.turns.adopt(coroutine, options)

    def misuse(self, message: str) -> NoReturn:
        """Fails the attempt for a use that replay could not repeat."""
        error = MisuseError(message)
        self.fail(error)
        raise error

    def cancelled_inside(self) -> NoReturn:
        """The handler cancelled its own wait."""
        self.misuse(misuse.CANCELLED)

    # Waiting

    def poll(self, tree: Tree) -> bool:
        """Whether the tree is settled now.

        Raises:
            TerminalError: the invocation was cancelled first; runs that were waited for are stopped.
            AttemptOver: the attempt is over, or does not fit its journal.
        """
        if self.turns is not None:
            return self.turns.settled(tree)
        try:
            return self.machine.poll(tree)
        except TerminalError:
            self.cancelled(tree)
            raise

    def cancelled(self, tree: Tree) -> None:
        """A wait for the tree ended with a cancellation: its runs are stopped, and what was emitted leaves."""
        self.stop_runs(leaves(tree))
        self.wake()

    def wait(self, tree: Tree) -> Generator[Any, None, None]:
        """Blocks the handler until the tree, which is open, is settled.

        Raises:
            AttemptOver: the attempt ended meanwhile.
            MisuseError: the wait was cancelled from inside, by a timeout for example.
        """
        if self.turns is not None:
            yield from self.turns.wait(tree)
            return
        if not self._inactivity and not self._executing:
            suspended = self.machine.suspend(tree)
            self.wake()
            raise suspended
        self._tree, self._waiter = tree, self.loop.create_future()
        self._watch()
        try:
            yield from self._waiter.__await__()
        except asyncio.CancelledError:
            if self.machine.over:
                raise
            self.cancelled_inside()
        finally:
            self._waiter = None

    def rest(self, tree: Tree) -> None:
        """All tasks of the handler are blocked until the tree, which is open, is settled."""
        self._tree = tree
        if self._inactivity or self._executing:
            self._watch()
        else:
            self._suspend()

    @property
    def waits(self) -> bool:
        """Whether the handler only waits for the runtime, and none of its functions executes."""
        return self._blocked and not self._executing and not self.machine.over

    def progress(self) -> None:
        """Frames arrived: wakes the handler if what it waits for is settled, and runs that wait for their next try."""
        if self._retrying:
            for run in list(self._open_runs.values()):
                run.look()
        if self.machine.over:
            return
        waiter = self._waiter
        if self.turns is not None:
            self.turns.progress()
        elif waiter is not None and not waiter.done():
            self._look_again(waiter)
        elif self._in_run is not None and self.machine.cancellation_waits and self.machine.interrupts(self._in_run):
            self._interrupted = True
            self.stop_runs((self._in_run,))

    def _look_again(self, waiter: asyncio.Future[None]) -> None:
        try:
            settled = self.machine.poll(self._tree)
        except TerminalError as error:
            self.cancelled(self._tree)
            waiter.set_exception(error)
        else:
            if settled:
                waiter.set_result(None)

    @property
    def _blocked(self) -> bool:
        if self.turns is not None:
            return self.turns.blocked
        return self._waiter is not None and not self._waiter.done()

    def _release(self, error: BaseException) -> None:
        if self.turns is not None:
            self.turns.end()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    # Inactivity

    def _watch(self) -> None:
        """The handler is blocked from now on. One timer serves many waits: it looks when it fires."""
        self._blocked_at = self.loop.time()
        if self._timer is None and not self._executing:
            self._timer = self.loop.call_later(self._inactivity, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._blocked or self._executing or self.machine.over:
            return
        left = self._blocked_at + self._inactivity - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look)
        else:
            self._suspend()

    def _suspend(self) -> None:
        self._release(self.machine.suspend(self._tree))
        self.wake()

    # Runs

    def add_run(self, handle: int, run: PendingRun) -> None:
        """A run's function must execute: in the handler's task if it is awaited at once, else in the background."""
        self._executing += 1
        self._open_runs[handle] = run
        self._next_turn.add(run)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of a run: no task of the handler, and ended with the attempt."""
        token = owner.set(None)
        try:
            task = self.loop.create_task(work)
        finally:
            owner.reset(token)
        self.run_tasks.add(task)
        task.add_done_callback(self.run_tasks.discard)
        return task

    def enter_run(self, handle: int) -> None:
        """A run's function begins to execute in the handler's own task."""
        self._in_run = handle
        owner.set(None)

    def leave_run(self) -> None:
        """It ended."""
        self._in_run = None
        owner.set(self)
        if self._interrupted:
            self._forget_interruption()

    def _forget_interruption(self) -> None:
        """The function ended, whatever it did about its cancellation: the handler itself was not cancelled."""
        self._interrupted = False
        while self.task is not None and self.task.cancelling():
            self.task.uncancel()

    def run_ended(self, handle: int, result: Result, duration_ms: int | None) -> None:
        """A run's function ended with a result, which is proposed to the runtime."""
        self._executing -= 1
        self._open_runs.pop(handle, None)
        if self.machine.over:
            return
        self.machine.propose(handle, result, duration_ms)
        self.wake()
        if self._blocked and not self._executing:
            self._blocked_again()

    def run_stopped(self, handle: int) -> None:
        """A run's function was cancelled and has no result."""
        self._executing -= 1
        self._open_runs.pop(handle, None)

    def stop_runs(self, handles: Iterable[object]) -> None:
        """Stops those of these that are runs and have not ended."""
        for handle in handles:
            run = self._open_runs.get(handle) if isinstance(handle, int) else None
            if run is not None:
                run.stop()

    def begin_retrying(self) -> None:
        """A run waits for its next try, and wants to `look` when frames arrive."""
        self._retrying += 1

    def end_retrying(self) -> None:
        """It does not any more."""
        self._retrying -= 1

    def begin_rest(self) -> None:
        """A run waits so long for its next try that the attempt need not stay for it."""
        self._executing -= 1
        if self._blocked and not self._executing and not self.machine.over:
            self._blocked_again()

    def end_rest(self) -> None:
        """It goes on, or was stopped; then the handler may be all that is left to wait for."""
        self._executing += 1
        if self._blocked and not self._executing and not self.machine.over:
            self._blocked_again()

    def hurry(self) -> None:
        """The runtime stops: from now on an attempt that only waits gives up its place soon, and lets it stop."""
        self._inactivity = min(self._inactivity, DRAIN_INACTIVITY)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._blocked and not self.machine.over:
            self._watch()

    def suspend_soon(self) -> None:
        """Others may wait for this attempt in a cycle: it suspends now if it only waits, else when it next does."""
        self._inactivity = 0
        if self.waits:
            self._suspend()

    def _blocked_again(self) -> None:
        if self._inactivity:
            self._watch()
        else:
            self._suspend()

    def run_failed(self, handle: int, name: str, error: BaseException) -> None:
        """A run's function failed for now, and with it the attempt."""
        self._executing -= 1
        self.fail(error, (handle, "run", name))

    # Ends

    def fail(self, error: BaseException, command: tuple[int, str, str] | None = None) -> None:
        """The attempt failed; the runtime decides what follows. Nothing where it is over already.

        A misuse would only come again, so it pauses the invocation at once.
        """
        if self.machine.over:
            return
        _log.warning("an attempt of %s failed; the runtime decides what follows", self.name, exc_info=error)
        self.machine.fail(
            attempt_failure(error),
            behavior=Behavior.PAUSE if isinstance(error, MisuseError) else Behavior.POLICY,
            command=command,
            retry_after_ms=retry_after_ms(error),
            stacktrace="".join(traceback.format_exception(error)),
        )
        self.wake()
        self._release(Closed("the attempt failed"))

    def abort(self, why: str) -> None:
        """Ends the attempt without a word to the runtime, and cancels what executes."""
        self.machine.close(why)
        if self.task is not None:
            self.task.cancel()
        self.cleanup()

    def cleanup(self) -> None:
        """The handler left: nothing of the attempt goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self.run_tasks:
            task.cancel()
        if self.turns is not None:
            self.turns.end()

    def left(self) -> None:
        """The handler's task is done. Letting go of it, which knows the attempt, frees both at once."""
        self.task = None
