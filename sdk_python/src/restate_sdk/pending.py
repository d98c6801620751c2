"""Runs whose functions have not ended, as their attempt sees them, and when those that nobody awaits yet begin."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextvars import Context, copy_context
from typing import Protocol


class PendingRun(Protocol):
    """A run whose function must execute."""

    @property
    @abstractmethod
    def waits(self) -> bool:
        """Whether it still has to begin."""

    def start(self) -> None:
        """Begins to execute in the background."""

    def stop(self) -> None:
        """The function is cancelled where that is possible; whatever it still does or returns counts for nothing."""

    def look(self) -> None:
        """The journal says something new about its failures."""


class NextTurn:
    """Begins runs at the loop's next turn, unless their handlers awaited them by then.

    Steps are many, and nearly all are awaited at once: so one callback looks after all attempts of a session.
    """

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[tuple[PendingRun, Context]] = []

    def add(self, run: PendingRun) -> None:
        """A run that its handler made just now. It begins with the handler's context variables."""
        if not self._runs:
            asyncio.get_running_loop().call_soon(self._begin)
        self._runs.append((run, copy_context()))

    def _begin(self) -> None:
        runs, self._runs = self._runs, []
        for run, context in runs:
            if run.waits:
                context.run(run.start)
