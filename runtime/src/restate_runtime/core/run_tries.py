"""The tries of one run, as its journal has them: those that failed and were counted, and the one that gave the result.

A try that was lost with its attempt is not counted and not seen here: the function simply ran again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from restate_protocol.journal import Failure, Result, RunDue, RunFailed


@dataclass(frozen=True, slots=True)
class Try:
    """One execution of the function.

    Args:
        number: from 1.
        start_ms, end_ms: milliseconds since the Unix epoch.
        failure: how it ended; None: well.
        retry_at_ms: when it was due again, if it was to be tried again.
    """

    number: int
    start_ms: int
    end_ms: int
    failure: Failure | None
    retry_at_ms: int | None = None


@dataclass(slots=True)
class RunTries:
    """What the journal says of the tries of one run, in its order."""

    _failed: list[tuple[int, RunFailed]] = field(default_factory=list)
    _due: dict[int, int] = field(default_factory=dict)

    def note(self, at_ms: int, entry: RunFailed | RunDue) -> None:
        """Takes the next notification about the run."""
        if isinstance(entry, RunFailed):
            self._failed.append((at_ms, entry))
        else:
            self._due.setdefault(entry.failures, at_ms)

    @property
    def failures(self) -> int:
        """How often it failed and was to be tried again."""
        return self._failed[-1][1].failures if self._failed else 0

    def tries(self, ended_ms: int | None, result: Result | None) -> list[Try]:
        """Every try that ended.

        Args:
            ended_ms, result: when the run got its result, and which, if it did.
        """
        if not self._failed:
            return []
        found: list[Try] = []
        start_ms = self._failed[0][1].first_try_at_ms
        for at_ms, entry in self._failed:
            found.append(Try(entry.failures, start_ms, at_ms, entry.failure, entry.retry_at_ms))
            start_ms = self._due.get(entry.failures, entry.retry_at_ms)
        if ended_ms is not None:
            failure = result if isinstance(result, Failure) else None
            found.append(Try(found[-1].number + 1, start_ms, ended_ms, failure))
        return found
