"""Asynchronous connections to a runtime.

A connection knows no services; generated clients bring descriptors. It makes calls again where that is safe (`retry`),
over a session or one by one (`session`, `aio`). One connection serves any number of tasks of its event loop.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from restate_protocol.callers import CallOptions, ConnectionCaller
from restate_protocol.services import HandlerDescriptor
from restate_protocol.status import StatusCode

from . import outgoing as out
from .aio import AioChannel, Transport, UnaryTransport
from .channels import Keepalive, Tls
from .clocks import AsyncClock, SystemAsyncClock
from .failures import CallFailed, Failure, NotCompleted
from .handles import Handle, SendHandle
from .outgoing import InvocationName, Outgoing
from .replies import KnownInvocation, Reply, decode_response, found, sent
from .retry import Again, RetryPolicy, Tries
from .session import SessionTransport
from .settings import DEFAULT_KEEPALIVE, DEFAULT_RETRY, MAX_REQUEST_BYTES, Settings, settings_of
from .wire import seconds

Res = TypeVar("Res")


def connect(
    address: str = "localhost:8080",
    *,
    tls: Tls | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    retry: RetryPolicy | None = DEFAULT_RETRY,
    timeout: timedelta | None = None,
    keepalive: Keepalive | None = DEFAULT_KEEPALIVE,
    max_request_bytes: int = MAX_REQUEST_BYTES,
    session: bool = True,
) -> Connection:
    """A connection to the gRPC ingress of a runtime; use it as `async with connect(…) as restate:`.

    It connects on the first call and again whenever the connection was lost. It belongs to the process and the event
    loop of its first call.

    Args:
        address: host and port of the gRPC ingress. Without a port: 8080.
        tls: TLS options. Default: plain text.
        headers: metadata of every call, for example `{"authorization": "Bearer …"}`.
        retry: how calls that failed are made again, where that is safe. None: they are not.
        timeout: how long each call waits that has no timeout of its own. Default: for ever.
        keepalive: pings while calls wait, so that a connection that broke without a word is noticed. Default: after a
            minute of silence. None: no pings.
        max_request_bytes: the longest request, in bytes. Default 32 MiB, as the runtime has it.
        session: many calls share one stream. False: each is a gRPC call of its own.

    Raises:
        ValueError: the address is a URL, a header is not allowed, or an option makes no sense.
    """
    settings = settings_of(address, tls, headers, retry, timeout, keepalive, max_request_bytes)
    return Connection(settings, session=session)


class Connection(ConnectionCaller):
    """A connection to a runtime. Made by `connect`; generated clients take it."""

    def __init__(self, settings: Settings, *, session: bool = True, clock: AsyncClock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemAsyncClock()
        self._channel = AioChannel(settings)
        unary = UnaryTransport(self._channel)
        self._transport: Transport = SessionTransport(self._channel, unary) if session else unary

    def __repr__(self) -> str:
        return f"Connection({self._settings.target!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection and the calls that wait on it. Their invocations go on."""
        self._channel.closed = True
        await self._transport.close()
        await self._channel.close()

    async def resolve_awakeable(
        self,
        awakeable_id: str,
        value: object,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Completes an awakeable. Durable on return.

        Args:
            awakeable_id: awk_…
            value: a message, bytes, or anything JSON can say.
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an awakeable id.
            InvocationNotFound: there is no such awakeable.
            AlreadyCompleted: it is completed already.
            InvalidRequest: the awakeable was made for another type.
        """
        await self._exchange(out.resolve_awakeable(awakeable_id, value, seconds(timeout)))

    async def reject_awakeable(
        self,
        awakeable_id: str,
        message: str,
        *,
        code: StatusCode = StatusCode.UNKNOWN,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Fails an awakeable: who waits for it gets a TerminalError. Durable on return.

        Args:
            awakeable_id: awk_…
            message: what happened, for people.
            code: the code of the error.
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an awakeable id.
            InvocationNotFound: there is no such awakeable.
            AlreadyCompleted: it is completed already.
        """
        await self._exchange(out.reject_awakeable(awakeable_id, message, code, seconds(timeout)))

    async def lookup(self, invocation_id: str, *, timeout: timedelta | None = None) -> KnownInvocation:  # noqa: ASYNC109
        """What the runtime has under an id.

        Args:
            invocation_id: inv_…
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            InvocationNotFound: there is no such invocation.
        """
        return await self._lookup(out.by_id(invocation_id), timeout)

    async def cancel(self, invocation_id: str, *, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109
        """Asks an invocation to end, as `Handle.cancel` does, by its id.

        Args:
            invocation_id: inv_…
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            InvocationNotFound: there is no such invocation.
            AlreadyCompleted: it is over.
        """
        await self._exchange(out.cancel(out.by_id(invocation_id), seconds(timeout)))

    async def signal(
        self,
        invocation_id: str,
        name: str,
        value: object = None,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Gives a named signal to an invocation, as `Handle.signal` does, by its id.

        Args:
            invocation_id: inv_…
            name: not empty, and not beginning with `restate.`.
            value: a message, bytes, or anything JSON can say.
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            ValueError: the name is empty or the runtime's own.
            InvocationNotFound: there is no such invocation.
            AlreadyCompleted: it is over.
        """
        await self._exchange(out.send_signal(out.by_id(invocation_id), name, value, seconds(timeout)))

    async def reject_signal(
        self,
        invocation_id: str,
        name: str,
        message: str,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Gives an invocation a named signal that is a failure, as `Handle.reject_signal` does, by its id.

        Args:
            invocation_id: inv_…
            name: not empty, and not beginning with `restate.`.
            message: what happened, for people.
            timeout: how long to wait for the runtime's answer.

        Raises:
            IdError: it is not an invocation id.
            ValueError: the name is empty or the runtime's own.
            InvocationNotFound: there is no such invocation.
            AlreadyCompleted: it is over.
        """
        await self._exchange(out.reject_signal(out.by_id(invocation_id), name, message, seconds(timeout)))

    def _restate_call(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> Coroutine[Any, Any, Res]:
        # Encoded here, not in the coroutine: mistakes show at the caller's line, later changes of the request do not.
        return self._call(handler, out.call(handler, request, options))

    def _restate_send(
        self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions
    ) -> Coroutine[Any, Any, SendHandle[Res]]:
        return self._send(handler, out.send(handler, request, options))

    def _restate_handle(
        self,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str | None,
        key: str | int | None,
        idempotency_key: str | None,
    ) -> Handle[Res]:
        return Handle(self, handler, out.name_of(handler, invocation_id, key, idempotency_key))

    async def _call(self, handler: HandlerDescriptor[Any, Res], outgoing: Outgoing) -> Res:
        return decode_response(handler, (await self._exchange(outgoing)).payload)

    async def _send(self, handler: HandlerDescriptor[Any, Res], outgoing: Outgoing) -> SendHandle[Res]:
        return SendHandle(self, handler, *sent(await self._exchange(outgoing)))

    async def _attach(
        self,
        handler: HandlerDescriptor[Any, Res],
        name: InvocationName,
        timeout: timedelta | None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> Res:
        return await self._call(handler, out.attach(handler, name, seconds(timeout)))

    async def _output(
        self,
        handler: HandlerDescriptor[Any, Res],
        name: InvocationName,
        timeout: timedelta | None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> Res | None:
        try:
            return await self._call(handler, out.get_output(handler, name, seconds(timeout)))
        except NotCompleted:
            return None

    async def _lookup(self, name: InvocationName, timeout: timedelta | None) -> KnownInvocation:  # noqa: ASYNC109
        return found(await self._exchange(out.lookup(name, seconds(timeout))))

    async def _exchange(self, outgoing: Outgoing) -> Reply:
        """Asks, and asks again where that is safe."""
        settings = self._settings
        timeout_s = settings.wait_s(outgoing)
        began_s = self._clock.now_s()
        try:
            return await self._transport.exchange(outgoing, timeout_s)
        except CallFailed as error:
            failure = error.failure
        return await self._persist(Tries(settings.target, settings.retry, outgoing, began_s, timeout_s), failure)

    async def _persist(self, tries: Tries, failure: Failure) -> Reply:
        """What becomes of a call whose first try failed."""
        while True:
            step = tries.after(failure, self._clock.now_s(), self._clock.luck())
            if isinstance(step, Reply):
                return step
            if not isinstance(step, Again):
                raise step
            await self._clock.sleep(step.wait_s)
            try:
                return await self._transport.exchange(step.outgoing, step.timeout_s)
            except CallFailed as error:
                failure = error.failure
