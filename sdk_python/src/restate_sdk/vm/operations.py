"""Operations on time, other invocations, awakeables and promises: each is one command."""

from __future__ import annotations

from typing import Any

from restate_protocol import ids, journal
from restate_protocol.awaiting import OnSignal
from restate_protocol.journal import Headers, Result, Void

from .awaiting import Handle
from .commands import Commands
from .journal import read_command


class Operations(Commands):
    """Everything but runs and state."""

    __slots__ = ()

    def sys_sleep(self, wake_at_ms: int, name: str = "") -> int:
        """A timer. On replay the recorded time stands."""
        return self._issue(journal.Sleep(wake_at_ms, name))

    def sys_call(
        self,
        target: tuple[str, str, str | None],
        payload: bytes,
        *,
        workflow_run: bool = False,
        idempotency_key: str = "",
        headers: Headers = (),
        message: type[Any] | None = None,
    ) -> int:
        """A call of (service, handler, key); its completion is the response."""
        service, handler, key = target
        self._check_size(payload, f"the request of {service}/{handler}")
        callee = self._callee(target, workflow_run=workflow_run, idempotency_key=idempotency_key)
        number = self._issue(
            journal.Call(service, handler, key, payload, callee, idempotency_key, headers),
            message,
        )
        self._calls[number] = callee
        return number

    def callee_of(self, call: int) -> bytes:
        """The invocation that a call made."""
        return self._calls[call]

    def sys_send(
        self,
        target: tuple[str, str, str | None],
        payload: bytes,
        *,
        workflow_run: bool = False,
        idempotency_key: str = "",
        headers: Headers = (),
        execute_at_ms: int = 0,
        message: type[Any] | None = None,
    ) -> tuple[int, bytes]:
        """A one-way call. Gives a handle that is settled at once, and the id of the new invocation."""
        service, handler, key = target
        self._check_size(payload, f"the request of {service}/{handler}")
        callee = self._callee(target, workflow_run=workflow_run, idempotency_key=idempotency_key)
        number = self._issue(
            journal.Send(service, handler, key, payload, callee, idempotency_key, headers, execute_at_ms),
            message,
        )
        self._results.show(number, Void())
        return number, callee

    def _callee(self, target: tuple[str, str, str | None], *, workflow_run: bool, idempotency_key: str) -> bytes:
        service, handler, key = target
        if workflow_run and key is not None:
            return ids.workflow_invocation_id(service, key)
        if idempotency_key:
            return ids.idempotent_invocation_id(service, handler, key, idempotency_key)
        child = ids.child_invocation_id(self.invocation_id, self._next)
        if not self._recording.left or child in self._recording.peek():
            return child
        # An invocation that was restarted has recorded the calls of its origin.
        then = read_command(self._recording.peek())
        return then.invocation_id if isinstance(then, journal.Call | journal.Send) else child

    def sys_awakeable(self, type_name: str) -> int:
        """A new awakeable. Its number is the handle, negated."""
        self._issue(journal.Awakeable(self.awakeables + 1, type_name))
        self.awakeables += 1
        return -self.awakeables

    def awakeable_id(self, handle: int) -> str:
        """awk_… of an awakeable of this invocation."""
        return ids.awakeable_id_text(self.invocation_id, -handle)

    def sys_complete_awakeable(self, awakeable_id: str, result: Result, message: type[Any] | None = None) -> None:
        """Resolves or rejects an awakeable of some invocation."""
        self._check_result(result, f"the result of awakeable {awakeable_id}")
        self._issue(journal.CompleteAwakeable(awakeable_id, result), message)

    def sys_get_promise(self, number: int) -> int:
        """The result of a workflow promise, once it has one."""
        return self._issue(journal.GetPromise(number))

    def sys_peek_promise(self, number: int) -> int:
        """The result of a workflow promise, or Void."""
        return self._issue(journal.PeekPromise(number))

    def sys_complete_promise(self, number: int, result: Result, message: type[Any] | None = None) -> int:
        """Completes a workflow promise: Void, or a failure where it was completed before."""
        self._check_result(result, f"the result of promise field {number}")
        return self._issue(journal.CompletePromise(number, result), message)

    def sys_attach(self, invocation_id: bytes) -> int:
        """The result of another invocation."""
        return self._issue(journal.Attach(invocation_id))

    def sys_cancel(self, invocation_id: bytes) -> int:
        """Asks another invocation to end. Gives a handle that is settled at once."""
        return self._settled(self._issue(journal.Cancel(invocation_id)))

    # Signals

    def sys_signal(self, name: str) -> Handle:
        """The next signal of this name. Not a command: its number is how often the handler asked for the name."""
        self.check_open()
        self._signals[name] = number = self._signals.get(name, 0) + 1
        return OnSignal(name, number)

    def sys_send_signal(self, invocation_id: bytes, name: str, result: Result, message: type[Any] | None = None) -> int:
        """Gives another invocation a signal. Gives a handle that is settled at once."""
        self._check_result(result, f"signal {name!r}")
        return self._settled(self._issue(journal.SendSignal(invocation_id, name, result), message))

    def _settled(self, number: int) -> int:
        self._results.show(number, Void())
        return number
