"""Several tasks of one handler, in an order that every attempt repeats.

Only the journal moves them. While any of them can go on, no result is shown; once all are blocked, results are shown
in the journal's order until one of their waits is settled, and they go on. So each command depends on the results
before it and on nothing else. What else wakes a task (a timer, I/O, a thread) while others go on is refused.

Invariant: between two results, tasks go on in the order in which asyncio wakes them, which is first come, first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError

from . import misuse
from .errors import MisuseError
from .tasks import MadeTask, check_maker
from .vm.awaiting import Group, Tree, settlement
from .vm.errors import AttemptOver

if TYPE_CHECKING:
    from .attempt import Attempt

#: Turns of the loop without a task that can go on, after which all count as blocked: what passes a result on from a
#: finished task (gather, shield, wait) takes a turn for each of them. Two suffice where tasks wait for results only.
QUIET_TURNS = 8
_FEW_TURNS = 2

_SLOW = {asyncio.sleep.__code__: "asyncio.sleep", asyncio.to_thread.__code__: "asyncio.to_thread"}


class Turns:
    """The tasks of one attempt, once there is more than the handler's own.

    Args:
        attempt: whose they are.
    """

    __slots__ = ("_attempt", "_ended", "_going", "_made", "_probing", "_quiet", "_waits", "blocked", "tasks")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.tasks: dict[asyncio.Task[Any], None] = {}  # those that the handler made and that are not done
        self.blocked = False  # whether nothing goes on before another result comes
        self._waits: dict[asyncio.Future[None], Tree] = {}
        self._made = 0
        self._going = True
        self._probing = False
        self._quiet = 0
        self._ended = False

    # Tasks

    def adopt(self, coroutine: Any, options: dict[str, Any]) -> asyncio.Task[Any]:
        """Makes a task of the handler."""
        over = self._attempt.machine.over
        if not over:
            check_maker(self._attempt, coroutine)
            self.check()
        options.pop("eager_start", None)
        self._made += 1
        task = MadeTask(self._attempt, coroutine, self._made, **options)
        self.tasks[task] = None
        task.add_done_callback(self._done)
        if over:
            task.cancel()
        else:
            self._go()
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if self._attempt.machine.over and not task.cancelled():
            task.exception()  # the attempt's own end: nobody has to look at it

    def check(self) -> None:
        """One of the tasks goes on, and something of the journal must be why.

        Raises:
            MisuseError: it was woken by something else while others were blocked.
        """
        if not self._going:
            if self.tasks:
                self._attempt.misuse(misuse.WOKEN)
            self._go()

    def end(self) -> None:
        """Ends every task but the one that executes this."""
        self.blocked = False
        try:
            current = asyncio.current_task()
        except RuntimeError:
            current = None
        for task in list(self._all()):
            if task is not current and not task.done():
                task.cancel()

    def _all(self) -> Iterator[asyncio.Task[Any]]:
        if self._attempt.task is not None:
            yield self._attempt.task
        yield from self.tasks

    # Waiting

    def settled(self, tree: Tree) -> bool:
        """Whether what was shown settles the tree. Nothing more is shown before all tasks are blocked."""
        self._attempt.machine.check_open()
        return settlement(tree, self._attempt.machine.seen) is not None

    def wait(self, tree: Tree) -> Generator[Any, None, None]:
        """Blocks the task until the tree, which is open, is settled.

        Raises:
            TerminalError: the invocation was cancelled.
            MisuseError: the wait was cancelled by something else than the journal.
        """
        future: asyncio.Future[None] = self._attempt.loop.create_future()
        self._waits[future] = tree
        self._go()
        try:
            yield from future.__await__()
        except asyncio.CancelledError:
            if not self._going and not self._attempt.machine.over:
                self._attempt.cancelled_inside()
            raise
        finally:
            self._waits.pop(future, None)

    def progress(self) -> None:
        """Frames arrived."""
        if self.blocked:
            self._show()

    # Turns

    def _go(self) -> None:
        self._going = True
        self.blocked = False
        self._quiet = 0
        if not self._probing:
            self._probing = True
            self._attempt.loop.call_soon(self._probe)

    def _probe(self) -> None:
        """Looks once in each turn of the loop whether all tasks are blocked."""
        if self._attempt.machine.over:
            self._probing = False
            self.end()
            return
        self._quiet = 0 if any(map(_can_go_on, self._all())) else self._quiet + 1
        if self._quiet < (_FEW_TURNS if self._only_results() else QUIET_TURNS):
            self._attempt.loop.call_soon(self._probe)
            return
        self._probing = False
        self._going = False
        if self._waits:
            self._show()

    def _only_results(self) -> bool:
        """Whether every task that is not done waits for durable futures or for another task."""
        waits = (_waiter(task) for task in self._all() if not task.done())
        return all(waiter in self._waits or waiter in self.tasks for waiter in waits)

    def _show(self) -> None:
        """Shows results until a wait is settled; where none is, the attempt is blocked."""
        attempt = self._attempt
        self._refuse_slow()
        if attempt.machine.over:
            return
        tree = Group(Combinator.FIRST_COMPLETED, tuple(self._waits.values()))
        try:
            settled = attempt.machine.poll(tree)
        except TerminalError as error:
            attempt.cancelled(tree)
            self._cancel(error)
        except AttemptOver:
            self.end()
        else:
            if settled:
                self._release()
            else:
                self.blocked = True
                attempt.rest(tree)

    def _release(self) -> None:
        seen = self._attempt.machine.seen
        for future, tree in self._waits.items():
            if not future.done() and settlement(tree, seen) is not None:
                future.set_result(None)
        self._go()

    def _cancel(self, error: TerminalError) -> None:
        """Every wait of the handler ends with the cancellation, in the order in which they began."""
        for future in self._waits:
            if not future.done():
                future.set_exception(TerminalError(error.message, code=error.code))
        self._go()

    def _refuse_slow(self) -> None:
        for task in self._all():
            if not task.done() and _waiter(task) not in self._waits and (what := _slow(task)) is not None:
                self._attempt.fail(MisuseError(misuse.beside(what)))
                return


def _waiter(task: asyncio.Task[Any]) -> Any:
    """What a task is blocked on; None where it can go on."""
    return getattr(task, "_fut_waiter", None)


def _can_go_on(task: asyncio.Task[Any]) -> bool:
    if task.done():
        return False
    waiter = _waiter(task)
    return waiter is None or waiter.done()


def _slow(task: asyncio.Task[Any]) -> str | None:
    """The timer or thread of asyncio that a task waits for, if it does."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        code = getattr(awaited, "cr_code", None)
        if code in _SLOW:
            return _SLOW[code]
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return None
