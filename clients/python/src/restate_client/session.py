"""Calls over sessions: many share one stream, which costs a fraction of a gRPC call for each.

Asks go over the first stream with credits to spare; where none has, another is opened, up to a few, and then they
queue. What a session cannot carry, or carries badly, goes as a call of its own: bytes in headers, and long requests,
which would hold up everybody else's. A runtime without sessions gets calls of their own from then on.
"""

from __future__ import annotations

import asyncio

from restate_protocol.status import StatusCode

from . import wire
from .aio import AioChannel, UnaryTransport
from .asks import Asked
from .errors import Overloaded
from .failures import CallFailed, Failure
from .outgoing import Outgoing
from .replies import Reply
from .streams import MAX_QUEUED_PER_STREAM, NoSession, Stream, Waiter

#: Requests longer than this, in bytes, are gRPC calls of their own.
MAX_SESSION_REQUEST_BYTES = 64 * 1024
#: A connection has at most so many streams; further ones are opened only while all others are out of credits.
MAX_STREAMS = 4
#: So many calls may wait in a connection for credits. Not a setting.
MAX_QUEUED = MAX_STREAMS * MAX_QUEUED_PER_STREAM


class SessionTransport:
    """Carries calls over sessions.

    Args:
        channel: the connection's channel.
        unary: for what a session does not carry.
    """

    def __init__(self, channel: AioChannel, unary: UnaryTransport) -> None:
        self._channel = channel
        self._unary = unary
        self._headers = wire.for_callees(channel.settings.metadata)
        self._streams: list[Stream] = []
        self._carriers: dict[Asked[Waiter], Stream] = {}
        self._no_session = False

    async def exchange(self, outgoing: Outgoing, timeout_s: float | None) -> Reply:
        """Asks and waits for the answer.

        Raises:
            CallFailed: there is no reply.
        """
        long = len(outgoing.data) > MAX_SESSION_REQUEST_BYTES
        request = None if self._no_session or long else outgoing.ask(self._headers)
        if request is None:
            return await self._unary.exchange(outgoing, timeout_s)
        loop = asyncio.get_running_loop()
        asked: Asked[Waiter] = Asked(outgoing, request, loop.create_future())
        began_s = loop.time()
        self._put(asked)
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._expire, asked)
        try:
            return await asked.waiter
        except NoSession:
            self._no_session = True
            left_s = None if timeout_s is None else max(0.0, began_s + timeout_s - loop.time())
        except asyncio.CancelledError:
            self._carriers[asked].drop(asked)
            raise
        finally:
            del self._carriers[asked]
            if timer is not None:
                timer.cancel()
        return await self._unary.exchange(outgoing, left_s)

    async def close(self) -> None:
        """Ends the streams and what waits on them."""
        streams, self._streams = self._streams, []
        for stream in streams:
            await stream.close(self._channel.was_closed())
        await self._unary.close()

    def _put(self, asked: Asked[Waiter]) -> None:
        stream = self._free_stream()
        self._carriers[asked] = stream
        stream.put(asked)

    def _free_stream(self) -> Stream:
        channel = self._channel.get()
        streams = self._streams
        if streams and not all(one.usable for one in streams):
            streams[:] = [one for one in streams if one.usable]
        for stream in streams:
            if stream.free:
                return stream
        if len(streams) < MAX_STREAMS:
            stream = Stream(channel, self._channel.settings.metadata, self._put_elsewhere)
            streams.append(stream)
            return stream
        shortest = min(streams, key=lambda one: one.load)
        if shortest.queued >= MAX_QUEUED_PER_STREAM:
            raise _queue_full()
        return shortest

    def _put_elsewhere(self, displaced: list[Asked[Waiter]]) -> None:
        for asked in displaced:
            try:
                self._put(asked)
            except Exception as error:
                if not asked.waiter.done():
                    asked.waiter.set_exception(error)

    def _expire(self, asked: Asked[Waiter]) -> None:
        if not asked.waiter.done():
            self._carriers[asked].drop(asked)
            failure = Failure(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", invocation_id=asked.invocation_id)
            asked.waiter.set_exception(CallFailed(failure))


def _queue_full() -> Overloaded:
    return Overloaded(
        f"{MAX_QUEUED} calls of this connection (MAX_QUEUED) wait already until the runtime takes more: wait for some"
        " of them, or open another connection"
    )
