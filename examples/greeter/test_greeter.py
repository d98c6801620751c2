"""The greeter in real processes: counts survive a runtime that is killed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
import restate_client

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


@pytest.fixture
def gen(example: Example) -> Any:
    """The generated client, beside the messages it imports."""
    return importlib.import_module("gen.greeter.v1.greeter_restate")


async def test_counts_survive_a_runtime_that_is_killed(example: Example, gen: Any) -> None:
    messages = importlib.import_module("gen.greeter.v1.greeter_pb")
    runtime = example.start_runtime()
    example.start_endpoint()
    example.register()
    greet = messages.GreetRequest(name="Ada", greeting="Hi")
    async with restate_client.connect(example.ingress) as restate:
        assert (await gen.GreeterClient(restate).greet(greet)).message == "Hi Ada for the 1-th time."

    runtime.kill()
    example.start_runtime()

    async with restate_client.connect(example.ingress) as restate:
        greeter = gen.GreeterClient(restate)
        assert (await greeter.greet(greet)).message == "Hi Ada for the 2-th time."
        assert (await greeter.count(messages.CountRequest(name="Ada"))).count == 2
        assert (await greeter.count(messages.CountRequest(name="Grace"))).count == 0


def test_every_call_of_the_readme_works(example: Example) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    assert example.client("Ada") == ["Hi Ada for the 1-th time.", "1"]
    assert example.program("plain_client.py", "Ada") == ["Hello Ada for the 2-th time."]
    answer = example.curl("greeter.v1.Greeter/Greet", {"name": "Ada", "greeting": "Hi"})
    assert answer == {"message": "Hi Ada for the 3-th time."}


def test_one_command_runs_runtime_and_app_for_development(example: Example) -> None:
    example.start_dev("greeter.v1.Greeter/")
    assert example.client("Ada") == ["Hi Ada for the 1-th time.", "1"]
    answer = example.curl("greeter.v1.Greeter/Greet", {"name": "Ada", "greeting": "Hi"})
    assert answer == {"message": "Hi Ada for the 2-th time."}
