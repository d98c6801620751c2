"""The event enricher in real processes: the runtime dies while the time box is open, and one event comes out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.conftest import until

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


def emitted(example: Example, user: str) -> list[str]:
    """The events of a user, without their ids."""
    events = [line.partition(" ")[2] for line in example.effects()]
    return [event for event in events if event.startswith(f"{user} ")]


def test_one_event_comes_out_of_a_time_box_although_the_runtime_died_in_it(example: Example) -> None:
    runtime, endpoint = example.start(TIME_BOX_MS="1500")
    for feature in ("maths", "music"):  # before the user: the streams are in no order
        example.curl("event_enricher.v1.Enricher/FeatureEvent", {"userId": "ada", "feature": feature})
    example.curl("event_enricher.v1.Enricher/UserEvent", {"userId": "ada", "name": "Ada"})
    runtime.kill()
    example.start_runtime()
    until(lambda: bool(emitted(example, "ada")), "the event of ada")
    assert emitted(example, "ada") == ["ada Ada maths,music"]

    # What comes after the box was closed is in the next one. Ada's state was cleared.
    endpoint.kill()
    example.start_endpoint(TIME_BOX_MS="0")
    assert example.client("ada", "Countess") == []
    until(lambda: len(emitted(example, "ada")) > 1, "the second event of ada")
    assert emitted(example, "ada")[1:] == ["ada Countess "]
