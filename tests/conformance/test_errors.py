"""§11: terminal errors and how they travel."""

from __future__ import annotations

from typing import Any

import pytest
from restate_client.errors import IngressError
from restate_sdk import StatusCode, TerminalError

from .generated import FailingClient, FailRequest, LabClient, LabRequest, SoldOut, SoldOutError
from .services.failing import Failing
from .services.lab import Lab
from .world import World

METADATA = {"key1": "value1", "key2": "value2"}


async def failure(world: World, method: str, **request: Any) -> TerminalError:
    """The error of a method of Failing."""
    client = FailingClient(world.caller)
    with pytest.raises(TerminalError) as caught:
        await getattr(client, method)(FailRequest(key=request.pop("key", None) or world.key(), **request))
    return caught.value


async def test_ERR_01_a_terminal_error_reaches_the_caller(world: World) -> None:
    await world.start(Failing())
    assert (await failure(world, "terminally_failing_call", message="my error")).message == "my error"


async def test_ERR_02_the_endpoint_stays_healthy(world: World) -> None:
    await world.start(Failing())
    key = world.key()
    for number in range(3):
        error = await failure(world, "terminally_failing_call", message=f"my error {number}", key=key)
        assert error.message == f"my error {number}"


async def test_ERR_03_a_terminal_error_passes_through_the_handler_between(world: World) -> None:
    failing = Failing()
    await world.start(failing)
    error = await failure(world, "call_terminally_failing_call", message="propagated error")
    assert error.message == "propagated error"
    assert not failing.reached


async def test_ERR_04_a_terminal_error_of_a_run_ends_the_handler(world: World) -> None:
    failing = Failing()
    await world.start(failing)
    key = world.key()
    error = await failure(world, "terminally_failing_side_effect", message="failed side effect", key=key)
    assert "failed side effect" in error.message
    assert failing.executed[key] == 1
    assert not failing.reached


@pytest.mark.parametrize(
    ("method", "times"),
    [
        ("terminally_failing_call", 1),
        ("terminally_failing_call", 3),
        ("call_terminally_failing_call", 1),
        ("terminally_failing_side_effect", 1),
    ],
)
async def test_ERR_05_to_08_metadata_travels_with_the_error(world: World, method: str, times: int) -> None:
    await world.start(Failing())
    for _ in range(times):
        error = await failure(world, method, message="with metadata", metadata=METADATA)
        assert "with metadata" in error.message
        assert METADATA.items() <= dict(error.metadata).items()


async def test_ERR_09_a_handler_that_fails_three_times_succeeds(world: World) -> None:
    await world.start(Failing())
    answer = await FailingClient(world.caller).failing_call_with_eventual_success(FailRequest(key=world.key()))
    assert answer.attempts == 4


async def test_ERR_10_each_handler_of_a_chain_may_add_to_the_error(world: World) -> None:
    async def outer(ctx: Any, request: LabRequest) -> object:
        try:
            return await LabClient(ctx).other(LabRequest())
        except TerminalError as error:
            raise TerminalError(f"begin > {error.message}") from error

    async def inner(ctx: Any, request: LabRequest) -> object:
        try:
            return await FailingClient(ctx).terminally_failing_side_effect(
                FailRequest(key="k", message="internal_call")
            )
        except TerminalError as error:
            raise TerminalError(f"external_call > {error.message}") from error

    await world.start(Lab(do=outer, other=inner), Failing())
    with pytest.raises(TerminalError, match=r"begin.*external_call.*internal_call"):
        await LabClient(world.caller).do(LabRequest())


@pytest.mark.parametrize("failures", [1, 2])
async def test_ERR_11_a_handler_that_fails_is_tried_again_and_its_runs_are_not(world: World, failures: int) -> None:
    steps: list[int] = []
    failed: list[int] = []

    async def step() -> str:
        steps.append(1)
        return "step"

    async def body(ctx: Any, request: LabRequest) -> object:
        text = await ctx.run("step", step)
        if len(failed) < failures:
            failed.append(1)
            raise ValueError("not yet")
        return text

    await world.start(Lab(body))
    assert (await LabClient(world.caller).do(LabRequest())).text == "step"
    assert (len(steps), len(failed)) == (1, failures)


async def test_ERR_11_a_terminal_error_ends_it_at_once(world: World) -> None:
    failed: list[int] = []

    async def body(ctx: Any, request: LabRequest) -> object:
        failed.append(1)
        raise TerminalError("at once")

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="at once"):
        await LabClient(world.caller).do(LabRequest())
    assert len(failed) == 1


async def test_ERR_13_code_and_source_say_who_refused(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        raise TerminalError("boom", code=StatusCode.UNAVAILABLE)

    await world.start(Lab(body))
    with pytest.raises(TerminalError) as caught:
        await LabClient(world.caller).do(LabRequest())
    assert (caught.value.code, caught.value.message) == (StatusCode.UNAVAILABLE, "boom")
    with pytest.raises(IngressError):
        await LabClient(world.caller).hidden(LabRequest())


async def test_ERR_11_a_typed_error_arrives_with_its_class(world: World) -> None:
    async def body(ctx: Any, request: LabRequest) -> object:
        raise SoldOutError(SoldOut(item="ticket"))

    await world.start(Lab(body))
    with pytest.raises(SoldOutError) as caught:
        await LabClient(world.caller).do(LabRequest())
    assert caught.value.detail.item == "ticket"
    assert caught.value.code is StatusCode.FAILED_PRECONDITION


async def test_ERR_16_a_result_that_cannot_be_recorded_is_an_error_and_no_loop(world: World) -> None:
    executed: list[int] = []

    async def step() -> Any:
        executed.append(1)
        return object()

    async def body(ctx: Any, request: LabRequest) -> object:
        return await ctx.run("step", step)

    await world.start(Lab(body))
    with pytest.raises(TerminalError, match="object"):
        await LabClient(world.caller).do(LabRequest())
    assert len(executed) == 1
