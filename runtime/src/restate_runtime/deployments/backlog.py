"""The attempts that wait for a session of one deployment: first in, first out, and bounded in memory.

The first of them are held ready to be sent, as far as the window goes; of the others only ids are kept, and what they
need is read from the store when their turn comes near. While no session is open nothing is held. So a deployment that
is away costs some hundred bytes for each attempt, whatever its journal, and takes nothing from the others.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from restate_protocol.gen.restate.protocol.v1 import session_pb as pb


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a backlog is held ready.

    Args:
        attempts: at most so many.
        payload_bytes: and about so many bytes of journals and state; a larger one is held alone.
    """

    attempts: int = 1_000
    payload_bytes: int = 16 << 20


DEFAULT_WINDOW = Window()


class Stage(enum.Enum):
    """How far an attempt is that no endpoint has."""

    READING = "reading"  # its state is being read, or its frame made; it stands in no line, or keeps its place in it
    PARKED = "parked"  # only its id is kept
    ASKED = "asked"  # it was asked for, and is being brought back
    HELD = "held"  # its frame is there


@dataclass(slots=True)
class Waiting:
    """An attempt that no endpoint has yet.

    Args:
        deployment_id: in whose backlog it stands; empty where it stands in none.
        frame: what is sent, once HELD.
        early: what it was told while its state is being read.
        size: about how many bytes its frame takes.
        suspends: it is to suspend whenever it waits, because others may wait for it in a cycle.
    """

    epoch: int
    stage: Stage
    deployment_id: str = ""
    frame: pb.Start | None = None
    early: list[bytes] = field(default_factory=list)
    size: int = 0
    suspends: bool = False


class Backlog:
    """See the module. The front is what is held or asked for; behind it stands what is parked."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._front: OrderedDict[bytes, Waiting] = OrderedDict()
        self._parked: OrderedDict[bytes, Waiting] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._front) + len(self._parked)

    @property
    def has_room(self) -> bool:
        """Whether one more attempt may be held ready; nobody passes those that are parked."""
        return not self._parked and self._window_is_open()

    def _window_is_open(self) -> bool:
        return len(self._front) < self._window.attempts and self._held_bytes < self._window.payload_bytes

    def park(self, invocation_id: bytes, waiting: Waiting) -> None:
        """One more at the end."""
        waiting.stage = Stage.PARKED
        self._parked[invocation_id] = waiting

    def hold(self, invocation_id: bytes, waiting: Waiting, frame: pb.Start) -> None:
        """One more at the end of the front, or the frame of one that was asked for and keeps its place."""
        waiting.stage, waiting.frame, waiting.size = Stage.HELD, frame, _size(frame)
        self._held_bytes += waiting.size
        self._front[invocation_id] = waiting

    def tell(self, waiting: Waiting, entry: bytes) -> None:
        """One that is held was told something."""
        assert waiting.frame is not None
        waiting.frame.entries.append(entry)
        waiting.frame.journal_length += 1
        waiting.size += len(entry)
        self._held_bytes += len(entry)

    def first(self) -> tuple[bytes, Waiting] | None:
        """Whose turn it is."""
        return next(iter(self._front.items()), None)

    def remove(self, invocation_id: bytes) -> None:
        """It was sent, or is over."""
        waiting = self._front.pop(invocation_id, None)
        if waiting is None:
            self._parked.pop(invocation_id, None)
        else:
            self._held_bytes -= waiting.size

    def ask(self) -> Iterator[tuple[bytes, int]]:
        """Which parked attempts are to be brought back now, in order: invocation and epoch."""
        while self._parked and self._window_is_open():
            invocation_id, waiting = self._parked.popitem(last=False)
            waiting.stage = Stage.ASKED
            self._front[invocation_id] = waiting
            yield invocation_id, waiting.epoch

    def park_all(self) -> list[bytes]:
        """Lets go of what is held: nobody will take it soon. Gives whose it was."""
        front = list(self._front.items())
        for invocation_id, waiting in reversed(front):
            waiting.stage, waiting.frame, waiting.size = Stage.PARKED, None, 0
            waiting.early.clear()
            self._parked[invocation_id] = waiting
            self._parked.move_to_end(invocation_id, last=False)
        self._front.clear()
        self._held_bytes = 0
        return [invocation_id for invocation_id, _ in front]


def _size(frame: pb.Start) -> int:
    """About how many bytes it takes."""
    return sum(map(len, frame.entries)) + sum(len(one.value) for one in frame.state)
