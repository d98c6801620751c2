"""One session against a model: random requests, drops, timeouts, results and stops, in random order.

The engine and the clock are the test's. The model knows of each request what its answer may be, and that there is one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from protobuf import Oneof
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.journal import Failure, Result, Value
from restate_protocol.status import StatusCode
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.answers import Answers
from restate_runtime.ingress.control import Control
from restate_runtime.ingress.session import ACCEPTED_AFTER_S, Session, SessionLimits
from restate_runtime.ingress.waiting import Waiting

DROP: Any = Oneof("drop", pb.SessionDrop())
CREDITS = 5
STEPS = 120


class Clock:
    """The part of an event loop that a session uses, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._alarms: list[_Alarm] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> _Alarm:
        alarm = _Alarm(self.now + delay, lambda: callback(*args))
        self._alarms.append(alarm)
        return alarm

    def move(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [one for one in self._alarms if not one.gone and one.due <= end]:
            alarm = min(due, key=lambda one: one.due)
            alarm.gone = True
            self.now = max(self.now, alarm.due)
            alarm.ring()
        self.now = end

    @property
    def pending(self) -> int:
        return sum(not one.gone for one in self._alarms)


class _Alarm:
    def __init__(self, due: float, ring: Callable[[], object]) -> None:
        self.due, self.ring, self.gone = due, ring, False

    def cancel(self) -> None:
        self.gone = True


class Engine:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: dict[int, Any] = {}  # by number: the asker, while nothing released it
        self.fail_next = False
        self._count = 0

    def begin(self, submission: Any, asker: Any, *, wait: bool) -> Callable[[], None]:
        return self._begin(asker)

    def begin_attach(self, invocation_id: bytes, asker: Any) -> Callable[[], None]:
        return self._begin(asker)

    def _begin(self, asker: Any) -> Callable[[], None]:
        if self.fail_next:
            raise TerminalError("no", code=StatusCode.UNIMPLEMENTED)
        self._count += 1
        number = self._count
        self.asked[number] = asker
        return lambda: self.asked.pop(number, None) and None

    def live(self) -> list[int]:
        return [number for number, asker in self.asked.items() if not asker.over]


class Model:
    """What is true of each request."""

    def __init__(self) -> None:
        self.kinds: dict[int, str] = {}
        self.due: dict[int, float] = {}
        self.accepted_at: dict[int, float] = {}
        self.expected: dict[int, tuple[str, int]] = {}  # the answer, and its code where it is an error
        self.told: set[int] = set()
        self.dropped: set[int] = set()

    def open(self) -> list[int]:
        return [one for one in self.kinds if one not in self.expected and one not in self.dropped]


class Run:
    """One seed."""

    def __init__(self, seed: int, routes: Any) -> None:
        self.random = random.Random(seed)
        self.clock, self.engine, self.model = Clock(), Engine(), Model()
        engine: Any = self.engine
        admission = Admission(routes, Limits())
        control = Control(engine, Waiting(), admission)
        limits = SessionLimits(CREDITS, 10_000)
        self.answers = Answers()
        self.session = Session(admission, engine, control, limits, self.answers, self.clock)
        self.last = 0

    def ask(self) -> None:
        model = self.model
        self.last += self.random.randint(1, 3)
        number, kind = self.last, self.random.choice(("call", "send", "attach", "nothing", "bad"))
        timeout = self.random.choice((None, None, 0, 5, 40, 400))
        self.engine.fail_next = self.random.random() < 0.1
        model.kinds[number] = kind
        refusal = self._refusal(kind, timeout)
        if refusal is not None:
            model.expected[number] = ("error", refusal)
        elif timeout is not None:
            model.due[number] = self.clock.now + timeout / 1_000
        fields = {} if timeout is None else {"timeout_ms": timeout}
        self.session.take(pb.SessionRequest(asks=[pb.SessionAsk(id=number, request=_request(kind), **fields)]))

    def _refusal(self, kind: str, timeout: int | None) -> int | None:
        if self.session.draining:
            return 14
        if len(self.model.open()) > CREDITS:
            return 8
        if kind == "nothing":
            return 3
        if timeout == 0:
            return 4
        if kind == "bad":
            return 12
        return 12 if self.engine.fail_next else None

    def drop(self) -> None:
        number = self.random.randint(1, self.last + 2)
        if number in self.model.open():
            self.model.dropped.add(number)
        self.session.take(pb.SessionRequest(asks=[pb.SessionAsk(id=number, request=DROP)]))

    def accept(self) -> None:
        fresh = [one for one in self.engine.live() if self.engine.asked[one].invocation_id is None]
        if not fresh:
            return
        number = self.random.choice(fresh)
        asker = self.engine.asked[number]
        if self.random.random() < 0.1:
            self.model.expected[asker.number] = ("error", 6)
            asker.refused(TerminalError("there", code=StatusCode.ALREADY_EXISTS))
            return
        if self.model.kinds[asker.number] == "send":
            self.model.expected[asker.number] = ("send", 0)
        self.model.accepted_at[asker.number] = self.clock.now
        asker.accepted(number.to_bytes(16, "big"), self.random.random() < 0.5)

    def resolve(self) -> None:
        waiting = [one for one in self.engine.live() if self.engine.asked[one].invocation_id is not None]
        if not waiting:
            return
        number = self.random.choice(waiting)
        asker = self.engine.asked.pop(number)
        failed = self.random.random() < 0.3
        result: Result = Failure(9, "no") if failed else Value(b"\n\x01x")
        self.model.expected[asker.number] = ("error", 9) if failed else (self.model.kinds[asker.number], 0)
        asker.resolved(result)

    def wait(self) -> None:
        self.clock.move(self.random.choice((0.001, 0.01, 0.05, 0.2)))
        for number in self.model.open():
            if self.model.due.get(number, self.clock.now + 1) <= self.clock.now:
                self.model.expected[number] = ("error", 4)

    def read(self) -> None:
        """Takes what is to be written, and compares."""
        for one in self.session.outbox.take():
            assert one.answer is not None
            if one.answer.field == "accepted":
                self._check_told(one.id, one.answer.value)
                continue
            code = one.answer.value.code if one.answer.field == "error" else 0
            assert self.model.expected.get(one.id) == (one.answer.field, code), one
            self.model.expected[one.id] = ("done", 0)
        self.session.outbox.written()

    def _check_told(self, number: int, told: pb.SessionAccepted) -> None:
        model = self.model
        assert model.kinds[number] in ("call", "attach")
        assert number not in model.told
        assert self.clock.now >= model.accepted_at[number] + ACCEPTED_AFTER_S
        assert told.invocation_id.startswith("inv_")
        model.told.add(number)

    def check(self) -> None:
        assert len(self.session) == len(self.model.open())
        assert len(self.session) <= CREDITS
        released = {asker.number for asker in self.engine.asked.values() if not asker.over}
        assert released <= set(self.model.open())

    def end(self) -> None:
        """Sends everybody away, or goes; and nobody is left, in the session, the engine or the clock."""
        if self.random.random() < 0.5:
            for number in self.model.open():
                self.model.expected[number] = ("error", 14)
            self.session.send_away()
            self.read()
            assert set(self.model.expected.values()) <= {("done", 0)}
        self.session.close()
        assert len(self.session) == 0
        assert self.engine.live() == []
        assert self.clock.pending == 0
        self.clock.move(10)
        assert len(self.session.outbox) == 0


def _request(kind: str) -> Any:
    if kind == "nothing":
        return None
    if kind == "attach":
        return Oneof("attach", pb.AttachRequest(invocation_id=invocation_id_text(b"?" * 16)))
    handler = "Nope" if kind == "bad" else "Say"
    payload: Any = Oneof("payload", b"\n\x02hi")
    if kind == "send":
        return Oneof("send", pb.SendRequest(service="shop.v1.Echo", handler=handler, request=payload))
    return Oneof("call", pb.CallRequest(service="shop.v1.Echo", handler=handler, request=payload))


@pytest.mark.parametrize("seeds", [range(first, first + 50) for first in range(0, 300, 50)], ids=str)
async def test_every_request_has_one_answer_and_that_is_the_right_one(seeds: range, routes: Any) -> None:
    for seed in seeds:
        print(f"seed {seed}")
        play(Run(seed, routes), drains=seed % 3 == 0)


def play(run: Run, *, drains: bool) -> None:
    steps = [run.ask] * 6 + [run.accept] * 4 + [run.resolve] * 4 + [run.drop, run.wait, run.wait, run.read, run.read]
    for step in range(STEPS):
        if step == STEPS - 10 and drains:
            run.session.drain()
        run.random.choice(steps)()
        run.check()
    run.read()
    told = run.model.accepted_at.items()
    late = {one for one, at in told if one in run.model.open() and run.clock.now >= at + ACCEPTED_AFTER_S}
    assert {one for one in late if run.model.kinds[one] != "send"} <= run.model.told
    run.end()
