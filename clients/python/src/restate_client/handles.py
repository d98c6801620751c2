"""Handles of invocations, over a connection.

A handle names one invocation, by its id or by what it was called with: it reads its result, cancels it and gives it
signals through the runtime's Ingress service. It holds no result itself, and making one asks nobody.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from restate_protocol.services import HandlerDescriptor

from . import outgoing as out
from .outgoing import InvocationName
from .replies import KnownInvocation, SendStatus
from .wire import seconds

if TYPE_CHECKING:
    from .connection import Connection
    from .sync import BlockingConnection

__all__ = ["BlockingHandle", "BlockingSendHandle", "Handle", "KnownInvocation", "SendHandle", "SendStatus"]

Res = TypeVar("Res")


class Handle(Generic[Res]):
    """An invocation that somebody called or sent. Made by `.handle(…)` of a client's method.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was called.
        name: which invocation it is.
    """

    __slots__ = ("_connection", "_handler", "_name")

    def __init__(self, connection: Connection, handler: HandlerDescriptor[Any, Res], name: InvocationName) -> None:
        self._connection = connection
        self._handler = handler
        self._name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._name)!r})"

    @property
    def invocation_id(self) -> str | None:
        """inv_…; None where the handle was made from a key: `lookup` gives it."""
        return self._name.invocation_id

    async def attach(self, *, timeout: timedelta | None = None) -> Res:  # noqa: ASYNC109 - a gRPC deadline
        """Waits for the result. May be called again, from anywhere, while the runtime keeps the result.

        Args:
            timeout: how long to wait. The invocation goes on after that.

        Raises:
            TerminalError: the invocation failed for good; a generated class where the contract declares one.
            InvocationNotFound: the runtime does not have the invocation, or no longer.
        """
        return await self._connection._attach(self._handler, self._name, timeout)

    async def output(self, *, timeout: timedelta | None = None) -> Res | None:  # noqa: ASYNC109 - a gRPC deadline
        """The result if it is there already, None while the invocation goes on.

        Args:
            timeout: how long to wait for the runtime's answer.

        Raises:
            TerminalError: the invocation failed for good; a generated class where the contract declares one.
            InvocationNotFound: the runtime does not have the invocation, or no longer.
        """
        return await self._connection._output(self._handler, self._name, timeout)

    async def lookup(self, *, timeout: timedelta | None = None) -> KnownInvocation:  # noqa: ASYNC109 - a gRPC deadline
        """Which invocation it is, and whether its result is there.

        Args:
            timeout: how long to wait for the runtime's answer.

        Raises:
            InvocationNotFound: the runtime does not have the invocation, or no longer.
        """
        return await self._connection._lookup(self._name, timeout)

    async def cancel(self, *, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109 - a gRPC deadline
        """Asks the invocation to end: what it awaits fails with CANCELLED, its code cleans up. Durable on return.

        It is journaled each time. The invocation has not ended on return: `attach` waits for that. One that is paused
        hears of it when somebody resumes it.

        Args:
            timeout: how long to wait for the runtime's answer.

        Raises:
            InvocationNotFound: the runtime does not have the invocation, or no longer.
            AlreadyCompleted: it is over.
        """
        await self._connection._exchange(out.cancel(self._name, seconds(timeout)))

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
            InvocationNotFound: the runtime does not have the invocation, or no longer.
            AlreadyCompleted: it is over.
        """
        await self._connection._exchange(out.send_signal(self._name, name, value, seconds(timeout)))

    async def reject_signal(
        self,
        name: str,
        message: str,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a gRPC deadline
    ) -> None:
        """Gives the invocation a named signal that is a failure: who awaits it gets a TerminalError. Journaled.

        Args:
            name: not empty, and not beginning with `restate.`.
            message: what happened, for people.
            timeout: how long to wait for the runtime's answer.

        Raises:
            ValueError: the name is empty or the runtime's own.
            InvocationNotFound: the runtime does not have the invocation, or no longer.
            AlreadyCompleted: it is over.
        """
        await self._connection._exchange(out.reject_signal(self._name, name, message, seconds(timeout)))


class SendHandle(Handle[Res]):
    """An invocation that was sent over this connection.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was sent to.
        invocation_id: inv_…
        status: whether the send made the invocation.
    """

    __slots__ = ("_id", "status")

    def __init__(
        self, connection: Connection, handler: HandlerDescriptor[Any, Res], invocation_id: str, status: SendStatus
    ) -> None:
        super().__init__(connection, handler, InvocationName(invocation_id))
        self._id = invocation_id
        self.status = status

    def __repr__(self) -> str:
        return f"SendHandle({self._id!r}, {self.status.name})"

    @property
    def invocation_id(self) -> str:
        """inv_…"""
        return self._id


class BlockingHandle(Generic[Res]):
    """An invocation that somebody called or sent, over a blocking connection. The twin of `Handle`.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was called.
        name: which invocation it is.
    """

    __slots__ = ("_connection", "_handler", "_name")

    def __init__(
        self, connection: BlockingConnection, handler: HandlerDescriptor[Any, Res], name: InvocationName
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._name)!r})"

    @property
    def invocation_id(self) -> str | None:
        """inv_…; None where the handle was made from a key: `lookup` gives it."""
        return self._name.invocation_id

    def attach(self, *, timeout: timedelta | None = None) -> Res:
        """Waits for the result, as `Handle.attach` does."""
        return self._connection._attach(self._handler, self._name, timeout)

    def output(self, *, timeout: timedelta | None = None) -> Res | None:
        """The result if it is there already, None while the invocation goes on, as `Handle.output` has it."""
        return self._connection._output(self._handler, self._name, timeout)

    def lookup(self, *, timeout: timedelta | None = None) -> KnownInvocation:
        """Which invocation it is, and whether its result is there, as `Handle.lookup` has it."""
        return self._connection._lookup(self._name, timeout)

    def cancel(self, *, timeout: timedelta | None = None) -> None:
        """Asks the invocation to end, as `Handle.cancel` does."""
        self._connection._exchange(out.cancel(self._name, seconds(timeout)))

    def signal(self, name: str, value: object = None, *, timeout: timedelta | None = None) -> None:
        """Gives the invocation a named signal, as `Handle.signal` does."""
        self._connection._exchange(out.send_signal(self._name, name, value, seconds(timeout)))

    def reject_signal(self, name: str, message: str, *, timeout: timedelta | None = None) -> None:
        """Gives the invocation a named signal that is a failure, as `Handle.reject_signal` does."""
        self._connection._exchange(out.reject_signal(self._name, name, message, seconds(timeout)))


class BlockingSendHandle(BlockingHandle[Res]):
    """An invocation that was sent over this blocking connection. The twin of `SendHandle`.

    Args:
        connection: the connection to the runtime that has the invocation.
        handler: the rpc that was sent to.
        invocation_id: inv_…
        status: whether the send made the invocation.
    """

    __slots__ = ("_id", "status")

    def __init__(
        self,
        connection: BlockingConnection,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str,
        status: SendStatus,
    ) -> None:
        super().__init__(connection, handler, InvocationName(invocation_id))
        self._id = invocation_id
        self.status = status

    def __repr__(self) -> str:
        return f"BlockingSendHandle({self._id!r}, {self.status.name})"

    @property
    def invocation_id(self) -> str:
        """inv_…"""
        return self._id
