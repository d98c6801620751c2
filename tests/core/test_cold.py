"""Whether an invocation is in memory makes no difference: what is needed is loaded, and nothing else matters.

Two benches do the same; in one of them everything that may be dropped is dropped after each step, and comes back as a
store would give it. What `needs` forgets shows as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st
from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.records import JournalRow, Status
from restate_runtime.core.world import Hot, Phase, load

from tests.core.harness import Bench

TARGETS = (("t.Plain", "Do", None), ("t.Object", "Do", "a"), ("t.Object", "Do", "b"), ("t.Object", "Look", "a"))
STEPS = ("submit", "call", "call", "send", "attach", "suspend", "suspend", "end", "fail", "lose")
VERBS = ("kill", "cancel", "pause", "resume", "signal", "handler cancels", "handler signals")


@dataclass
class Side:
    """A bench, and what it wrote."""

    cold: bool
    bench: Bench = field(default_factory=Bench)
    known: list[bytes] = field(default_factory=list)
    journals: dict[bytes, list[bytes]] = field(default_factory=dict)
    statuses: dict[bytes, Status] = field(default_factory=dict)

    def do(self, event: ev.Event) -> None:
        self.took(self.bench.do(event))

    def took(self, out: d.Decision) -> None:
        for write in out.writes:
            if isinstance(write, d.AppendEntry):
                self.journals.setdefault(write.invocation_id, []).append(write.entry)
            elif isinstance(write, d.CreateInvocation):
                self.known.append(write.invocation.id)
        for write in out.writes:
            if isinstance(write, d.CreateInvocation | d.SaveInvocation):
                self.statuses[write.invocation.id] = write.invocation.status
        if self.cold:
            self._drop()

    def _drop(self) -> None:
        world = self.bench.world
        for invocation_id, hot in list(world.invocations.items()):
            if hot.phase is Phase.IDLE:
                del world.invocations[invocation_id]
                self.bench.stored[invocation_id] = self._stored(hot)

    def _stored(self, hot: Hot) -> Hot:
        rows = [JournalRow(index, 0, entry) for index, entry in enumerate(self.journals[hot.record.id])]
        live = hot.record.status is not Status.COMPLETED
        return load(replace(hot.record), rows, hot.waiters if live else [], hot.target)

    def running(self, which: int) -> Hot | None:
        """One of those that have an attempt, the same on both sides."""
        found = [self.bench.world.invocations.get(one) for one in self.known]
        attempts = [one for one in found if one is not None and one.phase is Phase.ATTEMPT]
        return attempts[which % len(attempts)] if attempts else None


def _submit(side: Side, which: int) -> None:
    service, name, key = TARGETS[which % len(TARGETS)]
    side.took(side.bench.submit(service, name, key, wait=False)[1])


def _says(side: Side, step: str, hot: Hot, which: int) -> None:
    bench, record = side.bench, hot.record
    service, name, key = TARGETS[which % len(TARGETS)]
    callee = ids.child_invocation_id(record.id, hot.commands)
    other = side.known[which % len(side.known)]
    match step:
        case "call":
            side.took(bench.say(record.id, j.Call(service, name, key, b"p", callee)))
        case "send":
            side.took(bench.say(record.id, j.Send(service, name, key, b"p", callee)))
        case "attach":
            side.took(bench.say(record.id, j.Attach(other)))
        case "handler cancels":
            side.took(bench.say(record.id, j.Cancel(other)))
        case "handler signals":
            side.took(bench.say(record.id, j.SendSignal(other, "go", j.Void())))
        case "suspend":
            leaves: tuple[aw.Leaf, ...] = tuple(aw.OnCommand(number) for number in hot.open) or (aw.OnSignal("go"),)
            side.do(ev.AttemptSuspended(record.id, record.epoch, aw.Group(aw.Combinator(which % 4), leaves)))
        case "end":
            side.took(bench.say(record.id, j.Output(j.Value(b"out"))))
            side.do(ev.AttemptEnded(record.id, record.epoch))
        case "fail":
            side.took(bench.fail(record.id, behavior=which % 3))
        case _:
            side.do(ev.AttemptLost(record.id, record.epoch, "gone", delivered=bool(which % 2)))


def _steer(side: Side, verb: str, which: int) -> None:
    invocation_id = side.known[which % len(side.known)]
    events: dict[str, ev.Event] = {
        "kill": ev.Kill(invocation_id, 1),
        "cancel": ev.Cancel(invocation_id, 1),
        "pause": ev.Pause(invocation_id, 1),
        "resume": ev.Resume(invocation_id, 1),
        "signal": ev.SignalSent(invocation_id, "go", j.Void(), 1),
    }
    side.do(events[verb])


def _step(side: Side, step: str, which: int) -> None:
    if step == "submit" or not side.known:
        _submit(side, which)
    elif step in VERBS[:5]:
        _steer(side, step, which)
    else:
        hot = side.running(which)
        if hot is not None:
            _says(side, step, hot, which)


@given(st.lists(st.tuples(st.sampled_from(STEPS + VERBS), st.integers(0, 11)), max_size=40))
def test_what_was_dropped_and_loaded_again_behaves_as_if_it_had_stayed(steps: list[tuple[str, int]]) -> None:
    warm, cold = Side(cold=False), Side(cold=True)
    for step, which in steps:
        for side in (warm, cold):
            _step(side, step, which)
        assert cold.statuses == warm.statuses
        assert cold.journals == warm.journals
        assert {key: list(queue) for key, queue in cold.bench.world.queues.items()} == {
            key: list(queue) for key, queue in warm.bench.world.queues.items()
        }
