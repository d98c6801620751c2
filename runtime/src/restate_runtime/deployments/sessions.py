"""One open session with an endpoint: frames out in batches, frames in as events.

What a session does not know is who dialled; see `dialer` and `acceptor`. Invariant: after a frame that breaks the
protocol nothing of the session is believed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restate_protocol import awaiting as aw
from restate_protocol import frames as fr
from restate_protocol import journal as j
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb

from ..core.events import AttemptEnded, AttemptFailed, AttemptSuspended, CommandSaid, RunProposed, RunTryFailed

if TYPE_CHECKING:
    from .dispatch import Dispatcher

# A journal longer than this, in bytes, follows its Start in parts of about this size.
JOURNAL_PART_BYTES = 1 << 20
# One message carries at most this many frames and, but for a single larger frame, about this many bytes.
BATCH_FRAMES_MAX = 512
BATCH_BYTES_MAX = 1 << 20


class SessionEnded(Exception):
    """The session is over; the text says why."""


@dataclass(slots=True)
class Running:
    """An attempt on a session.

    Args:
        sent_at: loop time.
        heard_ms: when its last frame came, by the engine's clock.
    """

    epoch: int
    sent_at: float
    heard_ms: int
    delivered: bool = False


class Session:
    """See the module.

    Args:
        deployment_id: whose endpoint is on the other side.
        credits: how many attempts it takes at once.
        dispatcher: hears what attempts say.
        features: what the endpoint can do beyond what it must.
    """

    def __init__(self, deployment_id: str, credits: int, dispatcher: Dispatcher, features: Iterable[str] = ()) -> None:
        self.suspends = fr.SUSPENDS in features
        self.deployment_id = deployment_id
        self.credits = credits
        self.draining = False
        self.attempts: dict[bytes, Running] = {}
        self._dispatcher = dispatcher
        self._out: list[fr.RuntimeFrame] = []
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._now_ms = 0  # when the message came that is being taken

    def epoch_of(self, invocation_id: bytes) -> int | None:
        """The epoch of the attempt of this invocation on this session."""
        running = self.attempts.get(invocation_id)
        return None if running is None else running.epoch

    def send(self, frame: fr.RuntimeFrame) -> None:
        """Queues a frame; it leaves with all others queued by then."""
        if not self._out:
            self._wake.set()
        self._out.append(frame)

    def start(self, frame: pb.Start) -> None:
        """Queues the start of an attempt; a long journal in parts. Takes a credit."""
        self.credits -= 1
        self.attempts[frame.invocation_id] = Running(frame.epoch, self._loop.time(), self._dispatcher.now_ms())
        parts = _split(frame.entries)
        frame.entries = parts[0]
        self.send(frame)
        for part in parts[1:]:
            self.send(pb.JournalPart(invocation_id=frame.invocation_id, epoch=frame.epoch, entries=part))

    def suspect(self, before: float) -> list[bytes]:
        """The attempts sent before that moment (loop time) and not confirmed. They count as tried from now on.

        Where their handlers are what keeps the endpoint from answering, they would otherwise be sent for ever.
        """
        late = [(id_, one) for id_, one in self.attempts.items() if not one.delivered and one.sent_at < before]
        for _, one in late:
            one.delivered = True
        return [id_ for id_, _ in late]

    async def write_forever(self, write: Callable[[bytes], Awaitable[object]]) -> None:
        """Sends what is queued, as long as the session lasts."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._out:
                batch, self._out = self._out[:BATCH_FRAMES_MAX], self._out[BATCH_FRAMES_MAX:]
                for message in _messages(batch):
                    await write(message)

    def receive(self, data: bytes) -> None:
        """Takes one message from the endpoint.

        Raises:
            SessionEnded: it breaks the protocol, or says that the endpoint will not go on.
        """
        self._now_ms = self._dispatcher.now_ms()
        try:
            for frame in fr.decode_endpoint_batch(data):
                self._receive(frame)
        except FrameError as error:
            raise SessionEnded(f"the endpoint sent what the protocol does not allow: {error}") from error

    def _receive(self, frame: fr.EndpointFrame) -> None:
        match frame:
            case pb.Command(invocation_id=invocation_id, epoch=epoch, entry=entry):
                if self._hears(invocation_id, epoch):
                    self._dispatcher.said(CommandSaid(invocation_id, epoch, j.decode(entry), entry))
            case pb.RunProposal(invocation_id=invocation_id, epoch=epoch, command=command, result=result):
                if self._hears(invocation_id, epoch):
                    self._dispatcher.said(RunProposed(invocation_id, epoch, command, j.result_from_pb(result)))
            case pb.RunFailure(invocation_id=invocation_id, epoch=epoch):
                if self._hears(invocation_id, epoch):
                    self._dispatcher.said(_run_try_failed(frame))
            case pb.Ended(invocation_id=invocation_id, epoch=epoch):
                if self._over(invocation_id, epoch):
                    self._dispatcher.said(AttemptEnded(invocation_id, epoch))
            case pb.Delivered(invocation_id=invocation_id, epoch=epoch):
                if self._hears(invocation_id, epoch):
                    self.attempts[invocation_id].delivered = True
            case pb.Suspended(invocation_id=invocation_id, epoch=epoch, awaiting=awaiting):
                if self._over(invocation_id, epoch):
                    self._dispatcher.said(AttemptSuspended(invocation_id, epoch, aw.from_pb(awaiting)))
            case pb.Failed(invocation_id=invocation_id, epoch=epoch):
                if self._over(invocation_id, epoch):
                    self._dispatcher.said(AttemptFailed(invocation_id, epoch, frame))
            case pb.Credit(additional=additional):
                self.credits += additional
                self._dispatcher.pump(self.deployment_id)
            case pb.Drain():
                self.draining = True
            case pb.Refused(message=message):
                raise SessionEnded(f"the endpoint refused: {message}")
            case _:
                raise SessionEnded(f"the endpoint sent {type(frame).__name__} where it has no place")

    def _hears(self, invocation_id: bytes, epoch: int) -> bool:
        """Notes that the attempt said something; False where it is not on the session."""
        running = self.attempts.get(invocation_id)
        if running is None or running.epoch != epoch:
            return False
        running.heard_ms = self._now_ms
        return True

    def _over(self, invocation_id: bytes, epoch: int) -> bool:
        """Takes the attempt off the session; False where it was not on it."""
        if self.epoch_of(invocation_id) != epoch:
            return False
        self._dispatcher.finished(self, invocation_id)
        return True


def _run_try_failed(frame: pb.RunFailure) -> RunTryFailed:
    if frame.failure is None:
        raise FrameError("a failed run without its failure")
    return RunTryFailed(
        frame.invocation_id,
        frame.epoch,
        frame.command,
        j.failure_from_pb(frame.failure),
        frame.first_try_at_ms,
        frame.retry_at_ms,
        frame.durable_timer,
    )


def _split(entries: list[bytes]) -> list[list[bytes]]:
    """A journal in parts of bounded size; one part, maybe empty, at least."""
    parts: list[list[bytes]] = [[]]
    size = 0
    for entry in entries:
        if size and size + len(entry) > JOURNAL_PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += len(entry)
    return parts


def _messages(frames: list[fr.RuntimeFrame]) -> Iterable[bytes]:
    """Frames as messages of bounded size."""
    batch: list[bytes] = []
    size = 0
    for data in map(fr.encode_runtime_frame, frames):
        if batch and size + len(data) > BATCH_BYTES_MAX:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    yield b"".join(batch)
