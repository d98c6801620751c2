"""How much work from outside the runtime takes on, and what is said when it is too much.

Every figure is kept anyway by whoever does the work; comparing them with their bounds costs a few additions for each
request. Invariants: what is refused was not journaled; work that a handler asks for is never refused, because it is
journaled already; what waits for one service counts against that service alone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from restate_protocol.errors import TerminalError
from restate_protocol.status import StatusCode

#: When the same request may be tried again, in milliseconds. Clients add chance of their own.
RETRY_AFTER_MS = 1_000


class Bound(enum.Enum):
    """What is bounded, as metrics name it."""

    WAITING_CALLERS = "waiting_callers"
    QUEUED_INVOCATIONS = "queued_invocations"
    BYTES_IN_FLIGHT = "bytes_in_flight"

    @property
    def setting(self) -> str:
        """The setting that says how much it may be."""
        return f"max_{self.value}"


class Overloaded(TerminalError):
    """The runtime does not take on more work of this kind now; nothing was journaled.

    Args:
        bound: what is full.
        message: what is full, how full it may be, and what to do.
    """

    def __init__(self, bound: Bound, message: str) -> None:
        super().__init__(message, code=StatusCode.RESOURCE_EXHAUSTED)
        self.bound = bound
        self.retry_after_ms = RETRY_AFTER_MS


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """The bounds.

    Args:
        waiting_callers: requests from outside that are not answered yet, on all ports together.
        queued_invocations: of each service: invocations that wait for their key, and attempts of its newest
            deployment that wait for an endpoint.
        bytes_in_flight: journals in memory: of what runs, backs off, or has a caller who waits.
    """

    waiting_callers: int = 10_000
    queued_invocations: int = 100_000
    bytes_in_flight: int = 268_435_456


DEFAULT_LOAD_LIMITS = LoadLimits()


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is at one moment, by bound. Of queues: the longest."""

    waiting_callers: int
    queued_invocations: int
    bytes_in_flight: int


class Doorkeeper:
    """Refuses what is too much.

    Args:
        limits: the bounds.
        callers: gives how many requests are not answered.
        queued: gives how many invocations of a service wait, where new ones go to a deployment.
        held_bytes: gives the bytes of journals in memory.
    """

    def __init__(
        self,
        limits: LoadLimits,
        callers: Callable[[], int],
        queued: Callable[[str, str], int],
        held_bytes: Callable[[], int],
    ) -> None:
        self.limits = limits
        self._callers = callers
        self._queued = queued
        self._held_bytes = held_bytes

    def check_caller(self) -> None:
        """One more wants to be answered.

        Raises:
            Overloaded: too many wait already.
        """
        limit = self.limits.waiting_callers
        if self._callers() >= limit:
            raise _overloaded(Bound.WAITING_CALLERS, f"{limit} callers wait for answers, which is the limit")

    def check_work(self, service: str, deployment_id: str, size: int, *, delayed: bool) -> None:
        """One more invocation, whose caller waits at least until it is durable.

        Half of the places for callers is kept for services that keep up with their work, so that an endpoint that
        hangs does not take the places of all.

        Args:
            deployment_id: where new invocations of the service go.
            size: bytes of its payload.
            delayed: it is due later: until then it is a row in the store, and waits in no queue.

        Raises:
            Overloaded: too many callers wait, too many invocations wait to run, or too much is in memory. One payload
                is taken whatever its size where nothing else is in memory.
        """
        limits = self.limits
        self.check_caller()
        queued = self._queued(service, deployment_id)
        if queued and not delayed:
            self._check_queued(service, queued)
        held = self._held_bytes()
        if held and held + size > limits.bytes_in_flight:
            message = f"{held} bytes of journals are in memory and {size} more would pass the limit of "
            raise _overloaded(Bound.BYTES_IN_FLIGHT, f"{message}{limits.bytes_in_flight} bytes")

    def _check_queued(self, service: str, queued: int) -> None:
        """The service does not keep up with its work."""
        limits = self.limits
        if queued >= limits.queued_invocations:
            message = f"{limits.queued_invocations} invocations wait to run {service}, which is the limit"
            raise _overloaded(Bound.QUEUED_INVOCATIONS, message)
        half = (limits.waiting_callers + 1) // 2
        if self._callers() >= half:
            message = f"invocations of {service} wait to run, and {half} callers wait for answers: the other half of "
            rest = f"the limit of {limits.waiting_callers} is kept for services that keep up"
            raise _overloaded(Bound.WAITING_CALLERS, message + rest)


def _overloaded(bound: Bound, message: str) -> Overloaded:
    return Overloaded(bound, f"{message} (setting {bound.setting}); nothing was started, try again later")
