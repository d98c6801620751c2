"""Other invocations, seen from a handler: calling and sending to them, and what can be done once their id is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from restate_protocol import codec, ids
from restate_protocol.callers import CallOptions, ContextCaller
from restate_protocol.errors import TypedError
from restate_protocol.futures import DurableFuture
from restate_protocol.handles import InvocationHandle
from restate_protocol.journal import Failure, Result
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_protocol.status import StatusCode
from restate_protocol.targets import check_only_id, target_name

from . import calls
from .attempt import Attempt
from .futures import CommandFuture, SentCall
from .serde import Serde

T = TypeVar("T")
Res = TypeVar("Res")


class Invocation(InvocationHandle[Res]):
    """Another invocation, known by its id.

    Args:
        attempt: whose handler knows it.
        target: its id.
        read: makes the value of its result.
        errors: the typed errors that its failure may be. Default: all that are known.
    """

    def __init__(
        self,
        attempt: Attempt,
        target: bytes,
        read: Callable[[Result], Res],
        errors: Sequence[type[TypedError[Any]]] | None = None,
    ) -> None:
        self._attempt = attempt
        self._target = target
        self._read = read
        self._errors = errors

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.invocation_id}>"

    @property
    def invocation_id(self) -> str:
        return ids.invocation_id_text(self._target)

    def attach(self) -> DurableFuture[Res]:
        self._attempt.check()
        handle = self._attempt.machine.sys_attach(self._target)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, self._read, self._errors)

    def cancel(self) -> DurableFuture[None]:
        self._attempt.check()
        handle = self._attempt.machine.sys_cancel(self._target)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, _nothing, ())

    def signal(self, name: str, value: object = None, *, serde: Serde[Any] | None = None) -> DurableFuture[None]:
        calls.check_signal_name(name)
        written, message = calls.given_value(value, f"signal {name!r}", serde)
        return self._send_signal(name, written, message)

    def reject_signal(self, name: str, message: str, *, code: StatusCode = StatusCode.UNKNOWN) -> DurableFuture[None]:
        calls.check_signal_name(name)
        return self._send_signal(name, Failure(code, message), None)

    def _send_signal(self, name: str, result: Result, message: type[Any] | None) -> DurableFuture[None]:
        self._attempt.check()
        handle = self._attempt.machine.sys_send_signal(self._target, name, result, message)
        self._attempt.wake()
        return CommandFuture(self._attempt, handle, _nothing, ())


class InvocationOperations(ContextCaller):
    """What a context does with other invocations. The first three are the seam under generated clients."""

    _attempt: Attempt

    def _restate_call(self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions) -> Any:
        attempt = self._attempt
        attempt.check()
        handle = attempt.machine.sys_call(
            (handler.service, handler.name, handler.key_of(request)),
            codec.encode(request),
            workflow_run=handler.mode is HandlerMode.RUN,
            idempotency_key=calls.idempotency_key(handler, request, options),
            headers=calls.headers(options.headers),
            message=handler.request,
        )
        attempt.wake()
        return SentCall(attempt, handle, partial(calls.read_response, handler), handler.errors)

    def _restate_send(self, handler: HandlerDescriptor[Any, Res], request: Any, options: CallOptions) -> Any:
        attempt = self._attempt
        attempt.check()
        handle, callee = attempt.machine.sys_send(
            (handler.service, handler.name, handler.key_of(request)),
            codec.encode(request),
            workflow_run=handler.mode is HandlerMode.RUN,
            idempotency_key=calls.idempotency_key(handler, request, options),
            headers=calls.headers(options.headers),
            execute_at_ms=attempt.due_ms(options.delay) if options.delay else 0,
            message=handler.request,
        )
        attempt.wake()
        sent = Invocation(attempt, callee, partial(calls.read_response, handler), handler.errors)
        return CommandFuture(attempt, handle, lambda _: sent, ())

    def _restate_handle(
        self,
        handler: HandlerDescriptor[Any, Res],
        invocation_id: str | None,
        key: str | int | None,
        idempotency_key: str | None,
    ) -> InvocationHandle[Res]:
        if invocation_id is None:
            target = target_name(handler, key, idempotency_key).invocation_id()
        else:
            check_only_id(key, idempotency_key)
            target = ids.parse_invocation_id(invocation_id)
        return Invocation(self._attempt, target, partial(calls.read_response, handler), handler.errors)

    @overload
    def attach(self, invocation: InvocationHandle[Res], /) -> DurableFuture[Res]: ...

    @overload
    def attach(self, invocation: str, /, returns: type[T]) -> DurableFuture[T]: ...

    @overload
    def attach(self, invocation: str, /) -> DurableFuture[bytes]: ...

    def attach(
        self, invocation: InvocationHandle[Any] | str, /, returns: type[Any] | None = None
    ) -> DurableFuture[Any]:
        """The result of an invocation that was started before. Journaled.

        Args:
            invocation: the handle of a send, or inv_….
            returns: class of the response, where only the id is known. Default: its bytes.

        Raises:
            IdError: the text is not an invocation id.
            TerminalError: when awaited: that invocation failed, or is not known.
        """
        if not isinstance(invocation, str):
            return invocation.attach()
        return self.invocation(invocation, returns=bytes if returns is None else returns).attach()

    @overload
    def invocation(self, invocation_id: str, /, *, returns: type[T]) -> InvocationHandle[T]: ...

    @overload
    def invocation(self, invocation_id: str, /) -> InvocationHandle[bytes]: ...

    def invocation(self, invocation_id: str, /, *, returns: type[Any] | None = None) -> InvocationHandle[Any]:
        """The handle of an invocation of which the id is known. Journals nothing; what is done with it is journaled.

        Args:
            invocation_id: inv_….
            returns: class of the response. Default: its bytes.

        Raises:
            IdError: it is not an invocation id.
        """
        target = ids.parse_invocation_id(invocation_id)
        return Invocation(self._attempt, target, partial(calls.read_attached, returns))

    def cancel(self, invocation_id: str, /) -> DurableFuture[None]:
        """Asks another invocation to end: what it awaits fails with CANCELLED. Journaled.

        It is settled at once. An invocation that is over, or unknown, stays as it is.

        Args:
            invocation_id: inv_….

        Raises:
            IdError: it is not an invocation id.
        """
        return self.invocation(invocation_id).cancel()


def _nothing(_: Result) -> None:
    return None
