"""Why a replay machine takes no more operations.

AttemptOver (BaseException)
├── Suspended            the attempt is blocked and gives up its memory; another one will go on
├── Closed               the attempt ended before: with its output, a failure or an abort
└── JournalMismatch      the code does not do what the journal says it did

They are control flow, not errors of the handler, so they derive from BaseException: `except Exception` in a handler
lets them pass. A handler that swallows one gets it again at its next operation.
"""

from __future__ import annotations

from .mismatch import MismatchReport


class AttemptOver(BaseException):
    """This attempt takes no more operations. Do not catch it: let it leave the handler."""


class Suspended(AttemptOver):
    """The attempt is blocked and was put aside."""

    def __init__(self) -> None:
        super().__init__(
            "the invocation is suspended until what it waits for is there. This is not an error: let it leave the"
            " handler, and do not swallow it with `except BaseException` or a bare `except`"
        )


class Closed(AttemptOver):
    """The attempt ended before this operation."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}; nothing the handler does now counts. Let this leave the handler, and do not swallow it with"
            " `except BaseException` or a bare `except`"
        )


class JournalMismatch(AttemptOver):
    """The handler does something else than the journal has recorded. Its text is the report."""

    def __init__(self, report: MismatchReport) -> None:
        self.report = report
        super().__init__(str(report))
