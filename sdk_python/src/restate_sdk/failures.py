"""Errors as failures: terminal ones as they are journaled, and back; others as the runtime is told of them.

A failure with a detail comes back as the generated class that declares this detail, a failure without one, or with
one that nobody declares here, as a plain TerminalError.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from restate_protocol import codec
from restate_protocol.errors import TerminalError, TypedError
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode

from .errors import RetryableError


def failure_of(error: TerminalError) -> Failure:
    """The failure that is journaled for an error."""
    metadata = tuple(sorted(error.metadata.items()))
    if isinstance(error, TypedError):
        detail = codec.encode(error.detail)
        return Failure(error.code, error.message, type(error).detail_type, detail, metadata)
    return Failure(error.code, error.message, metadata=metadata)


def error_of(failure: Failure, declared: Sequence[type[TypedError[Any]]]) -> TerminalError:
    """The error that a failure is raised as, typed where its detail is declared."""
    code, metadata = StatusCode.of(failure.code) or StatusCode.UNKNOWN, dict(failure.metadata)
    cls = next((one for one in declared if failure.detail_type and one.detail_type == failure.detail_type), None)
    if cls is not None:
        with contextlib.suppress(ValueError):  # the failure itself must not get lost
            detail = codec.decode(cls.detail_class, failure.detail)
            return cls(detail, failure.message, code=code, metadata=metadata)
    return TerminalError(failure.message, code=code, metadata=metadata)


def known_errors() -> Sequence[type[TypedError[Any]]]:
    """Every generated error class that is imported: for failures of the handler's own steps."""
    return list(_subclasses(TypedError))


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for one in cls.__subclasses__():
        if "detail_type" in one.__dict__:
            yield one
        yield from _subclasses(one)


def terminal_of(group: BaseExceptionGroup[Any]) -> TerminalError | None:
    """The first error of a task group that ended with terminal errors alone; None where one may be tried again."""
    first: TerminalError | None = None
    for one in group.exceptions:
        error = terminal_of(one) if isinstance(one, BaseExceptionGroup) else one
        if not isinstance(error, TerminalError):
            return None
        first = first or error
    return first


def attempt_failure(error: BaseException) -> Failure:
    """How an exception that is not terminal is told to the runtime."""
    code = error.code if isinstance(error, TerminalError) else StatusCode.UNKNOWN
    text = str(error)
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):  # of a task group: what it says itself names none of them
        text = "; ".join([text, *(attempt_failure(one).message for one in error.exceptions)])
    return Failure(code, f"{name}: {text}" if text else name)


def retry_after(error: BaseException) -> timedelta | None:
    """The time that the error, or one it was raised from, says to wait."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RetryableError):
            return cause.retry_after
        cause = cause.__cause__
    return None


def retry_after_ms(error: BaseException) -> int | None:
    """The same in milliseconds."""
    wait = retry_after(error)
    return None if wait is None else max(0, math.ceil(wait.total_seconds() * 1000))
