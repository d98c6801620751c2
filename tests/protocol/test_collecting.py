"""How often Python looks for cyclic garbage in our programs: rarely, unless somebody chose."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest
from restate_protocol.collecting import NEW_OBJECTS, collect_less

IN_A_PROGRAM = """
import gc
from restate_protocol.collecting import collect_less
assert not gc.get_freeze_count()
collect_less()
print(gc.get_threshold()[0], gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.fixture
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_program_looks_less_often_and_not_at_what_it_began_with() -> None:
    out = subprocess.run([sys.executable, "-c", IN_A_PROGRAM], check=True, capture_output=True, text=True).stdout
    assert out.split() == [str(NEW_OBJECTS), "True", "True"]


@pytest.mark.usefixtures("thresholds")
@pytest.mark.parametrize("chosen", [0, 5, 50_000])
def test_what_somebody_chose_stands(chosen: int) -> None:
    gc.set_threshold(chosen, 11, 12)
    frozen = gc.get_freeze_count()
    collect_less()
    assert gc.get_threshold() == (chosen, 11, 12)
    assert gc.get_freeze_count() == frozen
