"""What can happen to the core. Each event is about one invocation, its `subject`.

`token` names a request from outside that wants an answer; the engine gives it out.
"""

from __future__ import annotations

from typing import TypeAlias

from restate_protocol import awaiting as aw
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb
from restate_protocol.immutable import immutable

from .acceptance import Request
from .records import Invocation, Timer
from .target import Target


@immutable
class Submit:
    """A request from outside.

    Args:
        derived: the id was derived, so an invocation with it may exist.
        wait: the result is wanted too.
    """

    request: Request
    target: Target
    token: int
    wait: bool
    derived: bool

    @property
    def subject(self) -> bytes:
        return self.request.id


@immutable
class Attach:
    """Somebody outside waits for the result."""

    subject: bytes
    token: int


@immutable
class CommandSaid:
    """An attempt asks for something; `data` is the entry as it came."""

    subject: bytes
    epoch: int
    entry: j.Entry
    data: bytes


@immutable
class RunProposed:
    """An attempt has the result of a run."""

    subject: bytes
    epoch: int
    command: int
    result: j.Result


@immutable
class RunTryFailed:
    """The function of a run failed, and its own policy tries it again. Times are milliseconds since the Unix epoch.

    Args:
        durable_timer: the wait is long: tell when it is over, also after the attempt suspended.
    """

    subject: bytes
    epoch: int
    command: int
    failure: j.Failure
    first_try_at_ms: int
    retry_at_ms: int
    durable_timer: bool


@immutable
class AttemptSuspended:
    subject: bytes
    epoch: int
    tree: aw.Awaiting


@immutable
class AttemptFailed:
    subject: bytes
    epoch: int
    frame: session_pb.Failed


@immutable
class AttemptEnded:
    subject: bytes
    epoch: int


@immutable
class AttemptLost:
    """The session with the attempt died; `delivered` tells whether the endpoint had confirmed the attempt."""

    subject: bytes
    epoch: int
    reason: str
    delivered: bool


@immutable
class AttemptStalled:
    """An attempt said nothing for `quiet_ms` milliseconds."""

    subject: bytes
    epoch: int
    quiet_ms: int


@immutable
class TimerFired:
    timer: Timer

    @property
    def subject(self) -> bytes:
        return self.timer.invocation_id


@immutable
class AwakeableCompleted:
    """An awakeable is completed from outside."""

    subject: bytes
    number: int
    result: j.Result
    token: int


@immutable
class SignalSent:
    """A named signal comes from outside."""

    subject: bytes
    name: str
    result: j.Result
    token: int


@immutable
class Cancel:
    subject: bytes
    token: int


@immutable
class Pause:
    subject: bytes
    token: int


@immutable
class Resume:
    """`deployment_id`: what to go on with, or `latest`; None: the one it has."""

    subject: bytes
    token: int
    deployment_id: str | None = None


@immutable
class Purge:
    """A completed invocation is to be removed, or only its journal."""

    subject: bytes
    token: int
    journal_only: bool


@immutable
class Restart:
    """A new invocation begins as a copy of a completed one.

    Args:
        subject: the id of the new one, fresh.
        entries: the journal it begins with, the input first.
        deployment_id: what to start it on, or `latest`; None: the newest.
    """

    subject: bytes
    original: Invocation
    entries: tuple[bytes, ...]
    deployment_id: str | None
    token: int


@immutable
class Kill:
    subject: bytes
    token: int


@immutable
class StartWanted:
    """An endpoint may soon take attempt `epoch`, which waited for that outside of memory."""

    subject: bytes
    epoch: int


@immutable
class Recover:
    """The runtime starts, and this invocation was active."""

    subject: bytes


@immutable
class Expire:
    """The retention of a completed invocation may be over."""

    subject: bytes


Event: TypeAlias = (
    Submit
    | Attach
    | CommandSaid
    | RunProposed
    | RunTryFailed
    | AttemptSuspended
    | AttemptFailed
    | AttemptEnded
    | AttemptLost
    | AttemptStalled
    | TimerFired
    | AwakeableCompleted
    | SignalSent
    | Cancel
    | Pause
    | Resume
    | Purge
    | Restart
    | Kill
    | StartWanted
    | Recover
    | Expire
)
