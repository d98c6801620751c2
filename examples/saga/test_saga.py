"""The saga in real processes, both of which die in the middle of compensating: it is undone to the end all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e

STEP = ("run", "completion")


def test_compensations_go_on_after_a_crash_in_the_middle_of_compensating(example: Example) -> None:
    runtime, endpoint = example.start(EXAMPLE_PAUSE_AT="cancel trip-1 hotel")
    request: dict[str, object] = {"tripId": "trip-1", "parts": ["flight", "hotel", "balloon", "car"]}
    trip = example.send("saga.v1.Trips/Book", request)
    done = ["reserve trip-1 flight", "reserve trip-1 hotel", "reserve trip-1 balloon", "cancel trip-1 balloon"]
    example.until_effect("cancel trip-1 hotel")
    example.until_journaled(trip, *STEP * 4, "run")
    assert example.effects() == [*done, "cancel trip-1 hotel"]

    runtime.kill()
    endpoint.kill()
    example.start_endpoint()
    example.start_runtime()

    assert example.client("trip-1", "flight", "hotel", "balloon", "car") == ["not available: balloon"]
    # Killed after the effect, before the runtime knew of it: this step alone ran again.
    rest = ["cancel trip-1 hotel", "cancel trip-1 hotel", "cancel trip-1 flight"]
    assert example.effects() == [*done, *rest]

    assert example.client("trip-2", "flight", "hotel") == ["flight/trip-2 hotel/trip-2"]
