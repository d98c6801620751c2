"""One session stream to a runtime: writes asks in batches, reads answers, and says what became of every ask.

Invariant: every ask that was put comes to an end: a reply, a failure, or it is handed back to be put on another stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import grpc
import grpc.aio
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.status import StatusCode

from .aio import failed
from .asks import Asked, Asks
from .failures import CallFailed, Failure, failure_of_session
from .outgoing import SESSION
from .replies import Reply, read_answer
from .wire import Metadata

if TYPE_CHECKING:
    _Call = grpc.aio.StreamStreamCall[bytes, bytes]

Waiter: TypeAlias = "asyncio.Future[Reply]"

#: A runtime that has sessions says so at once. What is silent for so long is a proxy that cannot carry streams.
OPEN_TIMEOUT_S = 10.0

#: So many asks of a stream may wait to be written.
MAX_QUEUED_PER_STREAM = 2_500

_ENDED = Failure(StatusCode.UNAVAILABLE, "the runtime ended the session")


class NoSession(Exception):
    """The runtime has no sessions: nothing of the ask was sent."""


class Stream:
    """A stream of a session.

    Args:
        channel: where it is opened.
        metadata: of the connection.
        displaced: takes asks that this stream can no longer carry.
    """

    def __init__(
        self, channel: grpc.aio.Channel, metadata: Metadata, displaced: Callable[[list[Asked[Waiter]]], None]
    ) -> None:
        self._asks: Asks[Waiter] = Asks()
        self._displaced = displaced
        self._opened = False
        self._draining = False
        self.usable = True
        self._wake = asyncio.Event()
        self._call: _Call = channel.stream_stream(SESSION)(metadata=metadata)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(OPEN_TIMEOUT_S, self._give_up)
        self._task = loop.create_task(self._run())

    @property
    def load(self) -> int:
        """How many asks it has."""
        return len(self._asks)

    @property
    def queued(self) -> int:
        """How many of them are not written yet."""
        return self._asks.queued

    @property
    def free(self) -> bool:
        """Whether one more ask would be written at once, as far as is known."""
        asks = self._asks
        return len(asks) < asks.credits if self._opened else asks.queued < MAX_QUEUED_PER_STREAM

    def put(self, asked: Asked[Waiter]) -> None:
        """One more ask."""
        self._asks.put(asked)
        self._wake.set()

    def drop(self, asked: Asked[Waiter]) -> None:
        """Nobody waits for this one any longer."""
        if self._asks.drop(asked):
            self._wake.set()

    async def close(self, error: Exception) -> None:
        """Ends the stream; who waits gets the error."""
        self.usable = False
        for asked in (*self._asks.unsent(), *self._asks.unanswered()):
            _fail(asked, error)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _give_up(self) -> None:
        """Nobody has opened the session: its asks go another way."""
        self.usable = False
        for asked in self._asks.unsent():
            _fail(asked, NoSession())
        self._call.cancel()

    async def _run(self) -> None:
        writing = asyncio.get_running_loop().create_task(self._write())
        failure = _ENDED
        try:
            async for data in self._call:
                self._read(pb.SessionResponse.from_binary(data))
        except grpc.aio.AioRpcError as error:
            failure = failed(error).failure
        except ValueError as error:
            message = f"the answer is not a SessionResponse: {error}"
            failure = Failure(StatusCode.INTERNAL, message)
        finally:
            self._patience.cancel()
            writing.cancel()
            self._call.cancel()
            self.usable = False
            self._end(failure)

    async def _write(self) -> None:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader knows why
            while not (self._draining and not len(self._asks)):
                await self._wake.wait()
                self._wake.clear()
                while batch := self._asks.take():
                    await self._call.write(pb.SessionRequest(asks=batch).to_binary())
            # The runtime waits for nothing more of this stream when it stops.
            await self._call.done_writing()

    def _read(self, response: pb.SessionResponse) -> None:
        if response.opened is not None:
            self._opened = True
            self._patience.cancel()
            self._asks.credits = response.opened.credits
            self._displace(self._asks.surplus())
        for answer in response.answers:
            self._answer(answer)
        if response.draining:
            self._draining = True
            self.usable = False
            self._displace(self._asks.unsent())
        self._wake.set()

    def _displace(self, asked: list[Asked[Waiter]]) -> None:
        if asked:
            self._displaced(asked)

    def _answer(self, answer: pb.SessionAnswer) -> None:
        asked, said = self._asks.waits(answer.id), answer.answer
        if asked is None or said is None:
            return
        if said.field == "accepted":
            asked.invocation_id = said.value.invocation_id
            return
        self._asks.settle(answer.id)
        if asked.waiter.done():
            return
        if said.field == "error":
            asked.waiter.set_exception(CallFailed(failure_of_session(said.value, asked.invocation_id)))
        else:
            asked.waiter.set_result(read_answer(said.field, said.value))

    def _end(self, failure: Failure) -> None:
        """The stream is over, and so is whatever it still had."""
        if not self._opened and failure.code is StatusCode.UNIMPLEMENTED:
            for asked in self._asks.unsent():
                _fail(asked, NoSession())
            return
        if self._opened:
            # A stream that carried others' asks too says nothing about this one but that it is lost.
            failure = Failure(StatusCode.UNAVAILABLE, failure.message)
        for asked in self._asks.unsent():
            _fail(asked, CallFailed(replace(failure, sent=False)))
        for asked in self._asks.unanswered():
            _fail(asked, CallFailed(replace(failure, invocation_id=asked.invocation_id)))


def _fail(asked: Asked[Waiter], error: Exception) -> None:
    if not asked.waiter.done():
        asked.waiter.set_exception(error)


__all__ = ["MAX_QUEUED_PER_STREAM", "NoSession", "Stream", "Waiter"]
