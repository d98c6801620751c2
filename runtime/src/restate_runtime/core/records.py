"""What the runtime knows of an invocation and its surroundings, as values the stores keep.

`Invocation` is the one mutable record: the core changes it while deciding, the store saves the last of it in each
commit. Times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from restate_protocol.services import HandlerMode

#: The end of the year 9999, in milliseconds since the Unix epoch. What asks for a later time is due then: a handler
#: that sleeps for ever is right, and a number that no store can keep would stop the runtime.
LATEST_MS = 253_402_300_799_999


class Status(enum.Enum):
    """Where an invocation stands, as stored. What is ACTIVE is shown as ready, running or backing-off."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    COMPLETED = "completed"


@dataclass(slots=True)
class Invocation:
    """One invocation.

    The first group is fixed when the invocation is accepted; the rest changes.

    Args:
        id: 16 bytes.
        mode: how handlers of one key run beside each other.
        parent_id, parent_command: who called or sent it, if a handler did. With no parent_command: see restarted_from.
        reply: whether the parent's command waits for the result (a call, not a send).
        traceparent, tracestate: W3C context that came with the request; may be empty.
        retention_ms: how long it is kept once completed.
        request_digest: of the value of its request, where it has an idempotency key; None where nobody took one: then
            every request with this key counts as the same.
        queue_seq: place in the queue of its key while QUEUED, and the place it had while it holds the key.
        epoch: number of the current or last attempt; grows with every attempt.
        attempt_started_ms: when the current attempt was decided, None where there is none.
        retry_count: failed attempts since the last progress.
        next_retry_ms: when it is tried again, while it backs off.
        awaiting: the encoded await tree while SUSPENDED.
        last_failure: the encoded restate.protocol.v1.Failed of the last failed attempt since the last progress.
        result: the encoded restate.protocol.v1.Result once COMPLETED.
        expires_ms: once COMPLETED, when the next part of it may be removed: its journal, or all of it.
    """

    id: bytes
    service: str
    handler: str
    key: str | None
    mode: HandlerMode
    created_ms: int
    scheduled_for_ms: int | None = None
    idempotency_key: str | None = None
    parent_id: bytes | None = None
    parent_command: int | None = None
    reply: bool = False
    traceparent: str = ""
    tracestate: str = ""
    retention_ms: int = 0
    request_digest: bytes | None = None

    status: Status = Status.ACTIVE
    deployment_id: str | None = None
    queue_seq: int | None = None
    epoch: int = 0
    attempt_started_ms: int | None = None
    retry_count: int = 0
    next_retry_ms: int | None = None
    awaiting: bytes | None = None
    last_failure: bytes | None = None
    completed_ms: int | None = None
    result: bytes | None = None
    expires_ms: int | None = None

    @property
    def removed_ms(self) -> int | None:
        """When it goes with all that is kept of it, once COMPLETED."""
        return None if self.completed_ms is None else self.completed_ms + self.retention_ms

    @property
    def restarted_from(self) -> bytes | None:
        """The invocation that this one began as a copy of; the first of them where copies were copied."""
        return self.parent_id if self.parent_command is None else None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One entry of a journal as stored: its place, when it was decided, its bytes."""

    index: int
    at_ms: int
    entry: bytes


class TimerKind(enum.IntEnum):
    """What happens when a timer is due."""

    SLEEP = 1  # the sleep of command `command` ends
    START = 2  # a scheduled invocation is due; command is 0
    RETRY = 3  # a failed invocation is tried again; command is its epoch; kept in memory and in `next_retry_ms`
    RUN_RETRY = 4  # the wait after the last failure of run `command` is over
    DEADLINE = 5  # the execution timeout passed; command says what is to be done, see core.deadlines


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    """Something that happens at a time. Ordered by when it is due."""

    due_ms: int
    invocation_id: bytes
    command: int
    kind: TimerKind


class AttemptOutcome(enum.Enum):
    """How an attempt ended. One that produced the output has no record: the output says it."""

    SUSPENDED = "suspended"
    FAILED = "failed"
    PAUSED = "paused"  # stopped by an operator
    LOST = "lost"  # the session or the runtime died


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that ended without the output.

    Args:
        failure: the encoded restate.protocol.v1.Failed, for FAILED and LOST.
    """

    invocation_id: bytes
    epoch: int
    started_ms: int
    ended_ms: int
    outcome: AttemptOutcome
    deployment_id: str = ""
    failure: bytes | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Code that serves services, pinned by its descriptors.

    Args:
        id: dep_…
        address: host:port that the runtime dials; empty where the endpoint dials in.
        descriptor_hash: hex sha256 of its FileDescriptorSet, which is stored under it.
        services: full names of the services it serves.
        dev_name: set for a development server; a new one replaces the one before under this name.
        revision: grows with every registration; the newest deployment of a service takes new invocations.
    """

    id: str
    address: str
    version_label: str
    descriptor_hash: str
    services: tuple[str, ...]
    created_ms: int
    revision: int
    dev_name: str = ""


@dataclass(slots=True)
class Promises:
    """The durable promises of one workflow: results by field number, and the commands that wait for them."""

    results: dict[int, bytes] = field(default_factory=dict)
    waiters: dict[int, list[tuple[bytes, int]]] = field(default_factory=dict)
