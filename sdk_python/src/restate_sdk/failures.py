"""Terminal errors as journaled failures, and back.

A failure with a detail comes back as the generated class that declares this detail, a failure without one, or with
one that nobody declares here, as a plain TerminalError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from restate_protocol import codec
from restate_protocol.errors import TerminalError, TypedError
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode


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
