"""A runtime in the test process, and an endpoint that says exactly what the test wants.

The engine, the deployments and the dispatcher are the real ones; the session is a pair of queues.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from restate_protocol import awaiting as aw
from restate_protocol import frames as fr
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_runtime.core.decision import Report
from restate_runtime.deployments.backlog import DEFAULT_WINDOW, Window
from restate_runtime.deployments.dispatch import Dispatcher
from restate_runtime.deployments.manager import Deployments
from restate_runtime.deployments.registry import Registry
from restate_runtime.engine.api import Accepted, Submission
from restate_runtime.engine.loop import Engine
from restate_runtime.engine.overload import DEFAULT_LOAD_LIMITS, LoadLimits
from restate_runtime.engine.sweeps import DEFAULT_SWEEP_TIMES, SweepTimes
from restate_runtime.store.base import Store

from tests.runtime.engine.descriptors import bench_descriptor_set

F = TypeVar("F")

SERVICES = ["bench.v1.Flow", "bench.v1.Object", "bench.v1.Plain", "bench.v1.Tuned"]


class Clock:
    """Milliseconds that pass when told to."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Scripted:
    """An endpoint under the test's hand."""

    credits: int = 1_000
    label: str = ""
    features: tuple[str, ...] = ()
    hello: pb.EndpointHello | None = None
    inbox: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    outbox: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    session: asyncio.Task[None] | None = None
    held: deque[Any] = field(default_factory=deque)

    def manifest(self) -> pb.Manifest:
        return pb.Manifest(version_label=self.label, services=SERVICES, descriptor_set=bench_descriptor_set())

    def greeting(self) -> pb.EndpointHello:
        return self.hello or pb.EndpointHello(
            protocol_min=1,
            protocol_max=1,
            version="test/1",
            deployment_id=ids.deployment_id_text(self.label, SERVICES, bench_descriptor_set()),
            credits=self.credits,
            features=list(self.features),
        )

    async def connect(self, deployments: Deployments) -> None:
        """Dials in and is registered."""
        self.session = asyncio.get_running_loop().create_task(deployments.dialled_in(self._write, self._messages()))
        self.say(self.greeting())

    async def _write(self, data: bytes) -> None:
        for frame in fr.decode_runtime_batch(data):
            if isinstance(frame, pb.Describe):
                self.say(self.manifest())
            elif not isinstance(frame, pb.RuntimeHello):
                self.inbox.put_nowait(frame)

    async def _messages(self) -> AsyncIterator[bytes]:
        while True:
            data = await self.outbox.get()
            if data is None:
                return
            yield data

    def say(self, *frames: fr.EndpointFrame) -> None:
        self.outbox.put_nowait(fr.encode_endpoint_batch(frames))

    def hang_up(self) -> None:
        """The session ends, as when the endpoint is killed."""
        self.outbox.put_nowait(None)

    async def next(self, kind: type[F], invocation_id: bytes | None = None) -> F:
        """The next frame of a kind (for an invocation); others are kept for later."""
        for frame in list(self.held):
            if isinstance(frame, kind) and invocation_id in (None, getattr(frame, "invocation_id", None)):
                self.held.remove(frame)
                return frame
        while True:
            frame = await self.inbox.get()
            if isinstance(frame, kind) and invocation_id in (None, getattr(frame, "invocation_id", None)):
                return frame
            self.held.append(frame)

    async def started(self, invocation_id: bytes | None = None) -> pb.Start:
        """The next start, confirmed."""
        start = await self.next(pb.Start, invocation_id)
        self.say(pb.Delivered(invocation_id=start.invocation_id, epoch=start.epoch))
        return start

    def command(self, start: pb.Start, entry: j.Entry) -> None:
        self.say(pb.Command(invocation_id=start.invocation_id, epoch=start.epoch, entry=j.encode(entry)))

    def end(self, start: pb.Start, result: j.Result | None = None) -> None:
        self.command(start, j.Output(result or j.Value(b"out")))
        self.say(pb.Ended(invocation_id=start.invocation_id, epoch=start.epoch))

    def suspend(self, start: pb.Start, tree: aw.Awaiting) -> None:
        self.say(pb.Suspended(invocation_id=start.invocation_id, epoch=start.epoch, awaiting=aw.to_pb(tree)))

    def fail(self, start: pb.Start, message: str = "boom", **fields: Any) -> None:
        failure = j.failure_to_pb(j.Failure(2, message))
        self.say(pb.Failed(invocation_id=start.invocation_id, epoch=start.epoch, failure=failure, **fields))


@dataclass
class Rig:
    """A running engine with everything around it."""

    engine: Engine
    deployments: Deployments
    dispatcher: Dispatcher
    registry: Registry
    store: Store
    clock: Clock
    reports: list[Report]

    async def endpoint(self, **options: Any) -> Scripted:
        """A scripted endpoint whose session is open."""
        scripted = Scripted(**options)
        before = len(self.dispatcher.all_sessions())
        await scripted.connect(self.deployments)
        await until(lambda: len(self.dispatcher.all_sessions()) > before)
        return scripted

    async def submit(
        self, service: str = "Plain", handler: str = "Do", key: str | None = None, *, wait: bool = True, **more: Any
    ) -> Accepted:
        return await self.engine.submit(Submission(f"bench.v1.{service}", handler, key, b"in", **more), wait=wait)

    async def journal(self, invocation_id: bytes) -> list[j.Entry]:
        return [j.decode(row.entry) for row in await self.store.journal(invocation_id)]


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds; the test's own time limit ends what never does."""
    while not condition():
        await asyncio.sleep(0)


@asynccontextmanager
async def rig(
    store: Store,
    clock: Clock | None = None,
    timers_in_memory: int = 100,
    delivery_timeout_s: float = 60.0,
    sweep_times: SweepTimes = DEFAULT_SWEEP_TIMES,
    load_limits: LoadLimits = DEFAULT_LOAD_LIMITS,
    window: Window = DEFAULT_WINDOW,
) -> AsyncIterator[Rig]:
    """A runtime on this store, stopped without a word at the end (what is not committed is gone)."""
    clock = clock or Clock()
    await store.open()
    registry = Registry()
    await registry.load(store)
    dispatcher = Dispatcher(window=window)
    reports: list[Report] = []
    engine = Engine(
        store, dispatcher, registry.resolve, clock, reports.append, timers_in_memory, sweep_times, load_limits
    )
    deployments = Deployments(store, registry, dispatcher, clock, 1 << 20, delivery_timeout_s)
    await engine.start()
    made = Rig(engine, deployments, dispatcher, registry, store, clock, reports)
    try:
        yield made
    finally:
        await engine.stop()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        if engine.failed.done():
            engine.failed.exception()
        await store.close()


__all__ = ["SERVICES", "Clock", "Rig", "Scripted", "rig", "until"]
