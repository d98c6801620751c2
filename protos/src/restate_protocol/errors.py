"""The errors users meet on both sides of a call.

RestateError
├── TerminalError            an invocation failed for good; never retried
│   └── TypedError           base of the classes generated from `errors`; carries a message
├── FrameError               bytes that are not what the protocol says
└── IdError                  text that is not an id

A handler raises TerminalError (or a generated subclass of TypedError) to fail its invocation; a caller gets
the same class back, from a context as from a connection. Any other exception in a handler is retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from .status import StatusCode

M = TypeVar("M")


class RestateError(Exception):
    """Base of every error of these packages."""


class TerminalError(RestateError):
    """An invocation failed and will not be tried again.

    Args:
        message: what happened, for people.
        code: gRPC status code the caller gets. Default UNKNOWN.
        metadata: string pairs that reach the caller with the error.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: StatusCode | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = StatusCode.UNKNOWN if code is None else StatusCode(code)
        if self.code is StatusCode.OK:
            raise ValueError("a TerminalError cannot have code OK")
        self.metadata: dict[str, str] = dict(metadata or {})

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}" if self.message else self.code.name


class TypedError(TerminalError, Generic[M]):
    """Base of the exceptions generated from `errors` options: terminal, with a message as its detail.

    Args:
        detail: the error message declared in the contract.
        message: what happened, for people. Default: the detail's full name.
        code: gRPC status code the caller gets. Default FAILED_PRECONDITION.
        metadata: string pairs that reach the caller with the error.
    """

    #: Full name of the detail's message, and its class in the chosen flavour. Set by generated code.
    detail_type: ClassVar[str]
    detail_class: ClassVar[type[Any]]

    def __init__(
        self,
        detail: M,
        message: str = "",
        *,
        code: StatusCode | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            message or type(self).detail_type,
            code=StatusCode.FAILED_PRECONDITION if code is None else code,
            metadata=metadata,
        )
        self.detail: M = detail


class FrameError(RestateError):
    """Bytes from a peer that the session protocol does not allow. The session ends; nothing is journaled."""


class IdError(RestateError, ValueError):
    """Text that is not an id of the expected kind."""
