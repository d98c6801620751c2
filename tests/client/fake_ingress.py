"""A fake ingress: a grpc.aio server that records calls and answers as each test says, whichever way they come.

A call over a session looks to a test like the same call by itself: path, request, metadata.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc.aio
from protobuf import Oneof
from protobuf.wkt.google.protobuf.any_pb import Any as AnyMessage
from restate_protocol import codec
from restate_protocol.gen.google.rpc.status_pb import Status
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb

SESSION = "/restate.ingress.v1.Ingress/Session"
_ACCEPTANCES = {
    "accepted": pb.Acceptance.ACCEPTED,
    "previously-accepted": pb.Acceptance.PREVIOUSLY_ACCEPTED,
}


class Failed(Exception):
    """Ends an ask."""

    def __init__(self, error: pb.SessionError) -> None:
        super().__init__(error.message)
        self.error = error


class Lost(Exception):
    """Nobody will answer this ask: its stream breaks."""


@dataclass(slots=True)
class Incoming(ABC):
    """A call as the server saw it."""

    path: str
    data: bytes
    metadata: dict[str, str | bytes]

    @abstractmethod
    async def fail(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        source: str = "ingress",
        details: tuple[object, ...] = (),
        invocation_id: str = "",
    ) -> bytes:
        """Ends the call as the ingress does."""

    @abstractmethod
    async def accepted(self, invocation_id: str, status: str = "accepted") -> None:
        """Says that the invocation is durable."""

    @abstractmethod
    async def lose(self) -> bytes:
        """Breaks the connection under the call, as a runtime does that dies."""


@dataclass(slots=True)
class UnaryIncoming(Incoming):
    """A gRPC call of its own."""

    context: grpc.aio.ServicerContext[bytes, bytes]

    async def fail(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        source: str = "ingress",
        details: tuple[object, ...] = (),
        invocation_id: str = "",
    ) -> bytes:
        trailing: list[tuple[str, str | bytes]] = [("restate-error-source", source)] if source else []
        if invocation_id:
            trailing.append(("restate-invocation-id", invocation_id))
        if details:
            status = Status(code=code.value[0], message=message, details=[as_any(one) for one in details])
            trailing.append(("grpc-status-details-bin", status.to_binary()))
        await self.context.abort(code, message, tuple(trailing))
        raise AssertionError("abort raises")

    async def accepted(self, invocation_id: str, status: str = "accepted") -> None:
        await self.context.send_initial_metadata((("restate-invocation-id", invocation_id), ("restate-status", status)))

    async def lose(self) -> bytes:
        return await self.fail(grpc.StatusCode.UNAVAILABLE, "Socket closed", source="")


@dataclass(slots=True)
class SessionIncoming(Incoming):
    """An ask on a session."""

    number: int
    session: FakeSession
    #: What came with the ask itself.
    own: dict[str, str]
    invocation_id: str = ""
    status: str = ""

    async def fail(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        source: str = "ingress",
        details: tuple[object, ...] = (),
        invocation_id: str = "",
    ) -> bytes:
        assert source, "on a session either the ingress or the handler says it"
        raise Failed(
            pb.SessionError(
                code=code.value[0],
                message=message,
                details=[as_any(one) for one in details],
                from_handler=source == "handler",
                invocation_id=invocation_id,
            )
        )

    async def accepted(self, invocation_id: str, status: str = "accepted") -> None:
        self.invocation_id, self.status = invocation_id, status
        accepted = pb.SessionAccepted(invocation_id=invocation_id, acceptance=_ACCEPTANCES[status])
        await self.session.say(answers=[pb.SessionAnswer(id=self.number, answer=_one_of("accepted", accepted))])

    async def lose(self) -> bytes:
        self.session.broken.set()
        raise Lost


@dataclass(frozen=True, slots=True)
class Garbage:
    """A detail whose bytes are no message of its type."""

    type_name: str


def as_any(detail: object) -> AnyMessage:
    """A detail of a status."""
    if isinstance(detail, Garbage):
        return AnyMessage(type_url=f"type.googleapis.com/{detail.type_name}", value=b"\xff\xff")
    name = codec.full_name(type(detail))
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=codec.encode(detail))


Answer: TypeAlias = Callable[[Incoming], Awaitable[bytes]]


@dataclass(slots=True)
class FakeIngress:
    """The calls that came, and how to answer the next ones."""

    address: str = ""
    calls: list[Incoming] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    #: Sessions are served, with so many credits; None: this runtime has none.
    credits: int | None = None
    sessions: list[FakeSession] = field(default_factory=list)
    #: Ids of asks whose caller no longer waits.
    dropped: list[int] = field(default_factory=list)
    #: How many asks came with each message.
    batches: list[int] = field(default_factory=list)

    def on(self, path: str, answer: Answer) -> None:
        """Answers calls of this path so; all others are echoed."""
        self.answers[path] = answer

    async def handle(self, incoming: Incoming) -> bytes:
        """Records and answers one call."""
        self.calls.append(incoming)
        answer = self.answers.get(incoming.path)
        return incoming.data if answer is None else await answer(incoming)


class FakeSession:
    """One session stream."""

    def __init__(self, ingress: FakeIngress, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self.context = context
        self._ingress = ingress
        self._stream_metadata = {str(name): value for name, value in context.invocation_metadata() or ()}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._writing = asyncio.Lock()
        self.broken = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, requests: AsyncIterator[bytes]) -> None:
        """Until the caller has enough, or it breaks."""
        opened = pb.SessionOpened(credits=self._ingress.credits or 0, max_message_bytes=1 << 20)
        await self.say(opened=opened)
        reading = asyncio.ensure_future(self._read(requests))
        breaking = asyncio.ensure_future(self.broken.wait())
        await asyncio.wait({reading, breaking}, return_when=asyncio.FIRST_COMPLETED)
        breaking.cancel()
        reading.cancel()
        await asyncio.gather(reading, breaking, return_exceptions=True)
        for task in self._tasks.values():
            task.cancel()
        self.ended.set()
        if self.broken.is_set():
            await self.context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        async for data in requests:
            asks = pb.SessionRequest.from_binary(data).asks
            self._ingress.batches.append(len(asks))
            for ask in asks:
                self._begin(ask)

    async def say(self, **said: Any) -> None:
        """One message to the caller."""
        async with self._writing:
            await self.context.write(pb.SessionResponse(**said).to_binary())

    @property
    def waiting(self) -> int:
        """How many asks have no answer."""
        return len(self._tasks)

    def _begin(self, ask: pb.SessionAsk) -> None:
        assert ask.request is not None
        if ask.request.field == "drop":
            self._ingress.dropped.append(ask.id)
            self._tasks.pop(ask.id).cancel()
            return
        self._tasks[ask.id] = asyncio.get_running_loop().create_task(self._answer(ask))
        assert len(self._tasks) <= (self._ingress.credits or 0), "the caller has no credit for this"

    async def _answer(self, ask: pb.SessionAsk) -> None:
        request: Any = ask.request
        path, data, metadata = _as_unary(request.field, request.value)
        incoming = SessionIncoming(path, data, {**self._stream_metadata, **metadata}, ask.id, self, metadata)
        try:
            answer = _answer_of(request.field, incoming, await self._ingress.handle(incoming))
        except Lost:
            return
        except Failed as failed:
            answer = Oneof("error", failed.error)
        del self._tasks[ask.id]
        await self.say(answers=[pb.SessionAnswer(id=ask.id, answer=answer)])


def _one_of(name: str, value: object) -> Any:
    """A field of a oneof, whatever the type checker makes of its name."""
    return Oneof(name, value)


def _as_unary(name: str, request: Any) -> tuple[str, bytes, dict[str, str]]:
    """The call that means the same as an ask."""
    if name not in ("call", "send"):
        method = "".join(part.capitalize() for part in name.split("_"))
        return f"/restate.ingress.v1.Ingress/{method}", request.to_binary(), {}
    metadata = dict(request.headers)
    if request.has_field("idempotency_key"):
        metadata["idempotency-key"] = request.idempotency_key
    if name == "send":
        metadata["restate-send"] = "true"
        if request.delay is not None:
            millis = request.delay.seconds * 1000 + request.delay.nanos // 1_000_000
            metadata["restate-delay"] = f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"
    return f"/{request.service}/{request.handler}", request.request.value, metadata


def _answer_of(name: str, incoming: SessionIncoming, data: bytes) -> Any:
    """The answer that means the same as a gRPC response."""
    common: dict[str, Any] = {
        "invocation_id": incoming.invocation_id,
        "acceptance": _ACCEPTANCES.get(incoming.status, pb.Acceptance.UNSPECIFIED),
    }
    if name == "call":
        return Oneof(name, pb.CallResponse(**common, response=_one_of("payload", data)))
    if name == "send":
        return Oneof(name, pb.SendResponse(**common))
    return Oneof(name, _RESPONSES[name].from_binary(data if name in ("attach", "get_output", "lookup") else b""))


_RESPONSES: dict[str, Any] = {
    "attach": pb.AttachResponse,
    "get_output": pb.GetOutputResponse,
    "lookup": pb.LookupResponse,
    "cancel": pb.CancelResponse,
    "send_signal": pb.SendSignalResponse,
    "resolve_awakeable": pb.ResolveAwakeableResponse,
    "reject_awakeable": pb.RejectAwakeableResponse,
}


class Handlers(grpc.GenericRpcHandler):
    """Serves every path."""

    def __init__(self, ingress: FakeIngress) -> None:
        self._ingress = ingress

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = handler_call_details.method
        if method == SESSION:
            return grpc.stream_stream_rpc_method_handler(self._session)

        async def unary(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            metadata = dict(handler_call_details.invocation_metadata)
            return await self._ingress.handle(UnaryIncoming(method, data, metadata, context))

        return grpc.unary_unary_rpc_method_handler(unary)

    async def _session(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if self._ingress.credits is None:
            source = (("restate-error-source", "ingress"),)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this runtime has no method Session", source)
        session = FakeSession(self._ingress, context)
        self._ingress.sessions.append(session)
        await session.serve(requests)
