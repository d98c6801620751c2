"""The environment: a runtime, its endpoints, its clock and its callers in one test. See docs/guides/testing.md.

It puts the parts together and takes them down again. How time passes is in `pace`, what a runtime is in `node`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from restate_client import Connection
from restate_sdk.endpoint import Endpoint

from ..core.decision import Report
from ..ingress.grpc import GrpcIngress
from ..store.base import Store
from ..store.memory import MemoryStore
from ..store.sqlite.store import SqliteStore
from .clock import VirtualClock
from .connection import CountedConnection, DirectConnection, GrpcConnection
from .links import Link
from .node import Node, NodeOptions
from .overrides import Overrides
from .pace import PATIENCE_S, Calls, Pace
from .verbs import Verbs

#: Threads for the plain functions of runs.
RUN_THREADS = 8

StoreAt: TypeAlias = "str | Path | Store | None"


class Environment:
    """A runtime under a test's hand. Made by `environment`.

    Attributes:
        connection: for generated clients; it stays usable over restarts.
        admin: what operators do and see.
        clock: the test's clock.
    """

    def __init__(self, store: StoreAt, clock: VirtualClock, options: NodeOptions, *, sockets: bool) -> None:
        self.clock = clock
        self._store = MemoryStore() if store is None else store
        self._options = options
        self._sockets = sockets
        self._endpoints: list[Endpoint] = []
        self._links: dict[str, Link] = {}
        self._executor = ThreadPoolExecutor(RUN_THREADS, thread_name_prefix="restate-run")
        self._reports: list[Report] = []
        self._node = self._new_node()
        self._ingress: GrpcIngress | None = None
        self._address = ""
        self.admin = Verbs(lambda: self._node)
        self._pace = Pace(clock, self)
        self._connection: CountedConnection = (
            GrpcConnection(self._pace.asked, lambda: self._address)
            if sockets
            else DirectConnection(self._pace.asked, lambda: self._node, clock)
        )

    @property
    def connection(self) -> Connection:
        """What generated clients take: `GreeterClient(env.connection)`."""
        return self._connection

    @property
    def store(self) -> Store:
        """The store of the runtime, open."""
        return self._node.store

    @property
    def address(self) -> str:
        """host:port of the gRPC ingress; empty without `sockets`. A restart changes it."""
        return self._address

    @property
    def now(self) -> datetime:
        """What the clock shows."""
        return self.clock.now

    # Time

    async def advance(self, by: timedelta, *, patience: timedelta = timedelta(seconds=PATIENCE_S)) -> None:
        """Lets time pass, from one due timer to the next, each with all that follows from it; then sweeps once.

        Args:
            by: how much.
            patience: how much real time, at each step, handlers and their runs may take for work of their own.
        """
        await self._pace.advance(by, patience.total_seconds())

    async def settle(self) -> None:
        """Waits until all is done that can be done without time passing or somebody acting."""
        await self._pace.settle()

    # Code

    async def deploy(self, endpoint: Endpoint) -> str:
        """Registers one more endpoint and opens its session. New invocations of its services go there.

        Returns:
            the deployment's id, dep_….

        Raises:
            DeploymentError: the runtime refuses it.
        """
        await self._link(endpoint)
        self._endpoints.append(endpoint)
        return endpoint.deployment.id

    async def disconnect(self, deployment_id: str | None = None) -> None:
        """Kills an endpoint, or all: what runs on it is lost, and what is for it waits until `connect`."""
        for id_ in [deployment_id] if deployment_id is not None else list(self._links):
            await self._links.pop(id_).disconnect()

    async def connect(self) -> None:
        """Starts every endpoint again that was killed."""
        for endpoint in self._endpoints:
            if endpoint.deployment.id not in self._links:
                await self._link(endpoint)

    async def _link(self, endpoint: Endpoint) -> None:
        link = Link(endpoint, self._node.deployments, self.clock, self._executor, socket=self._sockets)
        self._links[endpoint.deployment.id] = link
        try:
            await link.connect()
        except BaseException:
            await self._links.pop(endpoint.deployment.id).disconnect()
            raise

    # Lives of the runtime

    async def restart(self) -> None:
        """Kills the runtime as `kill -9` does, and starts it again on the same store; endpoints connect again.

        Calls on `connection` that were under way raise ConnectionFailed; their invocations go on.
        """
        killed, self._node = self._node, self._new_node()
        await killed.crash()
        await self._end()
        await self._begin()
        await self.connect()

    def _new_node(self) -> Node:
        store = self._store
        opened = SqliteStore(str(store)) if isinstance(store, str | Path) else store
        return Node(opened, self.clock, self._options, self._reports.append)

    async def _begin(self) -> None:
        node = self._node
        await node.start()
        if self._sockets:
            self._ingress = GrpcIngress(node.admission, node.engine, node.waiting)
            self._address = f"127.0.0.1:{await self._ingress.start('127.0.0.1', 0)}"

    async def _end(self) -> None:
        await self.disconnect()
        if self._ingress is not None:
            await self._ingress.stop(0)

    async def _open(self, endpoints: tuple[Endpoint, ...], *, skip_time: bool) -> None:
        await self._begin()
        for endpoint in endpoints:
            await self.deploy(endpoint)
        if skip_time:
            self._pace.start()

    async def _close(self) -> None:
        await self._pace.stop()
        self._node.waiting.send_away()
        with contextlib.suppress(Exception):
            await self._connection.close()
        await self._end()
        await self._node.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)

    # What the pace looks at

    @property
    def still(self) -> bool:
        """Whether only time, callers and outside work can change anything."""
        return self._node.engine.quiet and all(link.still for link in self._links.values())

    @property
    def delivered(self) -> bool:
        """The same, whatever handlers do by themselves."""
        return self._node.engine.quiet and all(link.delivered for link in self._links.values())

    def next_due_ms(self) -> int | None:
        """When the runtime's next timer is due, or the next attempt has been blocked for too long."""
        dues = [self._node.engine.next_due_ms(), *(link.next_due_ms() for link in self._links.values())]
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    def clock_moved(self) -> None:
        """Fires what is due, and suspends what has been blocked for too long."""
        self._node.engine.clock_moved()
        for link in self._links.values():
            link.clock_moved()

    async def sweep(self) -> None:
        """Purges what is past its retention."""
        await self._node.engine.sweep()

    @property
    def calls(self) -> Calls:
        """The calls of the moment."""
        return Calls(self._connection.under_way, len(self._node.waiting))


@asynccontextmanager
async def environment(
    *endpoints: Endpoint,
    store: StoreAt = None,
    sockets: bool = False,
    skip_time: bool = True,
    clock: VirtualClock | None = None,
    overrides: Overrides | None = None,
    timers_in_memory: int = 10_000,
) -> AsyncIterator[Environment]:
    """The real runtime in this process, with these endpoints connected.

    Args:
        endpoints: what is served.
        store: None: in memory. A path: an SQLite file, made if it is not there. Or a store.
        sockets: sessions and `connection` cross loopback sockets, instead of queues in memory.
        skip_time: whenever a call on `connection` waits for a result and nothing can happen before a timer is due,
            the clock jumps to that timer. False: time passes with `advance` only.
        clock: the clock; None: one that begins in the year 2030.
        overrides: options of all handlers, whatever the contract says.
        timers_in_memory: how many of the next timers are held in memory; the others are read from the store.

    Raises:
        StoreError: the store cannot be used.
        DeploymentError: an endpoint is refused.
    """
    options = NodeOptions(overrides or Overrides(), timers_in_memory)
    env = Environment(store, clock or VirtualClock(), options, sockets=sockets)
    try:
        await env._open(endpoints, skip_time=skip_time)
        yield env
    finally:
        await env._close()
