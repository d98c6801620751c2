"""Why a replay machine takes no more operations.

AttemptOver (BaseException)
├── Suspended            the attempt is blocked and gives up its memory; another one will go on
├── Closed               the attempt ended before: with its output, a failure or an abort
└── JournalMismatch      the code does not do what the journal says it did

They are control flow, not errors of the handler, so they derive from BaseException: `except Exception` in a handler
lets them pass. A handler that swallows one gets it again at its next operation.
"""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a command departs from the journal.

    Args:
        field: name of the differing field; "command" where the commands are of two types.
        recorded: what the journal has, for people.
        attempted: what the handler does now, for people.
    """

    field: str
    recorded: str
    attempted: str


class JournalMismatch(AttemptOver):
    """The handler does something else than the journal has recorded.

    Args:
        command: number of the command.
        recorded: the recorded command, for people; "nothing" where it has none.
        attempted: what the handler does now, for people.
        difference: the field that differs.
    """

    def __init__(self, command: int, recorded: str, attempted: str, difference: Difference) -> None:
        self.command = command
        self.recorded = recorded
        self.attempted = attempted
        self.difference = difference
        super().__init__(_mismatch_text(command, recorded, attempted, difference))


def _mismatch_text(command: int, recorded: str, attempted: str, difference: Difference) -> str:
    detail = ""
    if difference.field != "command":
        detail = f" They differ in {difference.field}: recorded {difference.recorded}, now {difference.attempted}."
    return (
        f"journal mismatch at command {command}: the journal has {recorded}, the handler now does {attempted}.{detail}"
        " A handler must repeat the steps of its earlier attempts: run the code that made the journal, and keep"
        " clocks, random numbers and I/O inside ctx.run"
    )
