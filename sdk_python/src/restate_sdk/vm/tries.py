"""Failed tries of runs, as the journal counts them.

The runtime journals each failure before the function may execute again, so what is counted here is exact in every
attempt. Nothing of it is a result: the handler never sees it.
"""

from __future__ import annotations

from restate_protocol.immutable import immutable
from restate_protocol.journal import RunDue, RunFailed


@immutable
class RunTries:
    """Tries of one run.

    Args:
        failures: how often its function failed.
        first_try_at_ms: when the first try began, milliseconds since the epoch.
        retry_at_ms: when the next is due, milliseconds since the epoch.
        due: the runtime said that the wait for the next is over.
    """

    failures: int
    first_try_at_ms: int
    retry_at_ms: int
    due: bool = False


def count(tries: dict[int, RunTries], notification: RunFailed | RunDue) -> None:
    """Takes a notification. The end of a wait that is not the last one changes nothing."""
    command = notification.command
    if isinstance(notification, RunFailed):
        failed = notification
        tries[command] = RunTries(failed.failures, failed.first_try_at_ms, failed.retry_at_ms)
        return
    last = tries.get(command)
    if last is not None and last.failures == notification.failures:
        tries[command] = RunTries(last.failures, last.first_try_at_ms, last.retry_at_ms, due=True)
