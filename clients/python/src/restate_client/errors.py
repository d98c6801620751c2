"""The errors of a call over a connection.

RestateError                         restate_protocol.errors
├── TerminalError                    the handler said it: the invocation failed for good
│   └── TypedError                   base of the classes generated from `errors`
├── ConnectionMisused                the connection was opened in another process or event loop
└── IngressError                     the runtime's door said it, or nobody answered
    ├── ConnectionFailed             nobody answers at the address, or the connection broke
    │   └── RuntimeStopping          the runtime is shutting down
    ├── CallTimeout                  the caller's timeout passed; the invocation goes on (also a TimeoutError)
    ├── InvalidRequest               the contract does not allow this request
    ├── MessageTooLong               the request is longer than the limit
    ├── UnknownHandler               no registered deployment has this service or handler
    ├── PrivateHandler               only other handlers may call it
    ├── WorkflowAlreadyStarted       the workflow of this key has run or is running
    ├── IdempotencyKeyReused         the idempotency key belongs to another request
    ├── InvocationNotFound           there is no such invocation, or it was purged
    ├── AlreadyCompleted             it is over: nothing to cancel, nobody to signal, nothing to complete
    ├── Overloaded                   the runtime takes no more for now
    └── RuntimeFailed                a defect of the runtime

A TerminalError is the result of an invocation. An IngressError is not: except for a timeout or a broken connection,
no invocation was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from restate_protocol.errors import RestateError, TerminalError, TypedError
from restate_protocol.status import StatusCode

__all__ = [
    "AlreadyCompleted",
    "CallTimeout",
    "ConnectionFailed",
    "ConnectionMisused",
    "FieldViolation",
    "IdempotencyKeyReused",
    "IngressError",
    "InvalidRequest",
    "InvocationNotFound",
    "MessageTooLong",
    "Overloaded",
    "PrivateHandler",
    "RestateError",
    "RuntimeFailed",
    "RuntimeStopping",
    "TerminalError",
    "TypedError",
    "UnknownHandler",
    "WorkflowAlreadyStarted",
]


class ConnectionMisused(RestateError, RuntimeError):
    """A connection was used in another process or event loop than the one that opened it. Connect there."""


class IngressError(RestateError):
    """A call that gave no result of an invocation.

    Args:
        message: what happened, where, and what to do.
        code: the gRPC status code.
        invocation_id: inv_… where the runtime had accepted the call before the error; it goes on there.

    Attributes:
        reason: why the ingress refused it, for programs, as the reference of the ingress lists it: `missing_key`,
            `overload_waiting_callers`, … Empty where the ingress did not say it.
        tries: how often the connection asked before it gave up; 1 where it asked once.
    """

    def __init__(self, message: str, *, code: StatusCode, invocation_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.invocation_id = invocation_id
        self.reason = ""
        self.tries = 1

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class ConnectionFailed(IngressError):
    """Nobody answers at the address, or the connection broke, and retrying did not help or was not safe.

    The runtime may have accepted the call all the same. Repeating it is safe with an idempotency key; with
    `invocation_id`, attach to it.
    """


class RuntimeStopping(ConnectionFailed):
    """The runtime said that it is shutting down. What it accepted goes on after its restart."""


class CallTimeout(IngressError, TimeoutError):
    """The caller's timeout passed. An invocation that was accepted goes on: `invocation_id` says which."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that the contract does not allow.

    Args:
        field: path of the field in the request.
        description: what is wrong with it.
    """

    field: str
    description: str


class InvalidRequest(IngressError):
    """The contract does not allow this request; nothing was journaled.

    Args:
        message: what happened.
        violations: the fields at fault, as far as the runtime names them.
    """

    def __init__(self, message: str, *, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(message, code=StatusCode.INVALID_ARGUMENT)
        self.violations = violations


class MessageTooLong(IngressError):
    """The request is longer than the connection or the runtime allows; nothing was journaled."""


class UnknownHandler(IngressError):
    """No registered deployment has this service or handler."""


class PrivateHandler(IngressError):
    """The handler is private: other handlers may call it, the ingress may not."""


class WorkflowAlreadyStarted(IngressError):
    """The run handler of this key has run or is running. Send to it for a handle, and attach."""


class IdempotencyKeyReused(IngressError):
    """The idempotency key belongs to an invocation with another request; nothing was journaled.

    Give each request a key of its own. `invocation_id` is the invocation that has the key, where the runtime says so.
    """


class InvocationNotFound(IngressError):
    """There is no such invocation or awakeable, or its retention is over."""


class AlreadyCompleted(IngressError):
    """The invocation or awakeable is over: nothing to cancel, nobody to signal. Its result is there for `attach`."""


class Overloaded(IngressError):
    """The runtime takes no more for now; nothing was journaled.

    Args:
        message: what happened.
        retry_after: when to try again, where the runtime says so.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message, code=StatusCode.RESOURCE_EXHAUSTED)
        self.retry_after = retry_after


class RuntimeFailed(IngressError):
    """A defect of the runtime; its log says more."""
