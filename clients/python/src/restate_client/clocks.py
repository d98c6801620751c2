"""The time, the chance and the waits between tries. Tests bring their own."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Protocol


class AsyncClock(Protocol):
    """For connections of an event loop."""

    def now_s(self) -> float:
        """Seconds since some moment."""
        ...

    def luck(self) -> float:
        """A random number from 0 to 1."""
        ...

    async def sleep(self, wait_s: float) -> None:
        """Waits so many seconds."""
        ...


class BlockingClock(Protocol):
    """For connections of threads."""

    def now_s(self) -> float:
        """Seconds since some moment."""
        ...

    def luck(self) -> float:
        """A random number from 0 to 1."""
        ...

    def sleep(self, wait_s: float, ended: threading.Event) -> None:
        """Waits so many seconds, or until the connection has ended."""
        ...


class SystemAsyncClock:
    """The machine's time."""

    def now_s(self) -> float:
        return time.monotonic()

    def luck(self) -> float:
        return random.random()

    async def sleep(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)


class SystemBlockingClock:
    """The machine's time."""

    def now_s(self) -> float:
        return time.monotonic()

    def luck(self) -> float:
        return random.random()

    def sleep(self, wait_s: float, ended: threading.Event) -> None:
        ended.wait(wait_s)
