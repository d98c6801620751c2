"""One simulated run: a runtime that crashes, endpoints that die, callers that insist, and time that is only counted.

The runtime is the real engine behind the real sessions (`restate_runtime.testing.node`), the endpoints are the real
SDK. Everything that chance decides comes from the scenario's seed. What must hold is in `invariants`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Coroutine
from contextvars import Context
from datetime import timedelta
from typing import Any, TypeVar

from restate_protocol import frames as fr
from restate_protocol.contract.model import RetryPolicy
from restate_protocol.errors import RestateError
from restate_protocol.gen.restate.protocol.v1 import session_pb
from restate_protocol.ids import invocation_id_text, parse_invocation_id
from restate_runtime.core.records import Invocation, Status
from restate_runtime.store.base import InvocationFilter
from restate_runtime.testing.node import Node, NodeOptions
from restate_runtime.testing.overrides import Overrides
from restate_sdk.session import Session, pump

from . import handlers
from .disk import Disk, Hold
from .invariants import Ledger, Violation, check
from .loop import SimLoop, Stuck
from .network import Wire, stale_frames, superseded
from .patches import patched, quiet
from .people import People
from .program import Fault, Listen, Program, Promise, Scenario, Wake

BEGIN_MS = 1_900_000_000_000
#: Seconds of simulated time after which what is not finished counts as lost.
PATIENCE_S = 1_000.0
#: Seconds that a dead runtime or session stays dead at least.
DOWN_S = 0.05
LOOK_EVERY_S = 0.5
#: Seconds for which the network repeats frames of attempts that are over.
REPEATS_S = 5.0

T = TypeVar("T")


class World:
    """See the module. `witness` methods are called by handlers."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.seed)
        self.ledger = Ledger()
        self.disk = Disk(self.chance, scenario.disk_ms, self.ledger.landed)
        self.logs: dict[str, list[list[str]]] = defaultdict(list)
        self.names: dict[str, str] = {}
        self.people = People(scenario, self._living)
        self._skew_ms = 0
        self._latency_ms = scenario.latency_ms
        self._repeats_until = 0.0
        self._executions: Counter[tuple[str, int]] = Counter()
        self._unique = 0
        self._outside: set[str] = set()
        self._node: Node | None = None
        self._hold: Hold | None = None
        self._up = asyncio.Event()
        self._wires: list[Wire] = []
        self._current: dict[int, tuple[Wire, asyncio.Task[None], Session]] = {}
        self._runtime_ends: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []
        self._deployment = handlers.endpoint().deployment
        handlers.STAGE.witness = self
        self._faults_at_commits = [fault for fault in scenario.faults if "commit" in fault.kind]

    def clock(self) -> int:
        """What clocks on the wall show, in milliseconds."""
        return BEGIN_MS + int(asyncio.get_running_loop().time() * 1000) + self._skew_ms

    # Witness

    def program(self, name: str) -> Program:
        return self.scenario.programs[name]

    def began(self, invocation_id: str, program: str) -> list[str]:
        self.names[invocation_id] = program
        seen: list[str] = []
        self.logs[invocation_id].append(seen)
        return seen

    def executes(self, invocation_id: str, place: int) -> tuple[int, int]:
        self._executions[invocation_id, place] += 1
        self._unique += 1
        return self._executions[invocation_id, place], self._unique

    def waits(self, awakeable_id: str, step: Wake) -> None:
        if awakeable_id not in self._outside:
            self._outside.add(awakeable_id)
            self._spawn(self.people.wake(awakeable_id, step))

    def listens(self, invocation_id: str, place: int, step: Listen) -> None:
        if f"{invocation_id}/{place}" not in self._outside:
            self._outside.add(f"{invocation_id}/{place}")
            self._spawn(self.people.signal(parse_invocation_id(invocation_id), step))

    def asks(self, workflow: str, step: Promise) -> None:
        if workflow not in self._outside:
            self._outside.add(workflow)
            self._spawn(self.people.approve(workflow, step))

    # The run

    async def run(self) -> None:
        """Lets everything happen, until all is done.

        Raises:
            Violation: something that must always hold does not.
        """
        await self.disk.contents.open()
        await self._start()
        for number in range(self.scenario.endpoints):
            self._spawn(self._serve_forever(number))
        callers = [self._spawn(self.people.call(root)) for root in self.scenario.roots]
        for fault in self.scenario.faults:
            if "commit" not in fault.kind:
                self._spawn(self._fault(fault))
        await self._until_done(callers)
        await asyncio.sleep(2.0)  # what is still on its way must change nothing
        await check(self)
        await self._end()

    async def _until_done(self, callers: list[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._raise_failures()
            records = await self.disk.contents.list_invocations(InvocationFilter(limit=10_000))
            open_ = [one for one in records if one.status is not Status.COMPLETED]
            timers = await self.disk.contents.timers(None, 1)
            if not open_ and not timers and all(task.done() for task in callers):
                return
            if loop.time() > PATIENCE_S:
                if timers and not open_:
                    raise Violation(f"all is finished, and a timer is left: {timers[0]}")
                names = ", ".join(map(_described, open_))
                raise Violation(f"acknowledged and not finished after {PATIENCE_S:g} s: {names or 'a caller waits'}")

    def _raise_failures(self) -> None:
        node = self._node
        if node is not None and node.engine.failed.done() and not node.engine.failed.cancelled():
            error = node.engine.failed.exception()
            raise Violation(f"the engine failed: {type(error).__name__}: {error}")
        for error in self._failures:
            raise Violation(f"something broke down: {type(error).__name__}: {error}") from error

    async def _end(self) -> None:
        node, self._node = self._node, None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if node is not None:
            await node.crash()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # In a context of its own: what is made while a handler executes is not the handler's.
        task = Context().run(asyncio.get_running_loop().create_task, work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    # The runtime's lives

    async def _start(self) -> None:
        scenario = self.scenario
        overrides = Overrides(
            inactivity_timeout=timedelta(milliseconds=scenario.inactivity_ms),
            lazy_state=scenario.lazy_state,
            retry=RetryPolicy(50, 2.0, 2_000, 1_000_000),
        )
        self._hold = self.disk.hold(lambda n: self._dies("crash-before", n), lambda n: self._dies("crash-after", n))
        node = Node(self._hold.store, self.clock, NodeOptions(overrides, scenario.timers_in_memory), lambda _: None)
        await node.start()
        self._node = node
        self._up.set()

    def _dies(self, kind: str, number: int) -> bool:
        for fault in self._faults_at_commits:
            if fault.at == number and fault.kind.startswith(kind):
                self._faults_at_commits.remove(fault)
                self._spawn(self._crash(fault))
                return True
        return False

    async def _crash(self, fault: Fault) -> None:
        """The runtime dies, and starts again a while later."""
        node, hold = self._node, self._hold
        if node is None or hold is None:
            return
        self._node = None
        self._up.clear()
        hold.dead = True
        for session in self._runtime_ends:
            session.cancel()
        for wire, _, _ in self._current.values():
            wire.cut()
        await node.crash()
        await asyncio.sleep(DOWN_S + fault.size / 1000)
        for wire, _, _ in list(self._current.values()):
            wire.end()  # an endpoint may notice only now
        await self._start()

    async def _living(self) -> Node:
        while self._node is None:
            await self._up.wait()
        return self._node

    # Sessions

    async def _serve_forever(self, number: int) -> None:
        while True:
            node = await self._living()
            wire = Wire(self.chance, lambda: self._latency_ms, self._heard)
            session = Session(self._deployment, now_ms=self.clock)
            task = asyncio.get_running_loop().create_task(self._serve(node, wire, session))
            self._wires.append(wire)
            self._current[number] = wire, task, session
            try:
                await asyncio.wait((task,))
            finally:
                task.cancel()
            del self._current[number]
            await asyncio.sleep(DOWN_S + self.chance.random() / 2)

    async def _serve(self, node: Node, wire: Wire, session: Session) -> None:
        """Both ends of one session, until both know that it is over."""
        loop = asyncio.get_running_loop()
        runtime = loop.create_task(node.deployments.dialled_in(wire.to_endpoint.write, wire.to_runtime.messages()))
        self._runtime_ends.add(runtime)
        endpoint = loop.create_task(pump(session, wire.to_endpoint.read, wire.to_runtime.write))
        runtime.add_done_callback(lambda _: wire.to_endpoint.end())
        endpoint.add_done_callback(lambda _: wire.to_runtime.end())
        try:
            done, _ = await asyncio.wait((runtime, endpoint))
            for one in done:
                self._note(one)
        finally:
            self._runtime_ends.discard(runtime)
            runtime.cancel()
            endpoint.cancel()
            await asyncio.gather(runtime, endpoint, return_exceptions=True)

    def _note(self, task: asyncio.Task[None]) -> None:
        """A session may end, and may be refused; anything else is a failure of the code."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RestateError):
            self._failures.append(error)

    # Faults

    async def _fault(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at / 1000)
        match fault.kind:
            case "crash":
                await self._crash(fault)
            case "jump":
                self._skew_ms += fault.size
            case "pause":
                await self.people.pause(fault, self.chance)
            case "slow":
                await self._slow(fault)
            case "stale":
                self._repeats_until = asyncio.get_running_loop().time() + REPEATS_S
            case _:
                await self._disturb(fault)

    async def _slow(self, fault: Fault) -> None:
        usual, self.disk.slowest_ms = self.disk.slowest_ms, 2_000
        await asyncio.sleep(fault.size / 1000)
        self.disk.slowest_ms = usual

    async def _disturb(self, fault: Fault) -> None:
        """Something happens to the session of an endpoint, if it has one."""
        current = self._current.get(fault.endpoint)
        if current is None:
            return
        wire, _, session = current
        wire.cut()
        if fault.kind == "kill":
            session.close("the endpoint was killed")
        if fault.kind == "half-open":
            wire.to_runtime.end()
            await asyncio.sleep(fault.size / 1000)
        if fault.kind == "half-closed":
            wire.to_endpoint.end()
            await asyncio.sleep(fault.size / 1000)
        wire.end()

    def _heard(self, data: bytes) -> None:
        """While the network repeats itself, what older attempts said and were told comes after each new start."""
        if asyncio.get_running_loop().time() < self._repeats_until:
            for invocation_id, epoch in superseded(data):
                self._spawn(self._repeat(invocation_id, epoch))

    async def _repeat(self, invocation_id: bytes, epoch: int) -> None:
        await asyncio.sleep(self.chance.random() * (self._latency_ms + 5) / 500)
        up, down = stale_frames(self._wires, invocation_id, epoch)
        for wire, _, _ in self._current.values():
            for frame in up:
                wire.to_runtime.inject(fr.encode_endpoint_batch([frame]))
            for frame in down:
                wire.to_endpoint.inject(fr.encode_runtime_batch([frame]))


def _described(record: Invocation) -> str:
    """An invocation that goes on, and why it failed the last time."""
    text = f"{invocation_id_text(record.id)} {record.status.value}"
    if record.last_failure is None:
        return text
    failure = session_pb.Failed.from_binary(record.last_failure).failure
    return f"{text} ({failure.message if failure is not None else 'for no reason'})"


def run(scenario: Scenario) -> World:
    """Runs a scenario in a loop of its own.

    Raises:
        Violation: something that must always hold does not.
    """
    loop = SimLoop()
    chance = random.Random(scenario.seed)
    with quiet(), patched(chance):
        try:
            return loop.run_until_complete(_run(scenario))
        except Stuck as error:
            raise Violation(str(error)) from error
        finally:
            _cancel_all(loop)
            loop.close()


def _cancel_all(loop: SimLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.begin_again()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


async def _run(scenario: Scenario) -> World:
    world = World(scenario)
    await world.run()
    return world
