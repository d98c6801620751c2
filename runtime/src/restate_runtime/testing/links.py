"""A session between a node and an endpoint of this process, and whether anything is still on its way.

In memory the messages cross two queues; over a socket they cross the endpoint's real gRPC server. Either way both
ends are counted: a link is still when each side has taken what the other sent, and every attempt only waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeAlias

import structlog
from restate_protocol.errors import RestateError
from restate_sdk.attempt import Attempt
from restate_sdk.endpoint import Endpoint
from restate_sdk.session import Session, pump
from restate_sdk.transport.server import EndpointServer

from ..deployments.dialer import dial
from ..deployments.manager import Deployments

_log = structlog.get_logger(__name__)

Write: TypeAlias = Callable[[bytes], Awaitable[object]]


class _Counted(Session):
    """The endpoint's end, which counts messages, and inactivity by the test's clock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken = 0
        self.given = 0
        self._since_ms: dict[int, tuple[float, int]] = {}

    def receive(self, data: bytes) -> None:
        super().receive(data)
        self.taken += 1

    async def next_batch(self) -> bytes | None:
        data = await super().next_batch()
        self.given += data is not None
        return data

    def next_due_ms(self) -> int | None:
        """When the next attempt has been blocked for its inactivity timeout, if nothing happens before."""
        return min((due_ms for _, due_ms in self._blocked()), default=None)

    def clock_moved(self) -> None:
        """Suspends what has been blocked for too long."""
        for attempt, due_ms in self._blocked():
            if due_ms <= self._now_ms():
                attempt._suspend()

    def _blocked(self) -> list[tuple[Attempt, int]]:
        """The attempts that only wait for the runtime, each with the time when it is to be suspended."""
        waiting = [one.attempt for one in self._running.values() if one.attempt is not None and one.attempt.waits]
        before, self._since_ms = self._since_ms, {}
        found: list[tuple[Attempt, int]] = []
        for attempt in waiting:
            since = before.get(id(attempt))
            if since is None or since[0] != attempt._blocked_at:
                since = (attempt._blocked_at, self._now_ms())
            self._since_ms[id(attempt)] = since
            found.append((attempt, since[1] + round(attempt._inactivity * 1000)))
        return found


class Link:
    """One endpoint at one node: connected again only when told to.

    Args:
        endpoint: what is served.
        deployments: of the node.
        now_ms: the clock that sleeps and delays are counted from.
        executor: where plain functions of runs execute.
        socket: whether the messages cross a loopback socket.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        deployments: Deployments,
        now_ms: Callable[[], int],
        executor: Executor | None,
        *,
        socket: bool,
    ) -> None:
        self._endpoint = endpoint
        self._deployments = deployments
        self._now_ms = now_ms
        self._executor = executor
        self._socket = socket
        self._session: _Counted | None = None
        self._sent = 0
        self._received = 0
        self._writing = 0
        self._open = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def deployment_id(self) -> str:
        """The id of the endpoint's deployment."""
        return self._endpoint.deployment.id

    async def connect(self) -> None:
        """Opens the session.

        Raises:
            DeploymentError: the runtime refuses the endpoint.
        """
        sessions = self._deployments.sessions(self.deployment_id)
        talk = self._over_socket if self._socket else self._in_memory
        self._task = asyncio.get_running_loop().create_task(talk())
        while self._deployments.sessions(self.deployment_id) == sessions:
            if self._task.done():
                await self._task
                raise RestateError(f"the session with {self.deployment_id} ended before it began")
            await asyncio.sleep(0 if not self._socket else 0.001)

    async def disconnect(self) -> None:
        """Ends the session as the death of the endpoint's process does: its attempts are lost."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._session is not None:
            self._session.close("the endpoint was killed")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._session = None

    @property
    def still(self) -> bool:
        """Whether nothing is on its way and each attempt only waits for the runtime."""
        session = self._session
        if session is None or self._task is None or self._task.done():
            return True
        return self.delivered and session.still

    @property
    def delivered(self) -> bool:
        """Whether nothing is on its way, whatever the handlers do."""
        session = self._session
        if session is None or self._task is None or self._task.done():
            return True
        return not self._writing and self._sent == session.taken and self._received == session.given

    def next_due_ms(self) -> int | None:
        """When the next attempt is to be suspended for inactivity."""
        return None if self._session is None else self._session.next_due_ms()

    def clock_moved(self) -> None:
        """The test's clock was set."""
        if self._session is not None:
            self._session.clock_moved()

    # Carrying

    def _new_session(self) -> _Counted:
        return _Counted(self._endpoint.deployment, executor=self._executor, now_ms=self._now_ms)

    async def _serve(self, write: Write, messages: AsyncIterator[bytes]) -> None:
        async def counted_write(data: bytes) -> None:
            self._sent += 1
            self._writing += 1
            try:
                await write(data)
            finally:
                self._writing -= 1

        await self._deployments.dialled_in(counted_write, self._counted(messages))

    async def _counted(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for data in messages:
            yield data
            self._received += 1

    async def _in_memory(self) -> None:
        to_endpoint: asyncio.Queue[bytes | None] = asyncio.Queue()
        to_runtime: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._session = session = self._new_session()
        pumping = asyncio.get_running_loop().create_task(pump(session, to_endpoint.get, to_runtime.put))
        pumping.add_done_callback(lambda _: to_runtime.put_nowait(None))
        try:
            await self._serve(to_endpoint.put, _until_none(to_runtime))
        finally:
            to_endpoint.put_nowait(None)
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _over_socket(self) -> None:
        server = EndpointServer(self._served)
        port = await server.start("127.0.0.1", 0)
        try:
            async with dial(f"127.0.0.1:{port}") as (write, messages):
                await self._serve(write, messages)
        finally:
            with contextlib.suppress(Exception):
                await server.stop(0)

    def _served(self) -> Session:
        self._session = self._new_session()
        return self._session


async def _until_none(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (data := await queue.get()) is not None:
        yield data
