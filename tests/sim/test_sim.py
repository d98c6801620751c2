"""The simulator on the code as it is, and the simulator itself. `make sim` runs as many seeds as you like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from restate_runtime.core.events import Event
from restate_runtime.engine.loop import Engine

from .explore import explore, problem
from .generate import scenario
from .planted import BUGS
from .program import reached
from .world import run

CHUNKS = 20
#: About 4 seconds of CPU for a chunk.
SEEDS_A_CHUNK = 100


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_must_hold_holds_whatever_goes_wrong(chunk: int) -> None:
    found = explore(range(chunk * SEEDS_A_CHUNK, (chunk + 1) * SEEDS_A_CHUNK))
    assert found is None, str(found)


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug, within = BUGS[name]
    with bug():
        found = explore(range(within), shrink_tries=0)
    assert found is not None


def test_a_seed_gives_the_same_run_each_time() -> None:
    for seed in range(5):
        assert run(scenario(seed)).ledger.trace == run(scenario(seed)).ledger.trace


def test_what_fails_is_shrunk_and_tells_how_to_see_it_again() -> None:
    bug, within = BUGS["drop a notification"]
    with bug():
        found = explore(range(within), shrink_tries=60)
        assert found is not None
        assert problem(found.smallest) is not None
    before = scenario(found.seed)
    assert len(reached(found.smallest)) <= len(reached(before))
    assert len(found.smallest.faults) <= len(before.faults)
    assert f"make sim SEED={found.seed}" in str(found)


def test_an_engine_that_fails_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Engine, event: Event) -> None:
        self._fail(ValueError("out of order"))

    monkeypatch.setattr(Engine, "_decide", broken)
    assert problem(replace(scenario(1), faults=())) == "the engine failed: ValueError: out of order"
