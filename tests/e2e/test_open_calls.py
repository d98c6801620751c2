"""The benchmark of open calls does what it says, with a few of them."""

from __future__ import annotations

import pytest

from benchmarks.open_calls import SETTINGS, measure, report
from benchmarks.run import rig

pytestmark = pytest.mark.e2e


async def test_a_few_open_calls_are_measured_and_answered() -> None:
    with rig(SETTINGS) as one:
        figures = await measure(one, 20, quiet_s=0.1)
    assert [phase.name for phase in figures.phases] == ["before", "opening", "open", "answering"]
    assert "20 open calls" in report(figures)
