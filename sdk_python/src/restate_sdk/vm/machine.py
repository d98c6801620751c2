"""One attempt of one invocation, as a machine without I/O: frames and operations in, frames and results out.

`sys_*` operations number the handler's commands, replay the recorded ones by value and emit the others. `poll` takes
notifications strictly in the journal's order, one at a time, until what is awaited is settled, and no further; so the
order in which the handler sees results is the journal's, in every attempt. Nothing here runs functions, waits, reads
a clock or draws a number. Once the attempt is over, every operation raises AttemptOver and nothing is emitted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn

from restate_protocol import awaiting as protocol_awaiting
from restate_protocol import ids, journal
from restate_protocol.errors import FrameError, TerminalError
from restate_protocol.frames import EndpointFrame
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.journal import Failure, Headers, Result, Value, Void
from restate_protocol.status import StatusCode

from .awaiting import Group, Results, Tree, first_failed, leaves, open_part, to_protocol, winner
from .errors import Closed, Difference, JournalMismatch, Suspended
from .journal import (
    Comparator,
    Recording,
    compare_bytes,
    describe,
    difference,
    name_of,
    read_command,
    read_notification,
)
from .results import ResultQueue
from .state import LocalState

#: The longest value, in bytes, unless the runtime names another limit. 32 MiB.
DEFAULT_MAX_VALUE_BYTES = 32 * 1024 * 1024


class Behavior(enum.Enum):
    """What the runtime does about a failed attempt."""

    POLICY = pb.Failed.Behavior.POLICY
    PAUSE = pb.Failed.Behavior.PAUSE


@lru_cache(maxsize=1024)
def _encoded_run(name: str) -> bytes:
    """Steps are few and run often: their commands are encoded once."""
    return journal.encode(journal.Run(name))


class Machine:
    """The replay machine of one attempt.

    Args:
        start: the frame that began the attempt.
        out: where frames for the runtime are appended, in order.
        compare: compares payloads that are not equal as bytes.
        max_value_bytes: the longest value that may be sent.

    Raises:
        FrameError: the journal in `start` is not one.
    """

    __slots__ = (
        "_compare",
        "_last_run",
        "_max_value_bytes",
        "_next",
        "_out",
        "_over",
        "_proposals",
        "_recording",
        "_results",
        "_state",
        "_with_result",
        "awakeables",
        "epoch",
        "headers",
        "invocation_id",
        "payload",
    )

    def __init__(
        self,
        start: pb.Start,
        out: list[EndpointFrame],
        *,
        compare: Comparator = compare_bytes,
        max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES,
    ) -> None:
        self.invocation_id = start.invocation_id
        self.epoch = start.epoch
        self.payload = b""
        self.headers: Headers = ()
        self.awakeables = 0
        self._out = out
        self._compare = compare
        self._last_run: tuple[pb.Command, str] | None = None
        self._max_value_bytes = max_value_bytes
        self._over: str | None = None
        self._next = 0
        self._results = ResultQueue()
        self._proposals: dict[int, Result] = {}
        self._with_result: frozenset[int] = frozenset()
        entries = ((entry.number, entry.value) for entry in start.state)
        self._state = LocalState(entries, complete=not start.partial_state)
        self._recording = Recording(start.journal_length)
        self._add(start.entries)

    # Frames

    @property
    def loaded(self) -> bool:
        """Whether the whole announced journal is here, so that the handler can start."""
        return self._recording.complete

    @property
    def over(self) -> bool:
        """Whether the attempt takes no more operations."""
        return self._over is not None

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
        self._results.take(read_notification(frame.entry))

    def run_ack(self, frame: pb.RunAck) -> None:
        """The proposed result of a run was committed: it takes its place among the notifications.

        Raises:
            FrameError: nothing was proposed for this command.
        """
        if self._over is not None:
            return
        result = self._proposals.pop(frame.command, None)
        if result is None:
            raise FrameError(f"an acknowledgement of command {frame.command}, which has no proposal")
        self._results.add(frame.command, result)

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
            self._results.take(notification)
        self._with_result = self._results.pending()

    # Results

    def poll(self, tree: Tree) -> bool:
        """Takes notifications in order until the tree is settled.

        Returns:
            Whether it is settled. False: poll again with the same tree after the next frame.

        Raises:
            AttemptOver: the attempt is over, or the journal shows that no attempt waited here before.
        """
        self.check_open()
        settled = self._results.poll(tree)
        if not settled and self._recording.left:
            self._await_was_added(tree)
        return settled

    def result(self, handle: int) -> Result:
        """The result of a handle that `poll` said is settled."""
        return self._results.seen[handle].result

    @property
    def seen(self) -> Results:
        """Every result that the handler was shown."""
        return self._results.seen

    def winner(self, group: Group) -> int:
        """Index of the child of a settled group that settled first."""
        return winner(group, self._results.seen)

    def first_failed(self, group: Group) -> int | None:
        """Index of the child of a settled group that failed first, or None."""
        return first_failed(group, self._results.seen)

    def has_result(self, handle: int) -> bool:
        """Whether the journal already has the result of a command: then nothing may execute again."""
        return handle in self._with_result or handle in self._results.seen

    # Operations

    def sys_run(self, name: str) -> int:
        """A step. Execute its function unless `has_result`, then `propose`."""
        self.check_open()
        number, data = self._number(), _encoded_run(name)
        if not self._recording.left:
            self._last_run = (self._emit(data), name)
        elif (recorded := self._recording.next()) != data:
            self._compare_command(number, recorded, journal.Run(name), None)
        return number

    def propose(self, handle: int, result: Result, duration_ms: int | None = 0) -> None:
        """The result of a run's function. It counts once the runtime has acknowledged it.

        While the command is the last frame that waits to leave, the result goes with it: one entry instead of two.

        Args:
            duration_ms: how long the function took; None: the result travels by itself.
        """
        self.check_open()
        self._proposals[handle] = result
        if duration_ms is not None and self._last_run is not None and handle == self._next - 1:
            command, name = self._last_run
            if self._out and self._out[-1] is command:
                command.entry = journal.encode(journal.Run(name, result, duration_ms))
                return
        frame = pb.RunProposal(
            invocation_id=self.invocation_id,
            epoch=self.epoch,
            command=handle,
            result=journal.result_to_pb(result),
        )
        self._out.append(frame)

    def sys_sleep(self, wake_at_ms: int, name: str = "") -> int:
        """A timer. On replay the recorded time stands."""
        return self._issue(journal.Sleep(wake_at_ms, name))

    def sys_call(
        self,
        target: tuple[str, str, str | None],
        payload: bytes,
        *,
        workflow_run: bool = False,
        idempotency_key: str = "",
        headers: Headers = (),
        message: type[Any] | None = None,
    ) -> int:
        """A call of (service, handler, key); its completion is the response."""
        service, handler, key = target
        self._check_size(payload, f"the request of {service}/{handler}")
        callee = self._callee(target, workflow_run=workflow_run, idempotency_key=idempotency_key)
        return self._issue(
            journal.Call(service, handler, key, payload, callee, idempotency_key, headers),
            message,
        )

    def sys_send(
        self,
        target: tuple[str, str, str | None],
        payload: bytes,
        *,
        workflow_run: bool = False,
        idempotency_key: str = "",
        headers: Headers = (),
        execute_at_ms: int = 0,
        message: type[Any] | None = None,
    ) -> tuple[int, bytes]:
        """A one-way call. Gives a handle that is settled at once, and the id of the new invocation."""
        service, handler, key = target
        self._check_size(payload, f"the request of {service}/{handler}")
        callee = self._callee(target, workflow_run=workflow_run, idempotency_key=idempotency_key)
        number = self._issue(
            journal.Send(service, handler, key, payload, callee, idempotency_key, headers, execute_at_ms),
            message,
        )
        self._results.show(number, Void())
        return number, callee

    def _callee(self, target: tuple[str, str, str | None], *, workflow_run: bool, idempotency_key: str) -> bytes:
        service, handler, key = target
        if workflow_run and key is not None:
            return ids.workflow_invocation_id(service, key)
        if idempotency_key:
            return ids.idempotent_invocation_id(service, handler, key, idempotency_key)
        return ids.child_invocation_id(self.invocation_id, self._next)

    def sys_awakeable(self, type_name: str) -> int:
        """A new awakeable. Its number is the handle, negated."""
        self._issue(journal.Awakeable(self.awakeables + 1, type_name))
        self.awakeables += 1
        return -self.awakeables

    def awakeable_id(self, handle: int) -> str:
        """awk_… of an awakeable of this invocation."""
        return ids.awakeable_id_text(self.invocation_id, -handle)

    def sys_complete_awakeable(self, awakeable_id: str, result: Result, message: type[Any] | None = None) -> None:
        """Resolves or rejects an awakeable of some invocation."""
        self._check_result(result, f"the result of awakeable {awakeable_id}")
        self._issue(journal.CompleteAwakeable(awakeable_id, result), message)

    def sys_get_promise(self, number: int) -> int:
        """The result of a workflow promise, once it has one."""
        return self._issue(journal.GetPromise(number))

    def sys_peek_promise(self, number: int) -> int:
        """The result of a workflow promise, or Void."""
        return self._issue(journal.PeekPromise(number))

    def sys_complete_promise(self, number: int, result: Result, message: type[Any] | None = None) -> int:
        """Completes a workflow promise: Void, or a failure where it was completed before."""
        self._check_result(result, f"the result of promise field {number}")
        return self._issue(journal.CompletePromise(number, result), message)

    def sys_attach(self, invocation_id: bytes) -> int:
        """The result of another invocation."""
        return self._issue(journal.Attach(invocation_id))

    # State

    def sys_get_state(self, number: int) -> int:
        """A state entry: Value, or Void where there is none. Settled at once unless it must be fetched."""
        self.check_open()
        if self._recording.left:
            recorded = self._replayed(journal.GetState(number))
            saw = recorded.result if isinstance(recorded, journal.GetState) else None
            handle = self._next - 1
        else:
            saw = self._state.get(number)
            handle = self._issue(journal.GetState(number, saw))
        if saw is not None:
            self._results.show(handle, saw)
        return handle

    def sys_set_state(self, number: int, value: bytes, message: type[Any] | None = None) -> None:
        """Sets a state entry."""
        self._check_size(value, f"state field {number}")
        live = not self._recording.left
        self._issue(journal.SetState(number, value), message)
        if live:
            self._state.put(number, value)

    def sys_clear_state(self, number: int) -> None:
        """Removes a state entry."""
        live = not self._recording.left
        self._issue(journal.ClearState(number))
        if live:
            self._state.put(number, None)

    def sys_clear_all_state(self) -> None:
        """Removes every state entry."""
        live = not self._recording.left
        self._issue(journal.ClearAllState())
        if live:
            self._state.clear()

    def sys_state_keys(self) -> int:
        """Numbers of the state entries there are, as a StateKeys message. Settled at once unless fetched."""
        self.check_open()
        if self._recording.left:
            recorded = self._replayed(journal.GetStateKeys())
            saw = recorded.numbers if isinstance(recorded, journal.GetStateKeys) else None
            handle = self._next - 1
        else:
            saw = self._state.numbers()
            handle = self._issue(journal.GetStateKeys(saw))
        if saw is not None:
            self._results.show(handle, Value(journal_pb.StateKeys(numbers=list(saw)).to_binary()))
        return handle

    # Ends

    def sys_output(self, result: Result, message: type[Any] | None = None) -> None:
        """The handler ended with this result, and so does the attempt.

        Raises:
            TerminalError: the result is longer than a value may be. The attempt is still open.
            AttemptOver: the attempt is over, or recorded commands remain.
        """
        self._check_result(result, "the response")
        self._issue(journal.Output(result), message)
        self._end("the handler ended", pb.Ended(invocation_id=self.invocation_id, epoch=self.epoch))

    def suspend(self, tree: Tree) -> Suspended:
        """The attempt gives up while it waits for an open tree. Gives what to raise in the handler."""
        waits = to_protocol(open_part(tree, self._results.seen))
        frame = pb.Suspended(
            invocation_id=self.invocation_id, epoch=self.epoch, awaiting=protocol_awaiting.to_pb(waits)
        )
        self._end("the invocation was suspended", frame)
        return Suspended()

    def fail(
        self,
        failure: Failure,
        *,
        behavior: Behavior = Behavior.POLICY,
        command: tuple[int, str, str] | None = None,
        retry_after_ms: int | None = None,
        stacktrace: str = "",
    ) -> None:
        """The attempt failed, about `command` (number, type, name) if any. Nothing where it is over already."""
        if self._over is not None:
            return
        number, kind, name = (None, "", "") if command is None else command
        frame = pb.Failed(
            invocation_id=self.invocation_id,
            epoch=self.epoch,
            failure=journal.failure_to_pb(failure),
            command=number,
            command_type=kind,
            command_name=name,
            retry_after_ms=retry_after_ms,
            behavior=behavior.value,
            stacktrace=stacktrace,
        )
        self._end("the attempt failed", frame)

    def close(self, why: str) -> None:
        """The attempt ends without a word to the runtime."""
        if self._over is None:
            self._over = why

    def _end(self, why: str, frame: EndpointFrame) -> None:
        self._out.append(frame)
        self._over = why

    # Numbering, replay and emission

    def check_open(self) -> None:
        """Raises AttemptOver where the attempt is over."""
        if self._over is not None:
            raise Closed(self._over)

    def _number(self) -> int:
        number = self._next
        self._next += 1
        return number

    def _issue(self, entry: journal.Command, message: type[Any] | None = None) -> int:
        """Replays the command if one is recorded here, else emits it. Gives its number."""
        self.check_open()
        number, data = self._number(), journal.encode(entry)
        if not self._recording.left:
            self._emit(data)
        elif (recorded := self._recording.next()) != data:
            self._compare_command(number, recorded, entry, message)
        return number

    def _emit(self, data: bytes) -> pb.Command:
        command = pb.Command(invocation_id=self.invocation_id, epoch=self.epoch, entry=data)
        self._out.append(command)
        return command

    def _replayed(self, entry: journal.Command) -> journal.Command:
        """The recorded command at this place, which must be this one but for what it saw."""
        return self._compare_command(self._number(), self._recording.next(), entry, None)

    def _compare_command(
        self, number: int, recorded: bytes, entry: journal.Command, message: type[Any] | None
    ) -> journal.Command:
        then = read_command(recorded)
        found = difference(then, entry, message, self._compare)
        if found is not None:
            self._mismatch(number, then, describe(entry), found)
        return then

    def _await_was_added(self, tree: Tree) -> NoReturn:
        then = read_command(self._recording.peek())
        waits = "a wait for " + _handles(leaves(open_part(tree, self._results.seen)))
        self._mismatch(self._next, then, waits, Difference("command", describe(then), waits))

    def _mismatch(self, number: int, then: journal.Command, now: str, found: Difference) -> NoReturn:
        mismatch = JournalMismatch(number, describe(then), now, found)
        self.fail(
            Failure(StatusCode.INTERNAL, str(mismatch)),
            behavior=Behavior.PAUSE,
            command=(number, journal.type_name(then), name_of(then)),
        )
        raise mismatch

    def result_mismatch(self, number: int, name: str, recorded: str, expected: str) -> NoReturn:
        """The recorded result of a run is of another kind than the code reads now.

        Raises:
            JournalMismatch: always.
        """
        run = journal.Run(name)
        self._mismatch(number, run, describe(run), Difference("the type of its result", recorded, expected))

    def _check_result(self, result: Result, what: str) -> None:
        if isinstance(result, Value):
            self._check_size(result.data, what)

    def _check_size(self, data: bytes, what: str) -> None:
        if len(data) > self._max_value_bytes:
            raise too_long(what, len(data), self._max_value_bytes)

    @property
    def max_value_bytes(self) -> int:
        """The longest value, in bytes, that may be sent."""
        return self._max_value_bytes


def too_long(what: str, size: int, limit: int) -> TerminalError:
    """The error about a value that is longer than the limit."""
    return TerminalError(
        f"{what} has {size} bytes, and a value may have {limit} (the runtime's setting max_message_bytes)."
        " Keep large data elsewhere and pass a reference",
        code=StatusCode.RESOURCE_EXHAUSTED,
    )


def _handles(handles: Iterable[int]) -> str:
    return ", ".join(f"command {handle}" if handle >= 0 else f"awakeable {-handle}" for handle in handles)
