"""A session in memory: the runtime and the endpoint in one process, the same bytes as on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from ..services import Deployment
from ..session import Session, pump, wall_clock_ms


class MemoryPeer:
    """The runtime's end of a session in memory.

    Args:
        deployment: what the endpoint serves.
        executor: where plain functions of runs execute.
        now_ms: the endpoint's clock.
        dev_name: name of a development server, if it is one.
        speaks_first: the endpoint dials, so its hello comes at once.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        executor: Executor | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        dev_name: str = "",
        speaks_first: bool = False,
    ) -> None:
        self._to_endpoint: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._to_runtime: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._session = Session(
            deployment, executor=executor, now_ms=now_ms, dev_name=dev_name, speaks_first=speaks_first
        )
        self._task = asyncio.create_task(self._serve())

    async def read(self) -> bytes | None:
        """The next message of the endpoint; None once the session is over."""
        return await self._to_runtime.get()

    async def write(self, data: bytes) -> None:
        """Sends one message to the endpoint."""
        self._to_endpoint.put_nowait(data)

    def drain(self) -> None:
        """The endpoint is about to stop: it tells the runtime."""
        self._session.drain()

    async def close(self) -> None:
        """Ends the session; attempts that run are dropped."""
        self._to_endpoint.put_nowait(None)
        await asyncio.wait({self._task})

    async def _serve(self) -> None:
        try:
            await pump(self._session, self._to_endpoint.get, self._put)
        finally:
            self._to_runtime.put_nowait(None)

    async def _put(self, data: bytes) -> None:
        self._to_runtime.put_nowait(data)
