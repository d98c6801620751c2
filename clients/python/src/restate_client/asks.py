"""The asks of one session stream: which wait to be written, which for their answers. No I/O, no clock.

Invariants: never more asks wait for answers than the runtime gave credits; ids grow; what was not taken to be written
has provably not left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from protobuf import Oneof
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

from .outgoing import Outgoing

#: One message on a session carries at most so many asks, and about so many bytes of requests.
MAX_BATCH_ASKS = 256
MAX_BATCH_BYTES = 512 * 1024

_DROP: Oneof[Any, Any] = Oneof("drop", pb.SessionDrop())

F = TypeVar("F")


@dataclass(slots=True, eq=False)
class Asked(Generic[F]):
    """One ask.

    Args:
        outgoing: what is asked.
        request: the same, as a session carries it.
        waiter: who gets the answer.
        id: its number on the stream; 0 until it is taken to be written.
        invocation_id: inv_… once the runtime has said so.
    """

    outgoing: Outgoing
    request: Oneof[Any, Any]
    waiter: F
    id: int = 0
    invocation_id: str | None = None


class Asks(Generic[F]):
    """The asks of one stream, from being put to being answered."""

    def __init__(self) -> None:
        self.credits = 0
        self._last_id = 0
        self._queue: deque[Asked[F]] = deque()
        self._dropped: list[int] = []
        self._waiting: dict[int, Asked[F]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._queue) + len(self._waiting)

    @property
    def queued(self) -> int:
        """How many are not written yet."""
        return len(self._queue)

    def put(self, asked: Asked[F]) -> None:
        """One more to be written."""
        asked.id = 0
        self._queue.append(asked)

    def take(self) -> list[pb.SessionAsk]:
        """What may be written now, as one message: who waits no longer, then new asks as far as credits go."""
        asks = [pb.SessionAsk(id=number, request=_DROP) for number in self._dropped]
        self._dropped.clear()
        room = MAX_BATCH_BYTES
        queue, waiting = self._queue, self._waiting
        while queue and room > 0 and len(waiting) < self.credits and len(asks) < MAX_BATCH_ASKS:
            asked = queue.popleft()
            room -= len(asked.outgoing.data)
            self._last_id += 1
            asked.id = self._last_id
            waiting[asked.id] = asked
            asks.append(pb.SessionAsk(id=asked.id, request=asked.request))
        return asks

    def drop(self, asked: Asked[F]) -> bool:
        """Nobody waits for this one any longer. Gives whether the runtime has to be told."""
        if asked.id:
            if self._waiting.pop(asked.id, None) is not None:
                self._dropped.append(asked.id)
                return True
        elif asked in self._queue:
            self._queue.remove(asked)
        return False

    def waits(self, number: int) -> Asked[F] | None:
        """The ask of this id; None: it was dropped."""
        return self._waiting.get(number)

    def settle(self, number: int) -> None:
        """It has its answer."""
        self._waiting.pop(number, None)

    def surplus(self) -> list[Asked[F]]:
        """Takes out what the credits do not reach for."""
        count = len(self) - self.credits
        taken = [self._queue.pop() for _ in range(min(count, len(self._queue)))] if count > 0 else []
        return taken[::-1]

    def unsent(self) -> list[Asked[F]]:
        """Takes out what was never written."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def unanswered(self) -> list[Asked[F]]:
        """Takes out what was written and has no answer."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken
