"""What a case has in its hands: a runtime in one of the settings, handlers, callers, and what operators see.

It is `restate_runtime.testing` with the setting applied. Cases look at nothing behind it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from restate_runtime.testing import Environment, environment
from restate_sdk import Endpoint

from .settings import Setting

#: Looks at a condition before it counts as never true; between two of them the loop goes on.
LOOKS_MAX = 5_000


class World:
    """See the module.

    Args:
        setting: what the runtime is made of.
        folder: where its file goes, if it has one.
        stack: ends everything.
    """

    def __init__(self, setting: Setting, folder: Path, stack: AsyncExitStack) -> None:
        self.setting = setting
        self._folder = folder
        self._stack = stack
        self._numbers = itertools.count(1)
        self.env: Environment

    async def start(self, *handlers: Any, skip_time: bool = True, version: str = "") -> None:
        """Starts a runtime that serves these handlers.

        Args:
            skip_time: the clock jumps whenever a caller waits and nothing else can happen; else it is
                moved by `pass_time` only.
            version: label of the deployment.
        """
        store = self._folder / "conformance.db" if self.setting.sqlite else None
        opened = environment(
            Endpoint(*handlers, version_label=version),
            store=store,
            sockets=self.setting.sockets,
            skip_time=skip_time,
            overrides=self.setting.overrides,
            timers_in_memory=self.setting.timers,
        )
        self.env = await self._stack.enter_async_context(opened)

    async def deploy(self, *handlers: Any, version: str = "") -> str:
        """Registers one more deployment; gives its id."""
        return await self.env.deploy(Endpoint(*handlers, version_label=version))

    @property
    def caller(self) -> Any:
        """What generated clients take."""
        return self.env.connection

    @property
    def now(self) -> datetime:
        """The clock."""
        return self.env.now

    def key(self) -> str:
        """A key that no other use of this world has."""
        return f"key-{next(self._numbers)}"

    async def pass_time(self, **by: float) -> None:
        """Lets time pass: `pass_time(seconds=5)`."""
        await self.env.advance(timedelta(**by))

    async def invocation(self, invocation_id: str) -> Any:
        """What an operator sees of an invocation: a message of the admin API."""
        return await self.env.admin.invocation(invocation_id)

    async def status(self, invocation_id: str) -> str:
        """Its status."""
        return str((await self.invocation(invocation_id)).status)

    async def journal(self, invocation_id: str) -> list[str]:
        """The types of its journal's entries."""
        return [entry.type for entry in await self.env.admin.journal_json(invocation_id)]

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Looks until the condition gives something true, and gives that.

        Raises:
            AssertionError: it never did.
        """
        for _ in range(LOOKS_MAX):
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.001)
        raise AssertionError(f"waited in vain for {what}")

    async def until_status(self, invocation_id: str, *statuses: str) -> None:
        """Waits until the invocation has one of these statuses."""

        async def there() -> bool:
            return await self.status(invocation_id) in statuses

        await self.until(there, f"{invocation_id} to be {' or '.join(statuses)}")

    async def until_waits(self, invocation_id: str) -> None:
        """Waits until nothing happens any more: its handler is blocked, in memory or suspended."""
        await self.env.settle()
        assert await self.status(invocation_id) in ("running", "suspended"), await self.status(invocation_id)
