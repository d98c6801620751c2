"""When a call that failed is made again, and as what. Pure: the time and the luck are arguments.

A call is made again only where nothing can happen twice:

- it provably never left, or the runtime said that it took nothing;
- its invocation is known: then the connection attaches to it, and does not call again;
- it may be repeated: it has an idempotency key, changes nothing, or is a workflow's run.

Invariant: what may have been accepted without such a reason is never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from restate_protocol.errors import RestateError
from restate_protocol.immutable import immutable
from restate_protocol.status import StatusCode

from . import outgoing as out
from .errors import IngressError
from .failures import HANDLER, INGRESS, Failure, error_of, retry_after
from .outgoing import HandlerCall, Outgoing, Repeat
from .replies import Reply, SendStatus

# How gRPC says that a certificate is not trusted, or has another name: it stays so, however often one asks.
_HOPELESS = ("SSL_ERROR_SSL", "Hostname Verification Check failed")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a connection tries a call again. The call's timeout bounds it too.

    Args:
        initial_interval: wait before the second try. Default 50 ms.
        factor: by what each wait is longer than the one before. Default 2, at least 1.
        max_interval: the longest wait. Default 1 s. A runtime that says when to come again is waited for as long as
            it says.
        max_attempts: tries in all, the first included; 1 means no retry. Default: no limit.
        max_duration: no try begins later than this after the first failure in a row. Default 10 s; None: no limit.
        jitter: the share of each wait that is left to chance, from 0 to 1. Default 0.5.

    Raises:
        ValueError: an interval is negative, the factor below 1, max_attempts below 1, or jitter not in 0 to 1.
    """

    initial_interval: timedelta = timedelta(milliseconds=50)
    factor: float = 2.0
    max_interval: timedelta = timedelta(seconds=1)
    max_attempts: int | None = None
    max_duration: timedelta | None = timedelta(seconds=10)
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if min(self.initial_interval, self.max_interval, self.max_duration or timedelta()) < timedelta():
            raise ValueError("a RetryPolicy cannot have a negative interval or duration")
        if self.factor < 1:
            raise ValueError(f"a RetryPolicy's factor is at least 1, not {self.factor}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts counts the first try too: at least 1, not {self.max_attempts}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"a RetryPolicy's jitter is a share from 0 to 1, not {self.jitter}")

    def wait_s(self, failures: int, luck: float) -> float:
        """Seconds before the next try.

        Args:
            failures: how many there were in a row, at least 1.
            luck: a random number from 0 to 1.
        """
        longest = self.max_interval.total_seconds()
        wait_s = min(longest, self.initial_interval.total_seconds())
        for _ in range(failures - 1):
            if wait_s >= longest:
                break
            wait_s = min(longest, wait_s * self.factor)
        return wait_s * (1 - self.jitter * luck)


@immutable
class Again:
    """Try again.

    Args:
        outgoing: what to ask then.
        wait_s: how long to wait first, in seconds.
        timeout_s: how long that try may take, in seconds.
    """

    outgoing: Outgoing
    wait_s: float
    timeout_s: float | None


Step: TypeAlias = Again | Reply | RestateError


@dataclass(slots=True)
class Tries:
    """The tries of one call.

    Args:
        address: of the runtime, for messages.
        policy: None: no retries.
        outgoing: what was asked last.
        began_s: when the first try began, in seconds on the connection's clock.
        timeout_s: how long all tries may take together, in seconds; None for ever.
    """

    address: str
    policy: RetryPolicy | None
    outgoing: Outgoing
    began_s: float
    timeout_s: float | None = None
    count: int = 1
    _row: int = 0  # failures since the runtime was last heard of
    _row_began_s: float = 0.0
    _try_began_s: float = 0.0
    _lost: bool = field(default=False)  # a try may have been accepted without our knowing

    def __post_init__(self) -> None:
        self._try_began_s = self.began_s

    def after(self, failure: Failure, now_s: float, luck: float) -> Step:
        """What follows a failure: another try, the reply after all, or the error.

        Args:
            failure: of the last try.
            now_s: the time.
            luck: a random number from 0 to 1.
        """
        reply = self._reply_after_all(failure)
        if reply is not None:
            return reply
        following = self._following(failure)
        if following is None:
            return self._error(failure, now_s)
        wait_s = self._wait_s(failure, now_s, luck)
        if wait_s is None:
            return self._error(failure, now_s)
        return self._again(following, wait_s, now_s)

    def _reply_after_all(self, failure: Failure) -> Reply | None:
        """A send is answered once its invocation is known."""
        asked = self.outgoing
        if not (isinstance(asked, HandlerCall) and asked.send and failure.source != HANDLER):
            return None
        if failure.invocation_id is None or failure.status is None:
            return None
        return Reply(b"", failure.invocation_id, SendStatus(failure.status))

    def _following(self, failure: Failure) -> Outgoing | None:
        """What may be asked next; None: nothing may."""
        asked = self.outgoing
        if failure.source == HANDLER or any(text in failure.message for text in _HOPELESS):
            return None
        if failure.code is StatusCode.ALREADY_EXISTS:
            return self._first_run(failure)
        if failure.code is StatusCode.RESOURCE_EXHAUSTED:
            refused = failure.source == INGRESS and retry_after(failure) is not None
            return asked if refused else None
        if failure.code is not StatusCode.UNAVAILABLE:
            return None
        if isinstance(asked, HandlerCall) and failure.invocation_id is not None:
            return out.attach(asked.handler, out.by_id(failure.invocation_id), asked.timeout_s)
        self._lost = self._lost or failure.sent
        return asked if not failure.sent or asked.repeat is not Repeat.ONCE else None

    def _first_run(self, failure: Failure) -> Outgoing | None:
        """The run that an earlier try of this call has started."""
        asked = self.outgoing
        if not (self._lost and isinstance(asked, HandlerCall) and asked.repeat is Repeat.RUN):
            return None
        known = failure.invocation_id
        name = out.run_of(asked) if known is None else out.by_id(known)
        return out.attach(asked.handler, name, asked.timeout_s)

    def _wait_s(self, failure: Failure, now_s: float, luck: float) -> float | None:
        """How long to wait; None: it was tried long enough."""
        policy = self.policy
        if policy is None or (policy.max_attempts is not None and self.count >= policy.max_attempts):
            return None
        self._count_failure(policy, failure, now_s)
        wanted = retry_after(failure)
        wait_s = policy.wait_s(self._row, luck) if wanted is None else wanted.total_seconds()
        if failure.code is StatusCode.ALREADY_EXISTS:
            wait_s = 0.0
        due_s = now_s + wait_s
        if policy.max_duration is not None and due_s > self._row_began_s + policy.max_duration.total_seconds():
            return None
        left_s = self._left_s(due_s)
        return None if left_s is not None and left_s <= 0 else wait_s

    def _left_s(self, at_s: float) -> float | None:
        """How much of the timeout is left then."""
        return None if self.timeout_s is None else self.began_s + self.timeout_s - at_s

    def _count_failure(self, policy: RetryPolicy, failure: Failure, now_s: float) -> None:
        """A call may wait for days before its connection breaks: what came before that is no row of failures."""
        longest = policy.max_duration
        waited = longest is not None and now_s - self._try_began_s > longest.total_seconds()
        if self._row == 0 or waited or failure.invocation_id is not None:
            self._row, self._row_began_s = 0, now_s
        self._row += 1

    def _again(self, following: Outgoing, wait_s: float, now_s: float) -> Again:
        self.outgoing = following
        self.count += 1
        self._try_began_s = now_s + wait_s
        return Again(following, wait_s, self._left_s(self._try_began_s))

    def _error(self, failure: Failure, now_s: float) -> RestateError:
        error = error_of(self.address, self.outgoing, failure)
        if self.count > 1 and isinstance(error, IngressError):
            error.tries = self.count
            error.message += f" (after {self.count} tries in {now_s - self.began_s:.1f} s)"
            error.args = (error.message,)
        return error
