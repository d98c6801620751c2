"""A run whose function has not ended, as its attempt sees it."""

from __future__ import annotations

from typing import Protocol


class PendingRun(Protocol):
    """A run whose function must execute."""

    def start(self) -> None:
        """Begins to execute in the background, unless it executes already."""

    def stop(self) -> None:
        """The function is cancelled where that is possible; whatever it still does or returns counts for nothing."""

    def look(self) -> None:
        """The journal says something new about its failures."""
