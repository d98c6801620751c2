"""Handles of invocations that were sent over a connection.

A handle names one invocation: it reads its result, cancels it and gives it signals through the runtime's Ingress
service. It holds no result itself.
"""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from restate_protocol.services import HandlerDescriptor

if TYPE_CHECKING:
    from .connection import Connection
    from .sync import BlockingConnection

Res = TypeVar("Res")


class SendStatus(enum.Enum):
    """What the runtime did with a send."""

    ACCEPTED = "accepted"  # it made an invocation
    PREVIOUSLY_ACCEPTED = "previously-accepted"  # the invocation was there already: same idempotency key or workflow


class SendHandle(Generic[Res]):
    """An invocation that was sent over a connection.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was sent to.
        invocation_id: inv_…
        status: whether the send made the invocation.
    """

    __slots__ = ("_connection", "_handler", "invocation_id", "status")

    def __init__(
        self, connection: Connection, handler: HandlerDescriptor[Any, Res], invocation_id: str, status: SendStatus
    ) -> None:
        self._connection = connection
        self._handler = handler
        self.invocation_id = invocation_id
        self.status = status

    def __repr__(self) -> str:
        return f"SendHandle({self.invocation_id!r}, {self.status.name})"

    async def attach(self, *, timeout: timedelta | None = None) -> Res:  # noqa: ASYNC109 - a gRPC deadline
        """Waits for the result. May be called again, from anywhere, while the runtime keeps the result.

        Args:
            timeout: how long to wait. The invocation goes on after that.

        Raises:
            TerminalError: the invocation failed for good; a generated class where the contract declares one.
            InvocationNotFound: the runtime no longer has the invocation.
        """
        return await self._connection._attach(self._handler, self.invocation_id, timeout)

    async def output(self, *, timeout: timedelta | None = None) -> Res | None:  # noqa: ASYNC109 - a gRPC deadline
        """The result if it is there already, None while the invocation goes on.

        Args:
            timeout: how long to wait for the runtime's answer.

        Raises:
            TerminalError: the invocation failed for good; a generated class where the contract declares one.
            InvocationNotFound: the runtime no longer has the invocation.
        """
        return await self._connection._output(self._handler, self.invocation_id, timeout)

    async def cancel(self, *, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109 - a gRPC deadline
        """Asks the invocation to end: what it awaits fails with CANCELLED, its code cleans up. Durable on return.

        It is journaled each time. The invocation has not ended on return: `attach` waits for that. One that is paused
        hears of it when somebody resumes it.

        Args:
            timeout: how long to wait for the runtime's answer.

        Raises:
            InvocationNotFound: the runtime no longer has the invocation.
            AlreadyCompleted: it is over.
        """
        await self._connection.cancel(self.invocation_id, timeout=timeout)

    async def signal(
        self,
        name: str,
        value: object = None,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Gives the invocation a named signal. Journaled, so durable on return.

        Its handler gets the signals of one name in the order in which these calls returned; those that nobody asked
        for yet wait.

        Args:
            name: not empty, and not beginning with `restate.`.
            value: a message, bytes, or anything JSON can say.
            timeout: how long to wait for the runtime's answer.

        Raises:
            ValueError: the name is empty or the runtime's own.
            TypeError: the value is no message, no bytes, and not JSON.
            InvocationNotFound: the runtime no longer has the invocation.
            AlreadyCompleted: it is over.
        """
        await self._connection.signal(self.invocation_id, name, value, timeout=timeout)


class BlockingSendHandle(Generic[Res]):
    """An invocation that was sent over a blocking connection.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was sent to.
        invocation_id: inv_…
        status: whether the send made the invocation.
    """

    __slots__ = ("_connection", "_handler", "invocation_id", "status")

    def __init__(
        self,
        connection: BlockingConnection,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str,
        status: SendStatus,
    ) -> None:
        self._connection = connection
        self._handler = handler
        self.invocation_id = invocation_id
        self.status = status

    def __repr__(self) -> str:
        return f"BlockingSendHandle({self.invocation_id!r}, {self.status.name})"

    def attach(self, *, timeout: timedelta | None = None) -> Res:
        """Waits for the result, as `SendHandle.attach` does."""
        return self._connection._attach(self._handler, self.invocation_id, timeout)

    def output(self, *, timeout: timedelta | None = None) -> Res | None:
        """The result if it is there already, None while the invocation goes on, as `SendHandle.output` has it."""
        return self._connection._output(self._handler, self.invocation_id, timeout)

    def cancel(self, *, timeout: timedelta | None = None) -> None:
        """Asks the invocation to end, as `SendHandle.cancel` does."""
        self._connection.cancel(self.invocation_id, timeout=timeout)

    def signal(self, name: str, value: object = None, *, timeout: timedelta | None = None) -> None:
        """Gives the invocation a named signal, as `SendHandle.signal` does."""
        self._connection.signal(self.invocation_id, name, value, timeout=timeout)
