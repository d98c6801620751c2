"""The dispatcher between an engine and sessions that are made up: what was asked for twice starts once."""

from __future__ import annotations

from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_runtime.core.events import Event, StartWanted
from restate_runtime.deployments.backlog import Window
from restate_runtime.deployments.dispatch import Dispatcher
from restate_runtime.deployments.sessions import Session

ID = bytes(16)
DEPLOYMENT = "dep_1"


class Rig:
    """A dispatcher, and what it told the engine."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(window=Window(attempts=2))
        self.events: list[Event] = []
        self.let_go: list[bytes] = []
        self.dispatcher.on_event(self.events.append)
        self.dispatcher.on_let_go(self.let_go.extend)
        self.dispatcher.use_clock(lambda: 0)

    def open(self, credits: int = 1) -> Session:
        session = Session(DEPLOYMENT, credits, self.dispatcher)
        self.dispatcher.opened(session)
        return session

    def start(self, invocation_id: bytes = ID) -> bool:
        """What the engine does when an attempt is to start; whether its frame was taken."""
        if not self.dispatcher.wants(DEPLOYMENT, invocation_id, 1):
            return False
        return self.dispatcher.start(DEPLOYMENT, pb.Start(invocation_id=invocation_id, epoch=1, entries=[b"in"]))


async def test_what_was_asked_for_twice_is_placed_once() -> None:
    rig = Rig()
    assert not rig.start()
    first = rig.open()
    rig.dispatcher.closed(first, "gone")
    second = rig.open()
    assert rig.events == [StartWanted(ID, 1), StartWanted(ID, 1)]
    assert rig.start()
    assert not rig.start()
    assert list(second.attempts) == [ID]
    assert second.credits == 0
    assert not rig.dispatcher.waiting()


async def test_what_was_asked_for_twice_is_held_once() -> None:
    rig = Rig()
    assert not rig.start()
    rig.dispatcher.closed(rig.open(credits=0), "gone")
    session = rig.open(credits=0)
    assert rig.start()
    assert not rig.start()
    assert rig.dispatcher.waiting() == {DEPLOYMENT: 1}
    session.credits = 2
    rig.dispatcher.pump(DEPLOYMENT)
    assert list(session.attempts) == [ID]
    assert session.credits == 1


async def test_what_is_asked_for_while_its_state_is_read_waits_for_that() -> None:
    rig = Rig()
    assert not rig.start()
    session = rig.open()
    assert rig.dispatcher.wants(DEPLOYMENT, ID, 1)
    rig.dispatcher.expect(ID, 1)
    assert not rig.start()
    assert rig.dispatcher.start(DEPLOYMENT, pb.Start(invocation_id=ID, epoch=1, entries=[b"in"]))
    assert list(session.attempts) == [ID]


async def test_what_is_parked_while_its_state_is_read_starts_with_all_that_it_was_told() -> None:
    rig = Rig()
    assert not rig.start()
    session = rig.open()
    assert rig.dispatcher.wants(DEPLOYMENT, ID, 1)
    rig.dispatcher.expect(ID, 1)
    rig.dispatcher.closed(session, "gone")
    assert rig.let_go == [ID]
    rig.dispatcher.notify(ID, 1, b"told")  # the journal has it; the frame that is being made does not
    again = rig.open()
    assert not rig.dispatcher.start(DEPLOYMENT, pb.Start(invocation_id=ID, epoch=1, entries=[b"in"]))
    assert not again.attempts
    assert rig.start()
    assert list(again.attempts) == [ID]
