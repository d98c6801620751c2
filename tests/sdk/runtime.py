"""A runtime for tests of the SDK: one session in memory, journals in lists, results as the test says.

It journals commands in order of arrival, commits proposals at once, and starts another attempt when a suspended one
may go on. What calls, timers and promises give is the test's to say: by `answers`, asked once for each command, or by
`complete` and `signal` later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from restate_protocol import awaiting, codec, frames, journal
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import RunAck
from restate_protocol.journal import Cancelled, Completion, Failure, Result, RunDue, RunFailed, Signal, Value
from restate_protocol.status import StatusCode
from restate_sdk import Endpoint
from restate_sdk.stub import Handlers

Answers = Callable[[journal.Command], Result | None]

NOW_MS = 1_700_000_000_000
INVOCATION_ID = bytes(range(16))


def no_answers(_: journal.Command) -> None:
    """Nothing is completed by itself."""


class Invocation:
    """One invocation in the fake runtime: its journal and how its attempts ended."""

    def __init__(self, runtime: FakeRuntime, start: pb.Start, answers: Answers) -> None:
        self._runtime = runtime
        self._template = start
        self._answers = answers
        self.entries: list[bytes] = list(start.entries)
        self.epoch = 0
        self.output: Result | None = None
        self.failures: list[pb.Failed] = []
        self.suspensions: list[awaiting.Group] = []
        self.hold_acks = False
        self.held: list[int] = []
        self.hold_failures = False
        self.held_failures: list[RunFailed] = []
        self.durable_waits: list[int] = []  # milliseconds, of runs that the runtime was asked to time
        self._asleep: awaiting.Group | None = None
        self._cancelled = False  # since the attempt began
        self.changed = asyncio.Condition()

    # What the test sees

    @property
    def commands(self) -> list[journal.Command]:
        return [entry for entry in map(journal.decode, self.entries) if not isinstance(entry, journal.NOTIFICATIONS)]

    @property
    def notifications(self) -> list[journal.Notification]:
        return [entry for entry in map(journal.decode, self.entries) if isinstance(entry, journal.NOTIFICATIONS)]

    def result(self, cls: type[Any]) -> Any:
        assert isinstance(self.output, Value), self.output
        return codec.decode(cls, self.output.data)

    @property
    def failure(self) -> Failure:
        assert isinstance(self.output, Failure), self.output
        return self.output

    async def until(self, happened: Callable[[Invocation], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: happened(self)), 20)

    async def ended(self) -> Invocation:
        """Waits until the invocation has its output or an attempt failed."""
        await self.until(lambda one: one.output is not None or bool(one.failures))
        return self

    async def has_commands(self, count: int) -> None:
        """Waits for that many commands, the input not counted."""
        await self.until(lambda one: len(one.commands) > count)

    # What the test does

    async def start(self, entries: list[bytes] | None = None) -> None:
        """Starts an attempt, with the journal there is or another one."""
        if entries is not None:
            self.entries = list(entries)
        self.epoch += 1
        frame = pb.Start.from_binary(self._template.to_binary())
        frame.epoch = self.epoch
        frame.entries = self.entries
        frame.journal_length = len(self.entries)
        self._cancelled = False
        self._asleep = None
        await self._runtime.send(frame)

    def set_state(self, state: Mapping[int, bytes]) -> None:
        """What the next attempts find."""
        self._template.state = [pb.StateEntry(number=number, value=value) for number, value in state.items()]

    async def complete(self, command: int, result: Result) -> None:
        await self._notify(Completion(command, result))

    async def signal(self, target: int | str, result: Result) -> None:
        """Gives an awakeable, by its number, or a named signal its result."""
        await self._notify(Signal(target, result))

    async def cancel(self, message: str = "enough") -> None:
        """Somebody wants the invocation to end."""
        self._cancelled = True
        await self._notify(Cancelled(StatusCode.CANCELLED, message))

    async def release_acks(self) -> None:
        self.hold_acks = False
        for command in self.held:
            await self._runtime.send(RunAck(invocation_id=INVOCATION_ID, epoch=self.epoch, command=command))
        self.held.clear()

    async def _notify(self, notification: journal.Notification) -> None:
        if self.output is not None:
            return  # nothing is journaled to an invocation that is over
        entry = journal.encode(notification)
        self.entries.append(entry)
        if self._asleep is None:
            await self._runtime.send(pb.Notify(invocation_id=INVOCATION_ID, epoch=self.epoch, entry=entry))
        await self._wake_up()

    async def _wake_up(self) -> None:
        if self._asleep is not None and (self._cancelled or awaiting.settled(self._asleep, self._lookup)):
            await self.start()

    def _lookup(self, leaf: awaiting.Leaf) -> Result | None:
        for number, command in enumerate(self.commands):
            if isinstance(command, journal.Run) and leaf == awaiting.OnCommand(number) and command.result is not None:
                return command.result
        arrived: Counter[str] = Counter()
        for one in self.notifications:
            if isinstance(one, Completion) and leaf == awaiting.OnCommand(one.command):
                return one.result
            if isinstance(one, Signal) and leaf == self._leaf(one.target, arrived):
                return one.result
        return None

    def _leaf(self, target: int | str, arrived: Counter[str]) -> awaiting.Leaf:
        if isinstance(target, int):
            return awaiting.OnAwakeable(target)
        arrived[target] += 1
        return awaiting.OnSignal(target, arrived[target])

    # What the endpoint says

    async def receive(self, frame: Any) -> None:
        if frame.epoch != self.epoch:
            return
        async with self.changed:
            await self._take(frame)
            self.changed.notify_all()

    async def _take(self, frame: Any) -> None:
        match frame:
            case pb.Command():
                await self._command(frame.entry)
            case pb.RunProposal():
                await self._proposal(frame)
            case pb.RunFailure():
                await self._run_failed(frame)
            case pb.Suspended():
                self._asleep = awaiting.from_pb(frame.awaiting)
                self.suspensions.append(self._asleep)
                await self._wake_up()
            case pb.Failed():
                self.failures.append(frame)
            case _:
                pass

    async def _command(self, data: bytes) -> None:
        number = len(self.commands)
        self.entries.append(data)
        entry = journal.decode(data)
        self._write(entry)
        if isinstance(entry, journal.Output):
            self.output = entry.result
        elif isinstance(entry, journal.Run) and entry.result is not None:
            await self._acknowledge(number)
        elif not isinstance(entry, journal.NOTIFICATIONS) and (result := self._answers(entry)) is not None:
            await self.complete(number, result)

    def _write(self, entry: journal.Entry) -> None:
        """The state that the next attempt finds."""
        state = {one.number: one.value for one in self._template.state}
        match entry:
            case journal.SetState():
                state[entry.number] = entry.value
            case journal.ClearState():
                state.pop(entry.number, None)
            case journal.ClearAllState():
                state.clear()
            case _:
                return
        self.set_state(state)

    async def _proposal(self, frame: pb.RunProposal) -> None:
        self.entries.append(journal.encode(Completion(frame.command, journal.result_from_pb(frame.result))))
        await self._acknowledge(frame.command)

    async def _run_failed(self, frame: pb.RunFailure) -> None:
        """Counts as the runtime does. A test that wants the wait of a durable timer to end says so by `run_due`."""
        assert frame.failure is not None
        before = [one for one in self.notifications if isinstance(one, RunFailed) and one.command == frame.command]
        first_ms = before[0].first_try_at_ms if before else frame.first_try_at_ms
        failure = journal.failure_from_pb(frame.failure)
        failed = RunFailed(frame.command, len(before) + 1, failure, first_ms, frame.retry_at_ms)
        if frame.durable_timer:
            self.durable_waits.append(frame.retry_at_ms - NOW_MS)
        if self.hold_failures:
            self.held_failures.append(failed)
        else:
            await self._notify(failed)

    async def release_failures(self) -> None:
        self.hold_failures = False
        for failed in self.held_failures:
            await self._notify(failed)

    async def run_due(self, command: int) -> None:
        """The runtime's timer of a run's wait is due."""
        failures = sum(isinstance(one, RunFailed) and one.command == command for one in self.notifications)
        await self._notify(RunDue(command, failures))
        if self._asleep is not None:
            await self.start()

    async def _acknowledge(self, command: int) -> None:
        if self.hold_acks:
            self.held.append(command)
            return
        await self._runtime.send(RunAck(invocation_id=INVOCATION_ID, epoch=self.epoch, command=command))


class FakeRuntime:
    """The runtime's end of a session in memory."""

    def __init__(self, *handlers: Handlers, inactivity_ms: int = 60_000, max_value_bytes: int = 0) -> None:
        self._peer = Endpoint(*handlers).connect_in_memory(now_ms=lambda: NOW_MS)
        self._inactivity_ms = inactivity_ms
        self._max_value_bytes = max_value_bytes
        self._invocation: Invocation | None = None
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> FakeRuntime:
        await self.send(pb.RuntimeHello(protocol_min=1, protocol_max=1, max_value_bytes=self._max_value_bytes))
        self._reader = asyncio.create_task(self._read())
        self.hello = await self.frames.get()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._peer.close()
        await self._reader

    async def send(self, *out: frames.RuntimeFrame) -> None:
        await self._peer.write(frames.encode_runtime_batch(out))

    def drain(self) -> None:
        self._peer.drain()

    async def _read(self) -> None:
        while (data := await self._peer.read()) is not None:
            for frame in frames.decode_endpoint_batch(data):
                if self._invocation is not None and hasattr(frame, "epoch"):
                    await self._invocation.receive(frame)
                else:
                    await self.frames.put(frame)

    async def invoke(
        self,
        target: str,
        request: Any,
        *,
        key: str | None = None,
        state: Mapping[int, bytes] | None = None,
        partial_state: bool = False,
        answers: Answers = no_answers,
        headers: journal.Headers = (),
        first: bool = True,
    ) -> Invocation:
        """Starts the first attempt of an invocation of `service/handler`, unless the test does it with a journal."""
        service, _, handler = target.partition("/")
        payload = request if isinstance(request, bytes) else codec.encode(request)
        start = pb.Start(
            invocation_id=INVOCATION_ID,
            service=service,
            handler=handler,
            key=key,
            entries=[journal.encode(journal.Input(payload, headers))],
            state=[pb.StateEntry(number=number, value=value) for number, value in (state or {}).items()],
            partial_state=partial_state,
            random_seed=42,
            inactivity_timeout_ms=self._inactivity_ms,
        )
        self._invocation = Invocation(self, start, answers)
        if first:
            await self._invocation.start()
        return self._invocation

    async def run(self, target: str, request: Any, **options: Any) -> Invocation:
        """Invokes, and waits for the end."""
        return await (await self.invoke(target, request, **options)).ended()
