"""State that is read on demand: what a view knows, and what the handler is told."""

from __future__ import annotations

import pytest
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_runtime.core import decision as d
from restate_runtime.core import events as ev
from restate_runtime.core.needs import NeedState, missing
from restate_runtime.core.state_view import StateView

from tests.core.harness import Bench, only

KEY = ("t.Object", "k")


def view(stored: dict[int, bytes], *numbers: int, keys: bool = True) -> StateView:
    """A view of stored entries, of which those of `numbers` were read."""
    read = {number: stored.get(number) for number in numbers}
    return StateView(read=read, read_numbers=sorted(stored) if keys else None)


def told(bench: Bench, invocation_id: bytes) -> j.Result:
    last = bench.journal(invocation_id)[-1]
    assert isinstance(last, j.Completion)
    return last.result


def test_a_lazy_read_needs_exactly_what_it_asks_for() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    for entry, number in ((j.GetState(7), 7), (j.GetStateKeys(), None)):
        event = ev.CommandSaid(invocation_id, 1, entry, j.encode(entry))
        assert missing(bench.world, event) == [NeedState(KEY, number)]
        bench.world.states[KEY] = view({1: b"a"}, 1, keys=False)
        assert missing(bench.world, event) == [NeedState(KEY, number)]
        bench.world.states[KEY] = view({1: b"a"}, 7)
        assert missing(bench.world, event) == []
        del bench.world.states[KEY]


@pytest.mark.parametrize("entry", [j.GetState(1, j.Void()), j.GetStateKeys(())])
def test_what_the_attempt_had_at_hand_needs_nothing_and_no_completion(entry: j.Command) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    bench.say(invocation_id, entry)
    assert bench.journal(invocation_id)[1:] == [entry]
    assert not bench.hot(invocation_id).open


@pytest.mark.parametrize(("number", "result"), [(1, j.Value(b"a")), (2, j.Value(b"")), (3, j.Void())])
def test_a_lazy_read_is_answered_with_the_entry_or_nothing(number: int, result: j.Result) -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    bench.world.states[KEY] = view({1: b"a", 2: b""}, 1, 2, 3)
    out = bench.say(invocation_id, j.GetState(number))
    completion = j.Completion(1, result)
    assert bench.journal(invocation_id)[1:] == [j.GetState(number), completion]
    assert [one.entry for one in only(d.NotifyAttempt, out.effects)] == [j.encode(completion)]


def test_a_lazy_read_of_the_keys_is_answered_with_their_numbers() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit("t.Object", "Do", "k")
    bench.world.states[KEY] = view({5: b"", 1: b"a"})
    bench.say(invocation_id, j.GetStateKeys())
    assert told(bench, invocation_id) == j.Value(journal_pb.StateKeys(numbers=[1, 5]).to_binary())


def test_a_view_hears_of_what_is_decided_while_it_is_read() -> None:
    bench = Bench()
    writer, _ = bench.submit("t.Object", "Do", "k")
    seen = bench.world.states[KEY] = view({1: b"old", 2: b"old", 3: b"old"}, 1, 2, 3, 4)
    bench.say(writer, j.SetState(1, b"new"))
    bench.say(writer, j.ClearState(2))
    bench.say(writer, j.SetState(4, b"new"))
    assert [seen.value(number) for number in (1, 2, 3, 4)] == [b"new", None, b"old", b"new"]
    assert seen.numbers() == [1, 3, 4]
    bench.say(writer, j.ClearAllState())
    bench.say(writer, j.SetState(5, b"last"))
    assert [seen.value(number) for number in (1, 5)] == [None, b"last"]
    assert seen.numbers() == [5]


def test_after_everything_was_cleared_nothing_need_be_read() -> None:
    cleared = StateView()
    cleared.clear()
    assert cleared.knows(9)
    assert cleared.knows(None)
    assert (cleared.value(9), cleared.numbers()) == (None, [])


def test_a_decided_entry_need_not_be_read_but_the_keys_must() -> None:
    decided = StateView()
    decided.put(1, b"a")
    assert decided.knows(1)
    assert not decided.knows(2)
    assert not decided.knows(None)


def test_a_plain_service_that_reads_state_is_refused_and_needs_nothing() -> None:
    bench = Bench()
    invocation_id, _ = bench.submit()
    assert only(d.AbortAttempt, bench.say(invocation_id, j.GetState(1)).effects)
