"""One attempt of one invocation, as a machine without I/O: frames and operations in, frames and results out.

`sys_*` operations number the handler's commands, replay the recorded ones by value and emit the others. `poll` takes
notifications strictly in the journal's order, one at a time, until what is awaited is settled, and no further; so the
order in which the handler sees results is the journal's, in every attempt. Nothing here runs functions, waits, reads
a clock or draws a number. Once the attempt is over, every operation raises AttemptOver and nothing is emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from restate_protocol import awaiting as protocol_awaiting
from restate_protocol import journal
from restate_protocol.awaiting import OnSignal
from restate_protocol.errors import FrameError, TerminalError
from restate_protocol.frames import EndpointFrame
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Ended
from restate_protocol.journal import Failure, Notification, Result, RunDue, RunFailed
from restate_protocol.status import StatusCode

from .awaiting import (
    Group,
    Handle,
    Results,
    Tree,
    first_failed,
    first_succeeded,
    leaves,
    open_part,
    to_protocol,
    winner,
)
from .commands import DEFAULT_MAX_VALUE_BYTES
from .errors import Suspended
from .journal import Comparator, compare_bytes, describe, read_command, read_notification
from .mismatch import Awaits, Row
from .operations import Operations
from .run_operations import RunOperations
from .state_operations import StateOperations
from .tries import count


class Machine(RunOperations, StateOperations, Operations):
    """The replay machine of one attempt.

    Args:
        start: the frame that began the attempt.
        out: where frames for the runtime are appended, in order.
        compare: compares payloads that are not equal as bytes.
        max_value_bytes: the longest value that may be sent.
        where: tells the place in the handler's code that is being executed, one line for each frame.

    Raises:
        FrameError: the journal in `start` is not one.
    """

    __slots__ = ()

    def __init__(
        self,
        start: pb.Start,
        out: list[EndpointFrame],
        *,
        compare: Comparator = compare_bytes,
        max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES,
        where: Callable[[], str] = str,
    ) -> None:
        super().__init__(start, out, compare=compare, max_value_bytes=max_value_bytes, where=where)
        self._add(start.entries)

    # Frames

    @property
    def loaded(self) -> bool:
        """Whether the whole announced journal is here, so that the handler can start."""
        return self._recording.complete

    @property
    def replaying(self) -> bool:
        """Whether recorded commands remain."""
        return self._recording.left

    def journal_part(self, frame: pb.JournalPart) -> None:
        """Takes more of the announced journal.

        Raises:
            FrameError: more than announced, or not entries.
        """
        self._add(frame.entries)

    def notify(self, frame: pb.Notify) -> None:
        """Takes a notification that was committed.

        Raises:
            FrameError: it is not one, or the journal before it is not complete.
        """
        if not self.loaded:
            raise FrameError("a notification before the end of the announced journal")
        self._take(read_notification(frame.entry))

    def _take(self, notification: Notification) -> None:
        """Failures of runs are known at once; whatever the handler sees has to wait for its turn."""
        if isinstance(notification, RunFailed | RunDue):
            count(self._tries, notification)
        else:
            self._results.take(notification)

    def _add(self, entries: list[bytes]) -> None:
        self._recording.add(entries)
        if self._recording.complete:
            self._load()

    def _load(self) -> None:
        if not self._recording.left:
            raise FrameError("a journal without an input")
        first = read_command(self._recording.next())
        if not isinstance(first, journal.Input):
            raise FrameError(f"a journal that begins with {journal.type_name(first)} instead of input")
        self.payload, self.headers = first.payload, first.headers
        self._next = 1
        for notification in self._recording.notifications:
            self._take(notification)
        self._with_result = self._results.pending()

    # Results

    def poll(self, tree: Tree) -> bool:
        """Takes notifications in order until the tree is settled.

        Returns:
            Whether it is settled. False: poll again with the same tree after the next frame.

        Raises:
            AttemptOver: the attempt is over, or the journal shows that no attempt waited here before.
            TerminalError: a cancellation came before the tree was settled.
        """
        if self._over is not None:
            self.check_open()
        results = self._results
        if results.poll(tree):
            return True
        if results.cancellation is not None:
            self._cancel(results.cancellation, tree)
        if self._recording.left:
            self._await_was_added(tree)
        return False

    @property
    def looks_back(self) -> bool:
        """Whether the journal may end the handler's next wait: with a cancellation, or because none was there before.

        Then `poll` before anything executes for it.
        """
        return self._results.cancellations > 0 or self._recording.left

    @property
    def cancellation_waits(self) -> bool:
        """Whether a cancellation came that no wait has taken yet."""
        return self._results.cancellations > 0

    def interrupts(self, tree: Tree) -> bool:
        """Takes notifications in order until the tree is settled or a cancellation comes, while something executes.

        Returns:
            Whether a cancellation came: the next `poll` of this tree raises it.
        """
        return not self._results.poll(tree) and self._results.put_back_cancellation()

    def _cancel(self, cancellation: Failure, tree: Tree) -> NoReturn:
        """The wait ends with the cancellation, the runs that it waited for too, and open calls are told."""
        self._results.take_cancellation()
        for handle in leaves(tree):
            if isinstance(handle, int) and handle not in self._results.seen:
                self._end_run(handle, cancellation)
        for call, callee in list(self._calls.items()):
            if call not in self._results.seen:
                self._issue(journal.Cancel(callee))
        raise TerminalError(cancellation.message, code=StatusCode.of(cancellation.code) or StatusCode.CANCELLED)

    def _end_run(self, handle: int, cancellation: Failure) -> None:
        """A run that executes has the cancellation as its result from now on, and the journal is told."""
        if handle in self._open_runs:
            self.propose(handle, cancellation, None)
        elif handle not in self._answered_runs or self._results.coming(handle) != cancellation:
            return
        self._results.show(handle, cancellation)

    def result(self, handle: Handle) -> Result:
        """The result of a handle that `poll` said is settled."""
        return self._results.seen[handle].result

    @property
    def seen(self) -> Results:
        """Every result that the handler was shown."""
        return self._results.seen

    def winner(self, group: Group) -> int:
        """Index of the child of a settled group that settled first."""
        return winner(group, self._results.seen)

    def first_succeeded(self, group: Group) -> int | None:
        """Index of the child of a settled group that succeeded first, or None."""
        return first_succeeded(group, self._results.seen)

    def first_failed(self, group: Group) -> int | None:
        """Index of the child of a settled group that failed first, or None."""
        return first_failed(group, self._results.seen)

    def _await_was_added(self, tree: Tree) -> NoReturn:
        then = read_command(self._recording.peek())
        waits = "a wait for " + _handles(leaves(open_part(tree, self._results.seen)))
        self._mismatch(self._next, then, waits, (Row("command", describe(then), waits),), awaits=Awaits.WAITS)

    # Ends

    def sys_output(self, result: Result, message: type[Any] | None = None) -> None:
        """The handler ended with this result, and so does the attempt.

        Raises:
            TerminalError: the result is longer than a value may be. The attempt is still open.
            AttemptOver: the attempt is over, or recorded commands remain.
        """
        self._check_result(result, "the response")
        self._issue(journal.Output(result), message)
        self._end("the handler ended", Ended(self.invocation_id, self.epoch))

    def suspend(self, tree: Tree) -> Suspended:
        """The attempt gives up while it waits for an open tree. Gives what to raise in the handler."""
        waits = to_protocol(open_part(tree, self._results.seen))
        frame = pb.Suspended(
            invocation_id=self.invocation_id, epoch=self.epoch, awaiting=protocol_awaiting.to_pb(waits)
        )
        self._end("the invocation was suspended", frame)
        return Suspended()


def _handles(handles: Iterable[Handle]) -> str:
    return ", ".join(map(_handle, handles))


def _handle(handle: Handle) -> str:
    if isinstance(handle, OnSignal):
        return f"signal {handle.name!r} number {handle.number}"
    return f"command {handle}" if handle >= 0 else f"awakeable {-handle}"
