"""What the core has in memory: live invocations, queues of keys, promises of workflows.

It is a cache of the store plus what was decided and not yet committed. Everything in it can be rebuilt from the
store by `load`; an invocation that is suspended, scheduled, queued, paused or completed may be dropped at any
time after its last write was committed.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from restate_protocol import awaiting as aw
from restate_protocol import journal as j

from .records import Invocation, JournalRow, Promises, Status
from .state_view import StateView
from .target import Target

Key: TypeAlias = tuple[str, str]  # (service, key)

_MOST = (j.Run, j.Output)  # of the entries: told apart first
_OK = j.Void()
_FAILED = j.Failure(2, "")


class Phase(enum.Enum):
    """What goes on with a live invocation now."""

    IDLE = "idle"  # nothing; may be dropped from memory
    ATTEMPT = "attempt"  # an attempt was decided and has not ended
    BACKING_OFF = "backing-off"  # waits for its next attempt


@dataclass(slots=True)
class RunTries:
    """A run that failed and has no result yet: what its last RunFailed says, and whether the wait after it is over."""

    failures: int
    first_try_at_ms: int
    retry_at_ms: int
    due: bool = False


@dataclass(slots=True)
class Hot:
    """A live invocation.

    Args:
        record: what the store keeps; changed in place.
        target: the handler, None while no deployment serves it.
        entries: the whole journal, as bytes.
        commands: how many of the entries are commands.
        open: commands without a completion, by number.
        done: whether the completion of a command was a success, by number.
        signals: the same for awakeables, by number.
        named: the same for named signals: those of one name in the order in which they came.
        tries: runs that failed and have no result yet, by number; None where there never was one.
        output: the result, once the handler gave one and until the attempt ends.
        tokens: submissions and attachments that wait for the result.
        waiters: commands of other invocations that wait for the result, besides the parent's.
        cancelled_epoch: the attempt that was told last that the invocation is to end.
        batch: number of the batch with its last write.
        size: bytes of its entries.
    """

    record: Invocation
    target: Target | None
    entries: list[bytes] = field(default_factory=list)
    commands: int = 0
    open: dict[int, j.Command] = field(default_factory=dict)
    done: dict[int, bool] = field(default_factory=dict)
    signals: dict[int, bool] = field(default_factory=dict)
    named: dict[str, list[bool]] = field(default_factory=dict)
    tries: dict[int, RunTries] | None = None
    output: j.Result | None = None
    phase: Phase = Phase.IDLE
    tokens: list[int] = field(default_factory=list)
    waiters: list[tuple[bytes, int]] = field(default_factory=list)
    cancelled_epoch: int = 0
    batch: int = 0
    size: int = 0

    def note(self, entry: j.Entry, data: bytes) -> int:
        """Takes one more entry into the picture and gives its index."""
        index = len(self.entries)
        self.entries.append(data)
        self.size += len(data)
        if isinstance(entry, _MOST) or not isinstance(entry, j.NOTIFICATIONS):
            self._note_command(entry)
        else:
            self._note_notification(entry)
        return index

    def _note_command(self, entry: j.Command) -> None:
        number = self.commands
        self.commands += 1
        match entry:
            case j.Run() if entry.result is not None:
                self.done[number] = not isinstance(entry.result, j.Failure)
            case j.Output():
                self.output = entry.result
            case _:
                completable = isinstance(entry, j.COMPLETABLE) and number not in self.done
                if completable or is_lazy_read(entry):
                    self.open[number] = entry

    def _note_notification(self, entry: j.Notification) -> None:
        match entry:
            case j.Completion(command=command, result=result):
                self.open.pop(command, None)
                self.done[command] = not isinstance(result, j.Failure)
                if self.tries is not None:
                    self.tries.pop(command, None)
            case j.Signal(target=target, result=result):
                success = not isinstance(result, j.Failure)
                if isinstance(target, int):
                    self.signals[target] = success
                else:
                    self.named.setdefault(target, []).append(success)
            case j.RunFailed() | j.RunDue():
                self._note_try(entry)
            case j.Cancelled():
                pass

    def _note_try(self, entry: j.RunFailed | j.RunDue) -> None:
        if isinstance(entry, j.RunFailed):
            tries = RunTries(entry.failures, entry.first_try_at_ms, entry.retry_at_ms)
            self.tries = {**(self.tries or {}), entry.command: tries}
        elif self.tries is not None and entry.command in self.tries:
            self.tries[entry.command].due = True

    def lookup(self, leaf: aw.Leaf) -> j.Result | None:
        """The result a leaf of an await tree has, as far as success or failure goes."""
        match leaf:
            case aw.OnCommand(command=command):
                success = self.done.get(command)
            case aw.OnAwakeable(number=number):
                success = self.signals.get(number)
            case aw.OnSignal(name=name, number=number):
                named = self.named.get(name, ())
                success = named[number - 1] if 0 < number <= len(named) else None
        return None if success is None else (_OK if success else _FAILED)


def is_lazy_read(entry: j.Entry) -> bool:
    """Whether it reads state that the attempt did not have at hand, so that a completion follows."""
    if isinstance(entry, j.GetState):
        return entry.result is None
    return isinstance(entry, j.GetStateKeys) and entry.numbers is None


@dataclass(slots=True)
class PromiseSet:
    """The promises of one workflow, and the batch with their last write."""

    promises: Promises
    batch: int = 0


@dataclass(slots=True)
class World:
    """Everything in memory.

    Args:
        queues: for each key that is held: the holder, then who waits for it, in order. A tuple while nobody waits:
            a million held keys need a tenth of the memory.
        states: views of the keys whose state is being read lazily.
        absent: ids that the store was just asked for and does not have.
        queued: how many invocations wait for a key.
        queued_of: the same for each service with some.
        held_bytes: bytes of the journals in memory.
        batch: number of the batch being decided.
    """

    invocations: dict[bytes, Hot] = field(default_factory=dict)
    queues: dict[Key, tuple[bytes] | deque[bytes]] = field(default_factory=dict)
    promises: dict[Key, PromiseSet] = field(default_factory=dict)
    states: dict[Key, StateView] = field(default_factory=dict)
    absent: set[bytes] = field(default_factory=set)
    next_queue_seq: int = 1
    queued: int = 0
    queued_of: dict[str, int] = field(default_factory=dict)
    held_bytes: int = 0
    batch: int = 1

    def forget(self, hot: Hot) -> None:
        """Drops what the store has."""
        del self.invocations[hot.record.id]
        self.held_bytes -= hot.size

    def _count(self, service: str, change: int) -> None:
        self.queued += change
        count = self.queued_of.get(service, 0) + change
        if count:
            self.queued_of[service] = count
        else:
            del self.queued_of[service]

    def enqueue(self, key: Key, invocation_id: bytes) -> bool:
        """Joins the queue of a key; True where that makes it the holder."""
        queue = self.queues.get(key)
        if queue is None:
            self.queues[key] = (invocation_id,)
            return True
        if isinstance(queue, tuple):
            queue = self.queues[key] = deque(queue)
        queue.append(invocation_id)
        self._count(key[0], 1)
        return False

    def dequeue(self, key: Key, invocation_id: bytes) -> bytes | None:
        """Leaves the queue of a key; gives who is first in it now."""
        queue = self.queues[key]
        if isinstance(queue, tuple):
            assert queue[0] == invocation_id, "only its holder is at a key that nobody waits for"
            del self.queues[key]
            return None
        if queue[0] == invocation_id:
            queue.popleft()
        else:
            queue.remove(invocation_id)
        self._count(key[0], -1)
        if len(queue) == 1:
            self.queues[key] = (queue[0],)
        return queue[0]

    def follower(self, key: Key, invocation_id: bytes) -> bytes | None:
        """Who gets the key when this invocation, its holder, lets go."""
        queue = self.queues.get(key)
        if not isinstance(queue, deque) or queue[0] != invocation_id:
            return None
        return queue[1]


def load(
    record: Invocation,
    rows: list[JournalRow],
    waiters: list[tuple[bytes, int]],
    target: Target | None,
) -> Hot:
    """A live invocation from what the store has. An ACTIVE one comes back idle: its attempt is gone."""
    hot = Hot(record, target, waiters=list(waiters))
    if record.status is not Status.COMPLETED:
        for row in rows:
            hot.note(j.decode(row.entry), row.entry)
    return hot
