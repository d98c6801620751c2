"""Runs that nobody awaits at once begin at the loop's next turn, each as its own handler left it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

from restate_sdk.pending import NextTurn

TRACE: ContextVar[str] = ContextVar("trace", default="nobody's")


class Run:
    """A run that notes where it began."""

    def __init__(self) -> None:
        self.waits = True
        self.began: list[str] = []

    def start(self) -> None:
        self.began.append(TRACE.get())

    def stop(self) -> None:
        raise AssertionError("nobody stops it")

    def look(self) -> None:
        raise AssertionError("it has no failures")


def made_in(trace: str, turn: NextTurn) -> Run:
    """A run that the handler with this context variable made."""

    def make() -> Run:
        TRACE.set(trace)
        run = Run()
        turn.add(run)
        return run

    return copy_context().run(make)


async def test_each_begins_once_with_the_context_variables_of_its_own_handler() -> None:
    turn = NextTurn()
    runs = [made_in(trace, turn) for trace in ("a", "b", "c")]
    assert [run.began for run in runs] == [[], [], []]
    await asyncio.sleep(0)
    assert [run.began for run in runs] == [["a"], ["b"], ["c"]]
    later = made_in("d", turn)
    await asyncio.sleep(0)
    assert [run.began for run in (*runs, later)] == [["a"], ["b"], ["c"], ["d"]]
    assert TRACE.get() == "nobody's"


async def test_one_that_was_awaited_by_then_is_left_alone() -> None:
    turn = NextTurn()
    awaited, other = made_in("a", turn), made_in("b", turn)
    awaited.waits = False
    await asyncio.sleep(0)
    assert (awaited.began, other.began) == ([], ["b"])
