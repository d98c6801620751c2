"""Answers of a session as messages, and those that wait to be written.

Invariant: answers leave in the order in which they were put.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from protobuf import Oneof
from protobuf.wkt import Any as AnyMessage
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from .control import acceptance
from .errors import HANDLER, Answer, refusal
from .reasons import Reason

#: About how long one message to the caller may become, in bytes; a longer answer is a message of its own.
MESSAGE_BYTES = 1024 * 1024

#: What an answer takes beside its payload, about.
_OVERHEAD = 96

#: How long a caller who used up its credits is told to wait, in milliseconds.
RETRY_AFTER_MS = 100

_TYPE_PREFIX = "type.googleapis.com/"


class Outbox:
    """What waits to be written to one stream.

    Args:
        limit: how many bytes may wait before no more requests should be read.
    """

    __slots__ = ("_answers", "_held", "_limit", "_room", "_taken", "ready")

    def __init__(self, limit: int) -> None:
        self._answers: deque[tuple[pb.SessionAnswer, int]] = deque()
        self._limit = limit
        self._held = 0
        self._taken = 0
        self._room = asyncio.Event()
        self._room.set()
        #: Set where there may be something to write, or to end.
        self.ready = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """About how much waits, with what is being written."""
        return self._held

    def __len__(self) -> int:
        return len(self._answers)

    def put(self, number: int, answer: Oneof[Any, Any], size: int = 0) -> None:
        """One more answer, to the request of this number. `size`: the bytes of its payload."""
        size += _OVERHEAD
        self._answers.append((pb.SessionAnswer(id=number, answer=answer), size))
        self._held += size
        if self._held > self._limit:
            self._room.clear()
        self.ready.set()

    def take(self) -> list[pb.SessionAnswer]:
        """What goes into the next message. Its bytes count until `written`."""
        answers = self._answers
        taken: list[pb.SessionAnswer] = []
        size = 0
        while answers and (not taken or size + answers[0][1] <= MESSAGE_BYTES):
            answer, one = answers.popleft()
            taken.append(answer)
            size += one
        self._taken = size
        return taken

    def written(self) -> None:
        """What was taken last left the process."""
        self._held -= self._taken
        self._taken = 0
        if self._held <= self._limit:
            self._room.set()

    async def room(self) -> None:
        """Returns when more requests may be read."""
        await self._room.wait()


def accepted(invocation_id: bytes, new: bool) -> Oneof[Any, Any]:
    """The invocation is durable, and its result is not there yet."""
    message = pb.SessionAccepted(invocation_id=invocation_id_text(invocation_id), acceptance=acceptance(new))
    return Oneof("accepted", message)


def error(answer: Answer, invocation_id: str) -> tuple[Oneof[Any, Any], int]:
    """An error, and the bytes that it takes. `invocation_id`: inv_…, empty where none is known."""
    message = pb.SessionError(
        code=answer.code.value,
        message=answer.message,
        details=[AnyMessage(type_url=_TYPE_PREFIX + one.type, value=one.data) for one in answer.details],
        from_handler=answer.source == HANDLER,
        invocation_id=invocation_id,
    )
    size = len(answer.message) + sum(len(one.data) for one in answer.details)
    return Oneof("error", message), size


def no_credit(credits: int) -> Answer:
    """One request too many."""
    retry = RetryInfo()
    retry.retry_delay.FromMilliseconds(RETRY_AFTER_MS)
    message = (
        f"{credits} requests wait on this stream already (setting ingress_session_credits); "
        "wait for an answer, or open another stream"
    )
    return refusal(StatusCode.RESOURCE_EXHAUSTED, message, Reason.SESSION_CREDITS, (), (retry,))
