"""The loop of the simulator: time passes only when nothing else is left to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from .loop import SimLoop, Stuck


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    made = SimLoop()
    yield made
    tasks = asyncio.all_tasks(made)
    for task in tasks:
        task.cancel()
    if tasks:
        made.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    made.close()


def test_a_year_takes_no_time(loop: SimLoop) -> None:
    loop.run_until_complete(asyncio.sleep(365 * 86_400))
    assert loop.time() == 365 * 86_400


def test_who_sleeps_shorter_wakes_up_first(loop: SimLoop) -> None:
    woke: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woke.append(seconds)

    async def all_of_them() -> None:
        await asyncio.gather(*(sleep(seconds) for seconds in (3, 1, 2)))

    loop.run_until_complete(all_of_them())
    assert woke == [1, 2, 3]


def test_waiting_for_what_never_comes_is_an_error(loop: SimLoop) -> None:
    with pytest.raises(Stuck, match="nothing is left to do"):
        loop.run_until_complete(loop.create_future())


def test_a_function_for_a_thread_runs_at_once(loop: SimLoop) -> None:
    assert loop.run_until_complete(loop.run_in_executor(None, pow, 2, 5)) == 32
