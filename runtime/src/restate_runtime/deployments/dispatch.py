"""Takes attempts to sessions: waits for a session with credit, keeps what belongs to an attempt in order.

What waits is in a backlog for each deployment (`backlog`), so that none waits for another's endpoint. Invariants: an
attempt is on at most one session; what is told to an attempt that is not sent yet joins its journal; when a session
ends, each of its attempts is told lost exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck

from ..core.events import AttemptLost, Event, StartWanted
from .backlog import DEFAULT_WINDOW, Backlog, Stage, Waiting, Window
from .sessions import Session


class Dispatcher:
    """Routes frames of the engine to sessions and what sessions say to the engine.

    Args:
        credits_max: the most attempts given to one session at once, whatever credit it gives.
        window: how much of the backlog of each deployment is held ready.
    """

    def __init__(self, credits_max: int = 1_000, window: Window = DEFAULT_WINDOW) -> None:
        self._credits_max = credits_max
        self._window = window
        self._sessions: dict[str, list[Session]] = {}
        self._backlogs: dict[str, Backlog] = {}
        self._waiting: dict[bytes, Waiting] = {}
        self._placed: dict[bytes, Session] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._post: Callable[[Event], None] = _nobody_listens
        self._let_go: Callable[[list[bytes]], None] = _nobody_cares
        self.now_ms: Callable[[], int] = _no_clock

    def on_event(self, post: Callable[[Event], None]) -> None:
        """Where to tell what attempts say."""
        self._post = post

    def on_let_go(self, let_go: Callable[[list[bytes]], None]) -> None:
        """Where to tell which invocations need no memory any more, because their attempts were parked."""
        self._let_go = let_go

    def use_clock(self, clock: Callable[[], int]) -> None:
        """What to tell the time by, in milliseconds since the epoch."""
        self.now_ms = clock

    # From the engine

    def wants(self, deployment_id: str, invocation_id: bytes, epoch: int) -> bool:
        """Whether the start of an attempt is wanted now.

        If not, it was put into the backlog and is asked for later; or it was asked for twice, because the last session
        ended and another began meanwhile, and has been started.
        """
        waiting = self._waiting.get(invocation_id)
        if waiting is not None and waiting.epoch == epoch:
            asked = waiting.stage is Stage.ASKED
            if asked:
                waiting.stage = Stage.READING
            return asked
        if waiting is not None:
            self._leave(invocation_id, waiting)
        placed = self._placed.get(invocation_id)
        if placed is not None and placed.epoch_of(invocation_id) == epoch:
            return False
        if deployment_id not in self._backlogs and self._free_session(deployment_id) is not None:
            return True
        if self._has_room(deployment_id):
            return True
        self._park(deployment_id, invocation_id, Waiting(epoch, Stage.PARKED))
        return False

    def expect(self, invocation_id: bytes, epoch: int) -> None:
        """A start will follow; what is told before it belongs to the journal it carries."""
        if invocation_id not in self._waiting:
            self._waiting[invocation_id] = Waiting(epoch, Stage.READING)

    def start(self, deployment_id: str, frame: pb.Start) -> bool:
        """Starts an attempt as soon as a session of the deployment has credit. False: it was parked."""
        invocation_id = frame.invocation_id
        waiting = self._waiting.get(invocation_id)
        if waiting is not None:
            if waiting.epoch != frame.epoch:
                return True  # a later attempt replaced it while its state was read
            if waiting.stage is not Stage.READING:
                return False  # the last session ended while its state was read; it is asked for anew
            frame.entries.extend(waiting.early)
            frame.journal_length = len(frame.entries)
            if waiting.suspends:
                frame.inactivity_timeout_ms = 0
        if deployment_id not in self._backlogs:
            session = self._free_session(deployment_id)
            if session is not None:
                self._waiting.pop(invocation_id, None)
                self._place(session, frame)
                return True
        return self._keep(deployment_id, frame, waiting)

    def _keep(self, deployment_id: str, frame: pb.Start, waiting: Waiting | None) -> bool:
        """Holds the frame; parks the attempt where there is no room. One that was asked for has its place."""
        invocation_id = frame.invocation_id
        if waiting is None:
            waiting = Waiting(frame.epoch, Stage.HELD)
        if not waiting.deployment_id and not self._has_room(deployment_id):
            self._park(deployment_id, invocation_id, waiting)
            return False
        self._join(deployment_id, invocation_id, waiting).hold(invocation_id, waiting, frame)
        self.pump(deployment_id)
        return True

    def _park(self, deployment_id: str, invocation_id: bytes, waiting: Waiting) -> None:
        waiting.early.clear()
        self._join(deployment_id, invocation_id, waiting).park(invocation_id, waiting)

    def _join(self, deployment_id: str, invocation_id: bytes, waiting: Waiting) -> Backlog:
        self._waiting[invocation_id] = waiting
        waiting.deployment_id = deployment_id
        backlog = self._backlogs.get(deployment_id)
        if backlog is None:
            backlog = self._backlogs[deployment_id] = Backlog(self._window)
        return backlog

    def _leave(self, invocation_id: bytes, waiting: Waiting) -> None:
        """It waits no more."""
        del self._waiting[invocation_id]
        backlog = self._backlogs.get(waiting.deployment_id)
        if backlog is not None:
            backlog.remove(invocation_id)
            if not len(backlog):
                del self._backlogs[waiting.deployment_id]

    def _has_room(self, deployment_id: str) -> bool:
        if not self._sessions.get(deployment_id):
            return False
        backlog = self._backlogs.get(deployment_id)
        return backlog is None or backlog.has_room

    def notify(self, invocation_id: bytes, epoch: int, entry: bytes) -> None:
        """Tells an attempt of a notification."""
        waiting = self._waiting.get(invocation_id)
        if waiting is not None:
            if waiting.epoch == epoch:
                self._tell_waiting(waiting, entry)
            return
        session = self._placed.get(invocation_id)
        if session is not None and session.epoch_of(invocation_id) == epoch:
            session.send(pb.Notify(invocation_id=invocation_id, epoch=epoch, entry=entry))

    def ack(self, invocation_id: bytes, epoch: int, command: int) -> None:
        """Tells an attempt that the result of a run is recorded."""
        session = self._placed.get(invocation_id)
        if session is not None and session.epoch_of(invocation_id) == epoch:
            session.send(RunAck(invocation_id, epoch, command))

    def suspend(self, invocation_id: bytes, epoch: int) -> None:
        """Asks an attempt to suspend as soon as it only waits, if its endpoint can; else it does so in its own time."""
        waiting = self._waiting.get(invocation_id)
        if waiting is not None and waiting.epoch == epoch:
            waiting.suspends = True
            if waiting.frame is not None:
                waiting.frame.inactivity_timeout_ms = 0
        session = self._placed.get(invocation_id)
        if session is not None and session.suspends and session.epoch_of(invocation_id) == epoch:
            session.send(pb.Suspend(invocation_id=invocation_id, epoch=epoch))

    def abort(self, invocation_id: bytes, epoch: int, reason: str) -> None:
        """The attempt has no say any more."""
        waiting = self._waiting.get(invocation_id)
        if waiting is not None and waiting.epoch == epoch:
            self._leave(invocation_id, waiting)
            self.pump(waiting.deployment_id)
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
        return {deployment_id: len(backlog) for deployment_id, backlog in self._backlogs.items()}

    def backlog(self, deployment_id: str) -> int:
        """How many attempts wait for a session of this deployment."""
        backlog = self._backlogs.get(deployment_id)
        return 0 if backlog is None else len(backlog)

    def awaits_endpoint(self, invocation_id: bytes) -> bool:
        """Whether an attempt was decided that no endpoint has yet."""
        return invocation_id in self._waiting

    def parked(self) -> Iterator[bytes]:
        """The invocations whose attempts are parked."""
        return (id_ for id_, waiting in self._waiting.items() if waiting.stage is Stage.PARKED)

    def is_parked(self, invocation_id: bytes) -> bool:
        """Whether the attempt will be asked for later, so that the invocation needs no memory until then."""
        waiting = self._waiting.get(invocation_id)
        return waiting is not None and waiting.stage is Stage.PARKED

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
        backlog = self._backlogs.get(session.deployment_id)
        if backlog is not None and not sessions:
            self._let_go(backlog.park_all())
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
        """Places attempts that wait, as far as there is credit, and asks for those whose turn comes near."""
        backlog = self._backlogs.get(deployment_id)
        if backlog is None:
            return
        while (first := backlog.first()) is not None and first[1].frame is not None:
            session = self._free_session(deployment_id)
            if session is None:
                break
            self._leave(*first)
            self._place(session, first[1].frame)
        if self._sessions.get(deployment_id):
            for invocation_id, epoch in backlog.ask():
                self._post(StartWanted(invocation_id, epoch))

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

    def _tell_waiting(self, waiting: Waiting, entry: bytes) -> None:
        """Joins its journal. What is read from the store later has the entry already."""
        if waiting.stage is Stage.HELD:
            self._backlogs[waiting.deployment_id].tell(waiting, entry)
        elif waiting.stage is Stage.READING:
            waiting.early.append(entry)


def _nobody_listens(event: Event) -> None:
    raise RuntimeError(f"an attempt said something before the engine listened: {event}")


def _nobody_cares(invocation_ids: list[bytes]) -> None:
    raise RuntimeError(f"{len(invocation_ids)} attempts were parked before the engine listened")


def _no_clock() -> int:
    raise RuntimeError("an attempt started before the engine gave a clock")
