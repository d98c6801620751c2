"""Takes attempts to sessions: waits for a session with credit, keeps what belongs to an attempt in order.

Invariants: an attempt is on at most one session; what is told to an attempt that is not sent yet joins its
journal; when a session ends, each of its attempts is told lost exactly once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from restate_protocol.gen.restate.protocol.v1 import session_pb as pb

from ..core.events import AttemptLost, Event
from .sessions import Session


@dataclass(slots=True)
class _Waiting:
    """An attempt that no endpoint has yet. `frame` is None while its state is being read."""

    epoch: int
    frame: pb.Start | None = None
    early: list[bytes] = field(default_factory=list)


class Dispatcher:
    """Routes frames of the engine to sessions and what sessions say to the engine.

    Args:
        credits_max: the most attempts given to one session at once, whatever credit it gives.
    """

    def __init__(self, credits_max: int = 1_000) -> None:
        self._credits_max = credits_max
        self._sessions: dict[str, list[Session]] = {}
        self._ready: dict[str, OrderedDict[bytes, None]] = {}
        self._waiting: dict[bytes, _Waiting] = {}
        self._placed: dict[bytes, Session] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._post: Callable[[Event], None] = _nobody_listens
        self.now_ms: Callable[[], int] = _no_clock

    def on_event(self, post: Callable[[Event], None]) -> None:
        """Where to tell what attempts say."""
        self._post = post

    def use_clock(self, clock: Callable[[], int]) -> None:
        """What to tell the time by, in milliseconds since the epoch."""
        self.now_ms = clock

    # From the engine

    def expect(self, invocation_id: bytes, epoch: int) -> None:
        """A start will follow; what is told before it belongs to the journal it carries."""
        self._waiting[invocation_id] = _Waiting(epoch)

    def start(self, deployment_id: str, frame: pb.Start) -> None:
        """Starts an attempt as soon as a session of the deployment has credit."""
        invocation_id = frame.invocation_id
        waiting = self._waiting.get(invocation_id)
        if waiting is not None:
            if waiting.epoch != frame.epoch:
                return  # a later attempt replaced it while its state was read
            frame.entries.extend(waiting.early)
            frame.journal_length = len(frame.entries)
        session = self._free_session(deployment_id)
        if session is not None:
            self._waiting.pop(invocation_id, None)
            self._place(session, frame)
            return
        self._waiting[invocation_id] = _Waiting(frame.epoch, frame)
        self._ready.setdefault(deployment_id, OrderedDict())[invocation_id] = None

    def notify(self, invocation_id: bytes, epoch: int, entry: bytes) -> None:
        """Tells an attempt of a notification."""
        waiting = self._waiting.get(invocation_id)
        if waiting is not None:
            if waiting.epoch == epoch:
                self._notify_waiting(waiting, entry)
            return
        session = self._placed.get(invocation_id)
        if session is not None and session.epoch_of(invocation_id) == epoch:
            session.send(pb.Notify(invocation_id=invocation_id, epoch=epoch, entry=entry))

    def ack(self, invocation_id: bytes, epoch: int, command: int) -> None:
        """Tells an attempt that the result of a run is recorded."""
        session = self._placed.get(invocation_id)
        if session is not None and session.epoch_of(invocation_id) == epoch:
            session.send(pb.RunAck(invocation_id=invocation_id, epoch=epoch, command=command))

    def abort(self, invocation_id: bytes, epoch: int, reason: str) -> None:
        """The attempt has no say any more."""
        waiting = self._waiting.get(invocation_id)
        if waiting is not None and waiting.epoch == epoch:
            del self._waiting[invocation_id]
        session = self._placed.get(invocation_id)
        if session is not None and session.epoch_of(invocation_id) == epoch:
            session.send(pb.Abort(invocation_id=invocation_id, epoch=epoch, reason=reason))
            self.finished(session, invocation_id)

    def is_running(self, invocation_id: bytes) -> bool:
        """Whether an endpoint has the attempt."""
        return invocation_id in self._placed

    @property
    def running(self) -> int:
        """How many attempts endpoints have."""
        return len(self._placed)

    def waiting(self) -> dict[str, int]:
        """How many attempts wait for a session with credit, by deployment."""
        found = {one: sum(name in self._waiting for name in ready) for one, ready in self._ready.items() if ready}
        return {deployment_id: count for deployment_id, count in found.items() if count}

    # From sessions

    def opened(self, session: Session) -> None:
        """A session is ready for work."""
        self._sessions.setdefault(session.deployment_id, []).append(session)
        self.pump(session.deployment_id)

    def closed(self, session: Session, reason: str) -> None:
        """A session ended: its attempts are lost."""
        sessions = self._sessions.get(session.deployment_id, [])
        if session in sessions:
            sessions.remove(session)
        for invocation_id, running in list(session.attempts.items()):
            self._displace(invocation_id)
            self._post(AttemptLost(invocation_id, running.epoch, reason, running.delivered))
        session.attempts.clear()

    def said(self, event: Event) -> None:
        """An attempt said something."""
        self._post(event)

    def finished(self, session: Session, invocation_id: bytes) -> None:
        """An attempt is over: its credit is free."""
        session.attempts.pop(invocation_id, None)
        self._displace(invocation_id)
        session.credits += 1
        self.pump(session.deployment_id)

    def pump(self, deployment_id: str) -> None:
        """Places attempts that wait, as far as there is credit."""
        ready = self._ready.get(deployment_id)
        while ready:
            session = self._free_session(deployment_id)
            if session is None:
                return
            invocation_id, _ = ready.popitem(last=False)
            waiting = self._waiting.get(invocation_id)
            if waiting is not None and waiting.frame is not None:
                del self._waiting[invocation_id]
                self._place(session, waiting.frame)

    def sessions(self, deployment_id: str) -> int:
        """How many sessions of the deployment are open."""
        return len(self._sessions.get(deployment_id, ()))

    def heard(self) -> Iterator[tuple[bytes, int, int]]:
        """Every attempt that an endpoint has: invocation, epoch, and when it said something last."""
        for session in self.all_sessions():
            for invocation_id, running in list(session.attempts.items()):
                yield invocation_id, running.epoch, running.heard_ms

    async def idle(self) -> None:
        """Waits until no endpoint has an attempt."""
        await self._idle.wait()

    def all_sessions(self) -> list[Session]:
        """Every open session."""
        return [session for sessions in self._sessions.values() for session in sessions]

    def _free_session(self, deployment_id: str) -> Session | None:
        sessions = self._sessions.get(deployment_id)
        if not sessions:
            return None
        best = max(sessions, key=lambda one: one.credits) if len(sessions) > 1 else sessions[0]
        if best.credits <= 0 or best.draining or len(best.attempts) >= self._credits_max:
            return None
        return best

    def _place(self, session: Session, frame: pb.Start) -> None:
        self._placed[frame.invocation_id] = session
        self._idle.clear()
        session.start(frame)

    def _displace(self, invocation_id: bytes) -> None:
        self._placed.pop(invocation_id, None)
        if not self._placed:
            self._idle.set()

    @staticmethod
    def _notify_waiting(waiting: _Waiting, entry: bytes) -> None:
        if waiting.frame is None:
            waiting.early.append(entry)
        else:
            waiting.frame.entries.append(entry)
            waiting.frame.journal_length += 1


def _nobody_listens(event: Event) -> None:
    raise RuntimeError(f"an attempt said something before the engine listened: {event}")


def _no_clock() -> int:
    raise RuntimeError("an attempt started before the engine gave a clock")
