"""Random programs against a random runtime: replay is a fixed point, and journal order decides.

A program is a list of steps over the handles made before. The runtime commits commands late and completes open ones
in any order, so that notifications land anywhere between commands, as on a real machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from restate_protocol import awaiting as protocol
from restate_protocol import journal as j
from restate_protocol.awaiting import Combinator
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Command, Ended, RunAck
from restate_sdk.vm.awaiting import Deadline, Group, Handle, Seen, Tree, open_part, settlement, to_protocol
from restate_sdk.vm.machine import Machine

from .journals import INVOCATION_ID

Step = tuple[Any, ...]

steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("run"), st.sampled_from("abc")),
    st.tuples(st.just("late run"), st.sampled_from("abc")),
    st.tuples(st.just("sleep")),
    st.tuples(st.just("call"), st.binary(max_size=3)),
    st.tuples(st.just("send"), st.binary(max_size=3)),
    st.tuples(st.just("awakeable")),
    st.tuples(st.just("signal"), st.sampled_from("xy")),
    st.tuples(st.just("timeout"), st.integers(0, 9)),
    st.tuples(st.just("set"), st.integers(1, 2), st.binary(max_size=2)),
    st.tuples(st.just("get"), st.integers(1, 2)),
    st.tuples(st.just("clear"), st.integers(1, 2)),
    st.tuples(st.just("keys")),
    st.tuples(st.just("await"), st.integers(0, 9)),
    st.tuples(
        st.just("group"),
        st.sampled_from(list(Combinator)),
        st.lists(st.integers(0, 9), min_size=1, max_size=4),
    ),
    st.tuples(
        st.just("nested"),
        st.sampled_from(list(Combinator)),
        st.lists(
            st.tuples(st.sampled_from(list(Combinator)), st.lists(st.integers(0, 9), min_size=1, max_size=3)),
            min_size=1,
            max_size=3,
        ),
    ),
)
programs = st.lists(steps, min_size=1, max_size=15)
seeds = st.integers(0, 2**32)


class Handler:
    """A handler that executes a program against a machine; what it saw is `seen`."""

    def __init__(self, machine: Machine, program: list[Step]) -> None:
        self.machine = machine
        self.seen: list[Any] = []
        self.waits_for: Tree | None = None
        self._handles: list[Handle] = []
        self._late: list[int] = []
        self._body = self._execute(program)
        self.finished = False

    def go_on(self) -> None:
        """Runs until it blocks or ends."""
        try:
            next(self._body)
        except StopIteration:
            self.finished = True

    def _execute(self, program: list[Step]) -> Iterator[None]:
        for step in program:
            match step:
                case ("late run", name):
                    self._late_run(name)
                case ("await", index) if self._handles:
                    yield from self._wait(self._pick(index))
                case ("group", combinator, indexes) if self._handles:
                    yield from self._wait(self._group(combinator, indexes))
                case ("nested", combinator, groups) if self._handles:
                    yield from self._wait(Group(combinator, tuple(self._group(*one) for one in groups)))
                case ("timeout", index) if self._handles:
                    deadline = Deadline(self.machine.sys_sleep(1))
                    yield from self._wait(Group(Combinator.FIRST_COMPLETED, (self._pick(index), deadline)))
                case _:
                    self._operate(step)
        self.machine.sys_output(j.Value(repr(self.seen).encode()))

    def _pick(self, index: int) -> Handle:
        return self._handles[index % len(self._handles)]

    def _group(self, combinator: Combinator, indexes: list[int]) -> Group:
        return Group(combinator, tuple(self._pick(index) for index in indexes))

    def _wait(self, tree: Tree) -> Iterator[None]:
        self._end_late_runs()
        self.waits_for = tree
        try:
            while not self.machine.poll(tree):
                yield
        except TerminalError as error:
            self.seen.append(("cancelled", str(error)))
            return
        finally:
            self.waits_for = None
        if isinstance(tree, Group):
            self.seen.append(("group", self.machine.winner(tree), self.machine.first_failed(tree)))
        else:
            assert not isinstance(tree, Deadline)
            self.seen.append(("one", self.machine.result(tree)))

    def _operate(self, step: Step) -> None:
        machine = self.machine
        match step:
            case ("run", name):
                self._run(name)
            case ("sleep",):
                self._handles.append(machine.sys_sleep(1))
            case ("call", payload):
                self._handles.append(machine.sys_call(("s.S", "H", None), payload))
            case ("send", payload):
                self.seen.append(machine.sys_send(("s.S", "H", None), payload))
            case ("awakeable",):
                self._handles.append(machine.sys_awakeable(""))
            case ("signal", name):
                self._handles.append(machine.sys_signal(name))
            case ("set", number, value):
                machine.sys_set_state(number, value)
            case ("clear", number):
                machine.sys_clear_state(number)
            case ("get", number):
                self.seen.append(machine.result(machine.sys_get_state(number)))
            case ("keys",):
                self.seen.append(machine.result(machine.sys_state_keys()))
            case _:
                pass

    def _run(self, name: str) -> None:
        handle = self.machine.sys_run(name)
        self._handles.append(handle)
        if not self.machine.has_result(handle):
            self.machine.propose(handle, j.Value(b"%d" % handle))

    def _late_run(self, name: str) -> None:
        """A run whose function ends only when something else went on: its result travels by itself."""
        handle = self.machine.sys_run(name)
        self._handles.append(handle)
        if not self.machine.has_result(handle):
            self._late.append(handle)

    def _end_late_runs(self) -> None:
        for handle in self._late:
            self.machine.propose(handle, j.Value(b"%d" % handle))
        self._late.clear()


@dataclass
class Runtime:
    """Keeps a journal and the state, and decides at random what happens next."""

    chance: random.Random
    journal: list[bytes] = field(default_factory=lambda: [j.encode(j.Input(b""))])
    state: dict[int, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=lambda: ["input"])
    open: list[tuple[str, int]] = field(default_factory=list)  # ("command" or "awakeable", number)
    proposals: dict[int, j.Result] = field(default_factory=dict)
    output: j.Result | None = None

    def attempt(self, program: list[Step]) -> tuple[Handler, list[Any]]:
        pairs = [pb.StateEntry(number=number, value=value) for number, value in self.state.items()]
        start = pb.Start(
            invocation_id=INVOCATION_ID,
            epoch=1,
            entries=self.journal,
            journal_length=len(self.journal),
            state=pairs,
        )
        out: list[Any] = []
        return Handler(Machine(start, out), program), out

    def drive(self, program: list[Step], most: int | None = None) -> Handler:
        """Runs one attempt to its end, or until `most` more entries are journaled."""
        handler, out = self.attempt(program)
        limit = None if most is None else len(self.journal) + most
        handler.go_on()
        while self.output is None and (limit is None or len(self.journal) < limit):
            if out and (not self.open or self.chance.random() < 0.5):
                self.commit(out.pop(0), handler)
            elif self.chance.random() < 0.1:
                self.cancel(handler)
            elif self.open:
                self.complete(handler)
            elif handler.waits_for is not None:
                self.signal(handler)
            else:
                raise AssertionError("the handler is blocked for ever")
        return handler

    def commit(self, frame: Any, handler: Handler) -> None:
        if isinstance(frame, pb.RunProposal):
            self.proposals[frame.command] = j.result_from_pb(frame.result)
            self.open.append(("command", frame.command))
        elif isinstance(frame, Command):
            self.journal.append(frame.entry)
            entry = j.decode(frame.entry)
            self.apply(entry)
            if isinstance(entry, j.Run) and entry.result is not None:
                number = len(self.commands) - 1
                handler.machine.run_ack(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=number))
                if handler.waits_for is not None:
                    handler.go_on()

    def apply(self, entry: j.Entry) -> None:
        self.commands.append(j.type_name(entry))
        match entry:
            case j.Sleep() | j.Call():
                self.open.append(("command", len(self.commands) - 1))
            case j.Awakeable():
                self.open.append(("awakeable", entry.number))
            case j.SetState():
                self.state[entry.number] = entry.value
            case j.ClearState():
                self.state.pop(entry.number, None)
            case j.Output():
                self.output = entry.result
            case _:
                pass

    def cancel(self, handler: Handler) -> None:
        """Somebody wants the invocation to end."""
        self._notify(handler, j.Cancelled(1, f"request {len(self.journal)}"))

    def signal(self, handler: Handler) -> None:
        """A signal that may be awaited."""
        self._notify(handler, j.Signal(self.chance.choice("xy"), j.Value(b"%d" % len(self.journal))))

    def _notify(self, handler: Handler, entry: j.Notification) -> None:
        data = j.encode(entry)
        self.journal.append(data)
        handler.machine.notify(pb.Notify(invocation_id=INVOCATION_ID, epoch=1, entry=data))
        if handler.waits_for is not None:
            handler.go_on()

    def complete(self, handler: Handler) -> None:
        """Completes one open command at random, unless none is awaited: then there may be no end to wait for."""
        kind, number = self.open.pop(self.chance.randrange(len(self.open)))
        result: j.Result = j.Failure(2, "no") if self.chance.random() < 0.3 else j.Value(b"%d" % number)
        result = self.proposals.pop(number, result) if kind == "command" else result
        is_run = kind == "command" and self.commands[number] == "run"
        entry: j.Notification = j.Signal(number, result) if kind == "awakeable" else j.Completion(number, result)
        data = j.encode(entry)
        self.journal.append(data)
        if is_run:
            handler.machine.run_ack(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=number))
        else:
            handler.machine.notify(pb.Notify(invocation_id=INVOCATION_ID, epoch=1, entry=data))
        if handler.waits_for is not None:
            handler.go_on()


def emitted(out: list[Any]) -> list[type[Any]]:
    """Types of frames, but for proposals: a run that nobody awaited may have no result, and executes again."""
    return [type(frame) for frame in out if not isinstance(frame, pb.RunProposal)]


@settings(deadline=None, max_examples=150)
@given(programs, seeds)
def test_replaying_a_finished_journal_emits_nothing_and_sees_the_same(program: list[Step], seed: int) -> None:
    runtime = Runtime(random.Random(seed))
    original = runtime.drive(program)
    again, out = runtime.attempt(program)
    again.go_on()
    assert again.finished
    assert again.seen == original.seen
    assert emitted(out) == [Ended]


@settings(deadline=None, max_examples=150)
@given(programs, seeds, st.integers(0, 40))
def test_replaying_any_prefix_goes_on_as_if_nothing_had_happened(program: list[Step], seed: int, cut: int) -> None:
    """A crash anywhere: what the second attempt sees up to the cut is what the journal says, and it ends."""
    runtime = Runtime(random.Random(seed))
    first = runtime.drive(program, most=cut)
    prefix = list(runtime.journal)
    runtime.open = [one for one in runtime.open if one[0] == "awakeable" or runtime.commands[one[1]] != "run"]
    runtime.proposals.clear()
    second = runtime.drive(program)
    assert runtime.journal[: len(prefix)] == prefix
    common = min(len(first.seen), len(second.seen))
    assert first.seen[:common] == second.seen[:common]
    final, out = runtime.attempt(program)
    final.go_on()
    assert final.seen == second.seen
    assert emitted(out) == [Ended]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(1, 8), min_size=8, max_size=8, unique=True), st.lists(st.integers(1, 8), min_size=1))
def test_the_order_of_resolution_is_the_order_of_the_journal(order: list[int], waits: list[int]) -> None:
    out: list[Any] = []
    entries = [j.encode(j.Input(b""))] + [j.encode(j.Sleep(1))] * 8
    entries += [j.encode(j.Completion(command, j.Void())) for command in order]
    machine = Machine(pb.Start(entries=entries, journal_length=len(entries)), out)
    for _ in range(8):
        machine.sys_sleep(1)
    for count, command in enumerate(waits, 1):
        assert machine.poll(command)
        assert list(machine.seen) == order[: max(order.index(one) for one in waits[:count]) + 1]


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Tree:
    if depth == 0 or draw(st.booleans()):
        handle = draw(st.integers(1, 6))
        return Deadline(handle) if draw(st.integers(0, 3)) == 0 else handle
    children = draw(st.lists(trees(depth - 1), min_size=1, max_size=3))
    return Group(draw(st.sampled_from(list(Combinator))), tuple(children))


_RACE_LOST_BY_A_FAILURE = Group(
    Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED,
    (Group(Combinator.FIRST_COMPLETED, (4, 1)), 2),
)


_DEADLINE_BELOW = Group(
    Combinator.FIRST_COMPLETED,
    (Group(Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED, (Group(Combinator.FIRST_COMPLETED, (1, Deadline(4))), 2)), 5),
)


@settings(deadline=None, max_examples=300)
@example(_DEADLINE_BELOW, [4, 1, 2, 3, 5, 6], [True] * 6)
@example(_RACE_LOST_BY_A_FAILURE, [1, 4, 2, 3, 5, 6], [False, True, True, True, True, True])
@given(trees(), st.permutations(range(1, 7)), st.lists(st.booleans(), min_size=6, max_size=6))
def test_the_runtime_wakes_a_suspended_handler_whenever_its_tree_is_settled(
    tree: Tree, order: list[int], successes: list[bool]
) -> None:
    """It may wake one too early, never too late; and what a handler waits for again is not settled already."""
    seen: dict[Handle, Seen] = {}
    for place, handle in enumerate(order, 1):
        if settlement(tree, seen) is not None:
            assert protocol.settled(to_protocol(tree), lambda leaf: _result(leaf, seen))
        else:
            assert not protocol.settled(to_protocol(open_part(tree, seen)), lambda leaf: _result(leaf, seen))
        result: j.Result = j.Void() if successes[handle - 1] else j.Failure(2, "no")
        seen[handle] = Seen(place, result)
    assert settlement(tree, seen) is not None


def _result(leaf: protocol.Leaf, seen: dict[Handle, Seen]) -> j.Result | None:
    assert isinstance(leaf, protocol.OnCommand)
    one = seen.get(leaf.command)
    return None if one is None else one.result
