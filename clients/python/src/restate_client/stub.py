"""What generated clients are made of: Client, and one Method for each rpc.

The same generated class serves handlers, asynchronous connections and blocking connections. Which one it was given
decides what its methods return, and type checkers see it: the overloads of Method are chosen by the caller's tag.
No logic here beyond checking the request's class; the caller does the work (`restate_protocol.callers`).
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from restate_protocol.callers import BlockingCaller, Caller, CallOptions, ConnectionCaller, ContextCaller
from restate_protocol.services import HandlerDescriptor

if TYPE_CHECKING:
    from restate_protocol.futures import CallFuture, DurableFuture
    from restate_protocol.handles import InvocationHandle

    from .handles import BlockingHandle, BlockingSendHandle, Handle, SendHandle

__all__ = ["Client", "Method"]

C_co = TypeVar("C_co", bound=Caller, covariant=True)
Req = TypeVar("Req")
Res = TypeVar("Res")

_NO_OPTIONS = CallOptions()


class Client(Generic[C_co]):
    """Base of generated clients. It has no public attributes, so that an rpc may have any name.

    Args:
        caller: a handler's context, a connection or a blocking connection.
    """

    __slots__ = ("_caller",)

    def __init__(self, caller: C_co) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._caller!r})"

    def _method(self, handler: HandlerDescriptor[Req, Res]) -> Method[C_co, Req, Res]:
        return Method(self._caller, handler)


class Method(Generic[C_co, Req, Res]):
    """One rpc of a service, bound to a caller: call it, `.send` to it, or get the `.handle` of an invocation."""

    __slots__ = ("_caller", "_handler")

    def __init__(self, caller: C_co, handler: HandlerDescriptor[Req, Res]) -> None:
        self._caller = caller
        self._handler = handler

    def __repr__(self) -> str:
        return f"Method({self._handler.service}/{self._handler.name})"

    @overload
    def __call__(
        self: Method[ContextCaller, Req, Res],
        request: Req,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> CallFuture[Res]: ...

    @overload
    def __call__(
        self: Method[ConnectionCaller, Req, Res],
        request: Req,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, Res]: ...

    @overload
    def __call__(
        self: Method[BlockingCaller, Req, Res],
        request: Req,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> Res: ...

    def __call__(
        self,
        request: Req,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> Any:
        """Calls the handler.

        In a handler the call is journaled and the result is a durable future that has the `.invocation_id`. On a
        connection it is a coroutine, on a blocking connection the response itself.

        Args:
            request: the request message.
            idempotency_key: calls with the same key have one result, for the handler's idempotency retention.
            headers: metadata for the callee. Bytes values need names that end in `-bin`.
            timeout: connections only: how long to wait. The invocation goes on after that.

        Raises:
            TerminalError: the invocation failed for good; a generated class where the contract declares one.
            IngressError: connections only: the runtime refused the call, or nobody answered.
            TypeError: the request is not this rpc's request message.
        """
        self._check(request)
        options = _NO_OPTIONS
        if idempotency_key is not None or headers or timeout is not None:
            options = CallOptions(idempotency_key, headers or {}, timeout)
        return self._caller._restate_call(self._handler, request, options)

    @overload
    def send(
        self: Method[ContextCaller, Req, Res],
        request: Req,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> DurableFuture[InvocationHandle[Res]]: ...

    @overload
    def send(
        self: Method[ConnectionCaller, Req, Res],
        request: Req,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, SendHandle[Res]]: ...

    @overload
    def send(
        self: Method[BlockingCaller, Req, Res],
        request: Req,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> BlockingSendHandle[Res]: ...

    def send(
        self,
        request: Req,
        /,
        *,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        timeout: timedelta | None = None,
    ) -> Any:
        """Sends to the handler one way: the invocation is durable, nobody waits for its result.

        In a handler the send is journaled. On a connection the handle exists once the runtime has the invocation.

        Args:
            request: the request message.
            delay: when the invocation is due, counted from now. Default: at once.
            idempotency_key: sends with the same key make one invocation, for the handler's idempotency retention.
            headers: metadata for the callee. Bytes values need names that end in `-bin`.
            timeout: connections only: how long to wait for the runtime's answer.

        Raises:
            IngressError: connections only: the runtime refused the send, or nobody answered.
            TypeError: the request is not this rpc's request message.
            ValueError: the delay is negative.
        """
        self._check(request)
        if delay is not None and delay < timedelta():
            raise ValueError(f"a delay cannot be negative: {delay.total_seconds():g} s")
        options = CallOptions(idempotency_key, headers or {}, timeout, delay)
        return self._caller._restate_send(self._handler, request, options)

    @overload
    def handle(self: Method[ContextCaller, Req, Res], invocation_id: str, /) -> InvocationHandle[Res]: ...

    @overload
    def handle(
        self: Method[ContextCaller, Req, Res], /, *, key: str | int | None = None, idempotency_key: str | None = None
    ) -> InvocationHandle[Res]: ...

    @overload
    def handle(self: Method[ConnectionCaller, Req, Res], invocation_id: str, /) -> Handle[Res]: ...

    @overload
    def handle(
        self: Method[ConnectionCaller, Req, Res],
        /,
        *,
        key: str | int | None = None,
        idempotency_key: str | None = None,
    ) -> Handle[Res]: ...

    @overload
    def handle(self: Method[BlockingCaller, Req, Res], invocation_id: str, /) -> BlockingHandle[Res]: ...

    @overload
    def handle(
        self: Method[BlockingCaller, Req, Res], /, *, key: str | int | None = None, idempotency_key: str | None = None
    ) -> BlockingHandle[Res]: ...

    def handle(
        self,
        invocation_id: str | None = None,
        /,
        *,
        key: str | int | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """The handle of an invocation of this rpc that was made before: to attach to it, cancel it, signal it.

        Nothing is asked of the runtime, and nothing is journaled: what is done with the handle is.

        Args:
            invocation_id: inv_…. Where it is not known, say what the invocation was called with:
            key: of the object or workflow. The run of a workflow needs no more than this.
            idempotency_key: the key that the caller gave, or the request's annotated field had.

        Raises:
            IdError: it is not an invocation id.
            ValueError: this does not name an invocation of this rpc.
        """
        return self._caller._restate_handle(self._handler, invocation_id, key, idempotency_key)

    def _check(self, request: object) -> None:
        """Catches the wrong message here, where the traceback names the caller's line."""
        expected = self._handler.request
        if not isinstance(request, expected):
            rpc = f"{self._handler.service}/{self._handler.name}"
            raise TypeError(f"{rpc} takes a {expected.__name__}, not a {type(request).__name__}")
