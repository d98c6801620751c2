"""The gRPC side of restate.ingress.v1.Ingress/Session: streams, and all that are open.

For each stream one task reads requests and one writes answers; while a message is being written the next one fills.
Invariant: requests are read only while the answers that wait to be written are few, so a slow reader costs a bounded
amount of memory: the limit, and the answers to the requests that wait already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeAlias

import grpc
import structlog
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.status import StatusCode

from ..engine.api import EngineApi
from .admission import DELAY, IDEMPOTENCY_KEY, SEND, Admission
from .answers import Answers
from .control import SERVICE, Control
from .errors import Answer, Refused, answer_of
from .reasons import Reason
from .session import BrokenSession, Session, SessionLimits
from .waiting import Waiting

PATH = f"/{SERVICE}/Session"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Abort: TypeAlias = Callable[[Context, Answer, Answers], Awaitable[None]]

_log = structlog.get_logger(__name__)

_OF_CALLS = (IDEMPOTENCY_KEY, SEND, DELAY)


class Sessions:
    """Every open stream.

    Args:
        abort: ends a call with an error, as the ingress does it.
    """

    def __init__(
        self,
        admission: Admission,
        engine: EngineApi,
        waiting: Waiting,
        limits: SessionLimits,
        answers: Answers,
        abort: Abort,
    ) -> None:
        self._admission = admission
        self._engine = engine
        self._control = Control(engine, waiting, admission)
        self._limits = limits
        self._answers = answers
        self._abort = abort
        self._open: set[Session] = set()
        self._draining = False
        self._left = asyncio.Event()
        waiting.on_send_away(self._send_away)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def open_sessions(self) -> list[Session]:
        """Those that are open, in no order."""
        return list(self._open)

    def drain(self) -> None:
        """Takes no more streams and requests. A stream ends when all of its requests are answered."""
        self._draining = True
        for session in self._open:
            session.drain()

    async def serve(self, requests: AsyncIterable[bytes], context: Context) -> None:
        """One stream, from its first message to its end."""
        problem = self._refusal(context)
        if problem is not None:
            await self._abort(context, answer_of(problem), self._answers)
        loop = asyncio.get_running_loop()
        session = Session(self._admission, self._engine, self._control, self._limits, self._answers, loop)
        self._open.add(session)
        stream = _Stream(session)
        reader = loop.create_task(stream.read(requests))
        try:
            opened = pb.SessionOpened(
                credits=self._limits.credits, max_message_bytes=self._admission.limits.max_message_bytes
            )
            await context.write(pb.SessionResponse(opened=opened).to_binary())
            await stream.write(context)
        except Refused as error:
            await self._abort(context, answer_of(error), self._answers)
        finally:
            session.close()
            self._leave(session)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def idle(self) -> None:
        """Waits until no stream is open any more; after `drain`."""
        while self._open:
            self._left.clear()
            await self._left.wait()

    def _leave(self, session: Session) -> None:
        self._open.discard(session)
        self._left.set()

    def _send_away(self) -> None:
        for session in self._open:
            session.send_away()

    def _refusal(self, context: Context) -> Refused | None:
        if self._draining:
            return Refused(StatusCode.UNAVAILABLE, "the runtime stops; open the stream again once it is back")
        for name, _ in context.invocation_metadata() or ():
            if name in _OF_CALLS:
                message = f"{name} goes with a call, and a session carries many: say it in each request"
                return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)
        return None


class _Stream:
    """The two tasks of a stream and what they tell each other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._closed = False
        self._end: Refused | None = None

    async def read(self, requests: AsyncIterable[bytes]) -> None:
        """Takes requests until there are no more. Never raises: the writer tells."""
        session = self._session
        try:
            async for data in requests:
                session.take(_decoded(data))
                await session.outbox.room()
        except BrokenSession as error:
            self._end = Refused(StatusCode.INVALID_ARGUMENT, str(error), reason=Reason.INVALID_MESSAGE)
        except grpc.RpcError:
            pass  # the caller is gone, which the writer hears too
        except Exception as error:
            _log.error("a session failed", exc_info=error)
            text = f"the runtime failed ({type(error).__name__}); its log says more"
            self._end = Refused(StatusCode.INTERNAL, text)
        finally:
            self._closed = True
            session.outbox.ready.set()

    async def write(self, context: Context) -> None:
        """Writes answers until there will be no more.

        Raises:
            Refused: what the caller sent cannot be answered; answers that were there before are written.
        """
        session, outbox = self._session, self._session.outbox
        told = False
        while True:
            await outbox.ready.wait()
            outbox.ready.clear()
            while len(outbox) or session.draining is not told:
                told = session.draining
                message = pb.SessionResponse(answers=outbox.take(), draining=told)
                await context.write(message.to_binary())
                outbox.written()
            if self._end is not None:
                raise self._end
            if (self._closed or session.draining) and not len(session):
                return


def _decoded(data: bytes) -> pb.SessionRequest:
    try:
        return pb.SessionRequest.from_binary(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSession(f"not a valid restate.ingress.v1.SessionRequest: {error}") from None
