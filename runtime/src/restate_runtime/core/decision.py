"""What the core decides: writes for the store, effects for the engine.

Every value here is either a Write or an Effect. The engine commits all writes of a batch in one transaction and
performs its effects only after that, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from restate_protocol.immutable import immutable
from restate_protocol.journal import Failure, Result

from .records import Attempt, Deployment, Invocation, Timer

# Writes. Within one commit they take effect in order.


@immutable
class CreateInvocation:
    """A new row. The record may change again before the commit; the last of it counts."""

    invocation: Invocation


@immutable
class SaveInvocation:
    """The changeable half of the record changed. The last of it counts."""

    invocation: Invocation


@immutable
class AppendEntry:
    """One more journal entry. Indexes are dense, from 0."""

    invocation_id: bytes
    index: int
    at_ms: int
    entry: bytes


@immutable
class PutState:
    """A state entry of one object or workflow; None removes it."""

    service: str
    key: str
    number: int
    value: bytes | None


@immutable
class ClearState:
    """All state entries of one object or workflow go."""

    service: str
    key: str


@immutable
class PutTimer:
    """A timer that must survive a crash."""

    timer: Timer


@immutable
class DeleteTimer:
    """The timer is done or void. Deleting one that is not there is fine."""

    timer: Timer


@immutable
class PutPromise:
    """A durable promise of a workflow is completed, once and for all."""

    service: str
    key: str
    number: int
    result: bytes


@immutable
class AddPromiseWaiter:
    """A command waits for a promise."""

    service: str
    key: str
    number: int
    invocation_id: bytes
    command: int


@immutable
class RemovePromiseWaiters:
    """Nobody waits for this promise any more."""

    service: str
    key: str
    number: int


@immutable
class AddWaiter:
    """A command of another invocation waits for the result of `target`, besides the parent's."""

    target: bytes
    invocation_id: bytes
    command: int


@immutable
class RemoveWaiters:
    """Nobody waits for `target` any more."""

    target: bytes


@immutable
class RecordAttempt:
    """An attempt ended without the output."""

    attempt: Attempt


@immutable
class PurgeInvocation:
    """An invocation goes, with its journal, attempts and waiters; a workflow's run also with state and promises."""

    invocation_id: bytes


@immutable
class PurgeJournal:
    """The journal of a completed invocation goes; record and result stay."""

    invocation_id: bytes


@immutable
class PutDeployment:
    """A deployment is registered or registered anew."""

    deployment: Deployment


@immutable
class PutDescriptorSet:
    """A FileDescriptorSet under the hex sha256 of its bytes. Putting it twice is fine."""

    hash: str
    data: bytes


Write: TypeAlias = (
    CreateInvocation
    | SaveInvocation
    | AppendEntry
    | PutState
    | ClearState
    | PutTimer
    | DeleteTimer
    | PutPromise
    | AddPromiseWaiter
    | RemovePromiseWaiters
    | AddWaiter
    | RemoveWaiters
    | RecordAttempt
    | PurgeInvocation
    | PurgeJournal
    | PutDeployment
    | PutDescriptorSet
)

# Effects, performed after the commit of the batch they were decided in.


@immutable
class StartAttempt:
    """Run attempt `epoch` with the first `journal_length` entries of the journal.

    Args:
        entries: those entries.
    """

    invocation: Invocation
    epoch: int
    journal_length: int
    retry_count: int
    entries: tuple[bytes, ...]


@immutable
class NotifyAttempt:
    """A notification was recorded: tell the attempt."""

    invocation_id: bytes
    epoch: int
    entry: bytes


@immutable
class AckRun:
    """The result of a run was recorded: the attempt may use it."""

    invocation_id: bytes
    epoch: int
    command: int


@immutable
class AbortAttempt:
    """The attempt has no say any more."""

    invocation_id: bytes
    epoch: int
    reason: str


@immutable
class SuspendAttempt:
    """Others may wait for the attempt in a cycle: it is to suspend as soon as it only waits."""

    invocation_id: bytes
    epoch: int


@immutable
class ArmTimer:
    """Wake the core when the timer is due."""

    timer: Timer


@immutable
class DisarmTimer:
    """The timer was deleted before it was due."""

    timer: Timer


@immutable
class AnswerAccepted:
    """The invocation of submission `token` is durable.

    Args:
        new: False where an invocation with this id was there already.
    """

    token: int
    invocation_id: bytes
    new: bool


@immutable
class AnswerResult:
    """The result that submission or attachment `token` waits for."""

    token: int
    result: Result


@immutable
class AnswerRefused:
    """Submission `token` is not taken, and why. Nothing was written for it."""

    token: int
    failure: Failure


@immutable
class AnswerDone:
    """What request `token` asked for is durable."""

    token: int


@immutable
class Forget:
    """The invocation needs no memory any more: it is suspended, scheduled, paused or completed."""

    invocation_id: bytes


@immutable
class ForgetState:
    """The state of a workflow was removed."""

    service: str
    key: str


@immutable
class Report:
    """Something operators and traces should hear of: attempt ended, invocation completed, paused, …

    Args:
        kind: one of `attempt_failed`, `attempt_lost`, `run_failed`, `suspended`, `paused`, `completed`.
    """

    kind: str
    invocation_id: bytes
    detail: str = ""


Effect: TypeAlias = (
    StartAttempt
    | NotifyAttempt
    | AckRun
    | AbortAttempt
    | SuspendAttempt
    | ArmTimer
    | DisarmTimer
    | AnswerAccepted
    | AnswerRefused
    | AnswerDone
    | AnswerResult
    | Forget
    | ForgetState
    | Report
)


@dataclass(slots=True)
class Decision:
    """What one or more events led to."""

    writes: list[Write] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
