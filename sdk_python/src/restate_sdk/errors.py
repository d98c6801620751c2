"""The errors a handler raises and meets.

RestateError
├── TerminalError            fails the invocation for good; raised, or met at a call that failed
│   ├── TypedError           base of the classes generated from `errors` in the contract
│   └── DurableTimeout       a durable timeout came first; a builtin TimeoutError too
├── RetryableError           fails the attempt and says when the next one is due
├── MisuseError              the context was used where or how it must not be; the attempt fails
└── EndpointError            the endpoint cannot serve: a port in use, two services of one name
AttemptOver (BaseException)  control flow of the SDK: never catch it

Any other exception in a handler or a `ctx.run` function fails the attempt, and the runtime tries again under the
handler's retry policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from restate_protocol.errors import RestateError, TerminalError, TypedError
from restate_protocol.status import StatusCode

from .vm.errors import AttemptOver, JournalMismatch, Suspended

__all__ = [
    "AttemptOver",
    "DurableTimeout",
    "EndpointError",
    "JournalMismatch",
    "MisuseError",
    "RestateError",
    "RetryableError",
    "StatusCode",
    "Suspended",
    "TerminalError",
    "TypedError",
]


class RetryableError(RestateError):
    """The attempt failed, and the next one is due at a time the code knows better than the retry policy.

    Args:
        message: what happened, for people.
        retry_after: how long to wait before the next attempt. Default: as the policy says.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class MisuseError(RestateError):
    """The context or one of its futures was used where replay could not repeat it, a shared handler wrote state, or an
    operation or the handler itself gave a value that is not of the contract's type or that nothing can write.

    The attempt fails and the invocation is paused: the same code would do it again. Mend it, then resume.
    """


class DurableTimeout(TerminalError, TimeoutError):
    """A durable timeout came before what it was put around. Terminal, unless it is caught."""

    def __init__(
        self,
        message: str = "",
        *,
        code: StatusCode | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=StatusCode.DEADLINE_EXCEEDED if code is None else code, metadata=metadata)


class EndpointError(RestateError):
    """The endpoint cannot be built or cannot serve."""
