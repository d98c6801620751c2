"""One session with a runtime, whatever carries it: frames in, frames out, many attempts between.

The session answers the runtime's hello and questions, begins attempts, hands them their frames, and collects what
they emit. Outgoing frames wait in one list and leave in batches: while a batch is written, the next gathers. Frames
about an attempt that is over, or of another epoch, are dropped. `pump` ties a session to a transport.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from restate_protocol.errors import FrameError, RestateError
from restate_protocol.frames import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    SUSPENDS,
    EndpointFrame,
    decode_runtime_batch,
    encode_endpoint_frame,
)
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Delivered, RunAck
from restate_protocol.journal import Failure, failure_to_pb
from restate_protocol.status import StatusCode

from . import driver
from .attempt import Attempt
from .compare import compare_payloads
from .pending import NextTurn
from .places import place_in_handler
from .services import BoundHandler, Deployment
from .vm.commands import DEFAULT_MAX_VALUE_BYTES
from .vm.machine import Machine

#: Attempts that one session takes at once.
CREDITS = 1024
#: The most frames, and about the most bytes, in one message.
MAX_BATCH_FRAMES = 256
MAX_BATCH_BYTES = 1024 * 1024


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class _Running:
    """An attempt of this session; `attempt` is None while parts of its journal are missing.

    Args:
        in_the_way: others may wait for it in a cycle, so it suspends when it waits.
    """

    start: pb.Start
    machine: Machine
    attempt: Attempt | None = None
    in_the_way: bool = False


class Session:
    """One session.

    Args:
        deployment: what is served.
        executor: where plain functions of runs execute; None for the loop's default.
        now_ms: the clock that sleeps and delays are counted from.
        dev_name: name of a development server, which replaces its deployment at each connect.
        speaks_first: the endpoint dialled, so its hello goes out at once.
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
        self._deployment = deployment
        self._executor = executor
        self._now_ms = now_ms
        self._dev_name = dev_name
        self._out: list[EndpointFrame] = []
        self._next_turn = NextTurn()
        self._running: dict[bytes, _Running] = {}
        self._max_value_bytes = DEFAULT_MAX_VALUE_BYTES
        self._sleeper: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._greeted = False
        self._closed = False
        self.heard = False  # whether the runtime said hello
        self.problem: str | None = None
        if speaks_first:
            self._greet()

    # Frames from the runtime

    def receive(self, data: bytes) -> None:
        """Takes one message. What breaks the protocol is refused and ends the session."""
        try:
            for frame in decode_runtime_batch(data):
                _RECEIVERS[type(frame)](self, frame)
        except FrameError as error:
            self._refuse(StatusCode.INVALID_ARGUMENT, str(error))
        self.wake()

    def _hello(self, frame: pb.RuntimeHello) -> None:
        if frame.protocol_min > PROTOCOL_MAX or frame.protocol_max < PROTOCOL_MIN:
            self._refuse(
                StatusCode.FAILED_PRECONDITION,
                f"the runtime speaks protocol {frame.protocol_min} to {frame.protocol_max}, this SDK {PROTOCOL_MIN} to"
                f" {PROTOCOL_MAX}: upgrade the older of the two",
            )
            return
        self.heard = True
        if frame.max_value_bytes:
            self._max_value_bytes = min(frame.max_value_bytes, DEFAULT_MAX_VALUE_BYTES)
        if not self._greeted:
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        hello = pb.EndpointHello(
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            version=f"restate-grpc-sdk/{_version()}",
            deployment_id=self._deployment.id,
            credits=CREDITS,
            max_value_bytes=DEFAULT_MAX_VALUE_BYTES,
            dev_name=self._dev_name,
            features=[SUSPENDS],
        )
        self._out.append(hello)

    def _describe(self, _: pb.Describe) -> None:
        deployment = self._deployment
        manifest = pb.Manifest(
            version_label=deployment.version_label,
            services=[service.name for service in deployment.services],
            descriptor_set=deployment.descriptor_set,
        )
        self._out.append(manifest)

    def _start(self, frame: pb.Start) -> None:
        self._forget(frame.invocation_id, "a newer attempt of the invocation began")
        self._out.append(Delivered(frame.invocation_id, frame.epoch))
        try:
            machine = Machine(
                frame,
                self._out,
                compare=compare_payloads,
                max_value_bytes=self._max_value_bytes,
                where=place_in_handler,
            )
        except FrameError as error:
            self._reject(frame, StatusCode.INTERNAL, str(error))
            return
        running = _Running(frame, machine)
        self._running[frame.invocation_id] = running
        self._idle.clear()
        self._begin_if_loaded(running)

    def _journal_part(self, frame: pb.JournalPart) -> None:
        running = self._find(frame)
        if running is not None:
            running.machine.journal_part(frame)
            self._begin_if_loaded(running)

    def _begin_if_loaded(self, running: _Running) -> None:
        if running.attempt is not None or not running.machine.loaded:
            return
        start = running.start
        bound = self._deployment.handlers.get((start.service, start.handler))
        if bound is None:
            self._reject(
                start, StatusCode.UNIMPLEMENTED, f"this endpoint does not serve {start.service}/{start.handler}"
            )
            self._done(start.invocation_id, running)
            return
        # The writer takes its turn first: the runtime has the confirmation even if the handler blocks the loop.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._begin, running, bound)

    def _begin(self, running: _Running, bound: BoundHandler) -> None:
        start = running.start
        if running.machine.over or self._running.get(start.invocation_id) is not running:
            return
        running.attempt = driver.begin(
            running.machine, start, bound, self.wake, self._executor, self._now_ms, self._next_turn
        )
        if running.in_the_way:
            running.attempt.suspend_soon()
        task = running.attempt.task
        assert task is not None
        task.add_done_callback(lambda _: self._done(start.invocation_id, running))

    def _notify(self, frame: pb.Notify) -> None:
        running = self._find(frame)
        if running is not None:
            running.machine.notify(frame)
            if running.attempt is not None:
                running.attempt.progress()

    def _run_ack(self, frame: RunAck) -> None:
        running = self._find(frame)
        if running is not None:
            running.machine.run_ack(frame)
            if running.attempt is not None:
                running.attempt.progress()

    def _abort(self, frame: pb.Abort) -> None:
        if self._find(frame) is not None:
            self._forget(frame.invocation_id, f"the runtime ended the attempt: {frame.reason or 'no reason given'}")

    def _suspend(self, frame: pb.Suspend) -> None:
        running = self._find(frame)
        if running is not None:
            running.in_the_way = True
            if running.attempt is not None:
                running.attempt.suspend_soon()

    def _drain(self, _: pb.Drain) -> None:
        """The runtime begins nothing new: what goes on may finish, what only waits is suspended."""
        for running in list(self._running.values()):
            if running.attempt is not None:
                running.attempt.hurry()

    def _refused(self, frame: pb.Refused) -> None:
        self.problem = f"the runtime refused the session: {frame.message}"
        self._closed = True

    def _find(self, frame: Any) -> _Running | None:
        running = self._running.get(frame.invocation_id)
        return running if running is not None and running.machine.epoch == frame.epoch else None

    # Attempts

    def _reject(self, start: pb.Start, code: StatusCode, message: str) -> None:
        self._out.append(
            pb.Failed(
                invocation_id=start.invocation_id, epoch=start.epoch, failure=failure_to_pb(Failure(code, message))
            )
        )

    def _forget(self, invocation_id: bytes, why: str) -> None:
        running = self._running.pop(invocation_id, None)
        if running is None:
            return
        running.machine.close(why)
        if running.attempt is not None:
            running.attempt.abort(why)
        self._note_idle()

    def _done(self, invocation_id: bytes, running: _Running) -> None:
        if running.attempt is not None:
            running.attempt.left()
        if self._running.get(invocation_id) is running:
            del self._running[invocation_id]
            self._note_idle()

    def _note_idle(self) -> None:
        if not self._running:
            self._idle.set()

    # Frames to the runtime

    def wake(self) -> None:
        """Something may be there to be written."""
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)

    async def next_batch(self) -> bytes | None:
        """Waits for frames to write: one message, or None once the session is closed and all is written."""
        while not self._out:
            if self._closed:
                return None
            self._sleeper = asyncio.get_running_loop().create_future()
            await self._sleeper
        return self._take_batch()

    def _take_batch(self) -> bytes:
        batch: list[bytes] = []
        size = 0
        for data in map(encode_endpoint_frame, self._out[:MAX_BATCH_FRAMES]):
            batch.append(data)
            size += len(data)
            if size >= MAX_BATCH_BYTES:
                break
        del self._out[: len(batch)]
        return b"".join(batch)

    # Ends

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    def drain(self) -> None:
        """Tells the runtime to begin nothing new here."""
        self._out.append(pb.Drain())
        self.wake()

    async def idle(self) -> None:
        """Waits until no attempt is left."""
        await self._idle.wait()

    @property
    def still(self) -> bool:
        """Whether nothing is left to send, and each attempt only waits for the runtime."""
        waiting = all(one.attempt is not None and one.attempt.waits for one in self._running.values())
        return waiting and not self._out

    def close(self, why: str) -> None:
        """Ends the session and, silently, every attempt that is left."""
        self._closed = True
        for invocation_id in list(self._running):
            self._forget(invocation_id, why)
        self.wake()

    def _refuse(self, code: StatusCode, message: str) -> None:
        self.problem = f"the session broke the protocol: {message}"
        self._out.append(pb.Refused(code=code, message=message))
        self.close(message)


_RECEIVERS: dict[type[Any], Callable[[Session, Any], None]] = {
    pb.RuntimeHello: Session._hello,
    pb.Describe: Session._describe,
    pb.Start: Session._start,
    pb.JournalPart: Session._journal_part,
    pb.Notify: Session._notify,
    RunAck: Session._run_ack,
    pb.Abort: Session._abort,
    pb.Drain: Session._drain,
    pb.Refused: Session._refused,
    pb.Suspend: Session._suspend,
}


def _version() -> str:
    return metadata.version("restate-grpc-sdk")


async def pump(
    session: Session,
    read: Callable[[], Awaitable[bytes | None]],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Carries messages both ways until either side is done.

    Args:
        session: the session.
        read: gives the next message of the runtime, None at the end of the stream.
        write: sends one message.

    Raises:
        RestateError: one side refused the other.
    """
    writer = asyncio.create_task(_write_all(session, write))
    reader = asyncio.create_task(_read_all(session, read))
    try:
        await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        session.close("the session with the runtime ended")
        await writer
        if reader.done():
            await reader
    finally:
        session.close("the session with the runtime ended")
        await _cancel(writer, reader)
    if session.problem is not None:
        raise RestateError(session.problem)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _read_all(session: Session, read: Callable[[], Awaitable[bytes | None]]) -> None:
    while not session.closed and (data := await read()) is not None:
        session.receive(data)


async def _write_all(session: Session, write: Callable[[bytes], Awaitable[None]]) -> None:
    while (data := await session.next_batch()) is not None:
        await write(data)
