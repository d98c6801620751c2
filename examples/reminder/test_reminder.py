"""The reminder in real processes: the runtime is killed during the sleep, and the delivery happens once."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import restate_client
from protobuf.wkt import Duration
from restate_client import SendStatus

if TYPE_CHECKING:
    from examples.conftest import Example

pytestmark = pytest.mark.e2e


@pytest.fixture
def messages(example: Example) -> Any:
    return importlib.import_module("gen.reminder.v1.reminder_pb")


@pytest.fixture
def gen(messages: Any) -> Any:
    return importlib.import_module("gen.reminder.v1.reminder_restate")


async def until_it_sleeps(example: Example, invocation_id: str) -> list[str]:
    """The types of its journal's entries, once the journal says that it sleeps, so that the note is recorded."""
    await asyncio.to_thread(example.until_journaled, invocation_id, "sleep")
    return example.journal(invocation_id)


async def test_a_reminder_is_delivered_once_although_the_runtime_is_killed_during_its_sleep(
    example: Example, gen: Any, messages: Any
) -> None:
    runtime = example.start_runtime()
    example.start_endpoint()
    example.register()
    after = Duration.from_timedelta(timedelta(seconds=8))
    request = messages.RemindRequest(id="tea", text="the tea is ready", after=after)
    async with restate_client.connect(example.ingress) as restate:
        handle = await gen.ReminderClient(restate).remind.send(request)
        assert handle.status is SendStatus.ACCEPTED
        assert await until_it_sleeps(example, handle.invocation_id) == ["input", "run", "completion", "sleep"]

    runtime.kill()
    assert example.effects() == ["note tea the tea is ready"], "it was killed during the sleep"
    example.start_runtime()

    async with restate_client.connect(example.ingress) as restate:
        again = await gen.ReminderClient(restate).remind.send(request)
        assert (again.status, again.invocation_id) == (SendStatus.PREVIOUSLY_ACCEPTED, handle.invocation_id)
        assert (await again.attach()).message == "Do not forget: the tea is ready"
    assert example.effects() == ["note tea the tea is ready", "deliver tea the tea is ready"]


async def test_a_negative_time_is_refused_before_anything_is_recorded(
    example: Example, gen: Any, messages: Any
) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    request = messages.RemindRequest(id="tea", after=Duration.from_timedelta(timedelta(seconds=-1)))
    async with restate_client.connect(example.ingress) as restate:
        with pytest.raises(restate_client.InvalidRequest, match="after: must be"):
            await gen.ReminderClient(restate).remind(request)
    assert example.effects() == []


def test_every_call_of_the_readme_works(example: Example) -> None:
    example.start_runtime()
    example.start_endpoint()
    example.register()
    accepted, message = example.client("tea", "the tea is ready", "0.1")
    assert accepted.startswith("ACCEPTED inv_")
    assert message == "Do not forget: the tea is ready"
    again = example.client("tea", "the tea is ready", "0.1")
    assert again == [accepted.replace("ACCEPTED", "PREVIOUSLY_ACCEPTED"), message]
    request: dict[str, object] = {"id": "cake", "text": "the cake is ready", "after": "0.1s"}
    assert example.curl("reminder.v1.Reminder/Remind", request) == {"message": "Do not forget: the cake is ready"}
    assert len(example.effects()) == 4
