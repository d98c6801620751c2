"""The network between one runtime and one endpoint: messages in order, some time later, until it is cut.

A session carries messages in order and without gaps, as gRPC does; what is lost is the end of a session, which each
side may notice at another time. Frames of attempts that are over may come again: epochs tell them from others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from restate_protocol import frames as fr
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb


class Channel:
    """One direction of one session.

    Args:
        chance: how long messages take.
        latency_ms: gives the longest.
        heard: told of every message that is sent.
    """

    def __init__(
        self, chance: random.Random, latency_ms: Callable[[], int], heard: Callable[[bytes], None] | None = None
    ) -> None:
        self.sent: list[bytes] = []
        self._heard = heard
        self._chance = chance
        self._latency_ms = latency_ms
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._last = 0.0
        self._cut = False

    async def write(self, data: bytes) -> None:
        """Sends a message."""
        if not self._cut:
            self.sent.append(data)
            self._deliver(data)
            if self._heard is not None:
                self._heard(data)

    def inject(self, data: bytes) -> None:
        """A message that was sent long ago arrives again."""
        if not self._cut:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        due = self._loop.time() + self._chance.random() * self._latency_ms() / 1000
        self._last = max(self._last + 2e-6, due)
        self._loop.call_at(self._last, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if not self._cut:
            self._arrived.put_nowait(data)

    def cut(self) -> None:
        """Nothing arrives any more; the reader does not know yet."""
        self._cut = True

    def end(self) -> None:
        """The reader notices."""
        self._cut = True
        self._arrived.put_nowait(None)

    async def read(self) -> bytes | None:
        """The next message; None at the end."""
        return await self._arrived.get()

    async def messages(self) -> AsyncIterator[bytes]:
        """All messages until the end."""
        while (data := await self.read()) is not None:
            yield data


class Wire:
    """Both directions of one session."""

    def __init__(
        self, chance: random.Random, latency_ms: Callable[[], int], heard: Callable[[bytes], None] | None = None
    ) -> None:
        self.to_endpoint = Channel(chance, latency_ms, heard)
        self.to_runtime = Channel(chance, latency_ms)

    def cut(self) -> None:
        """Nothing arrives on either side."""
        self.to_endpoint.cut()
        self.to_runtime.cut()

    def end(self) -> None:
        """Both sides notice."""
        self.to_endpoint.end()
        self.to_runtime.end()


def superseded(data: bytes) -> list[tuple[bytes, int]]:
    """The attempts that a message to an endpoint starts and that are not the first: invocation and epoch."""
    frames = fr.decode_runtime_batch(data)
    return [(one.invocation_id, one.epoch) for one in frames if isinstance(one, pb.Start) and one.epoch > 1]


def stale_frames(wires: list[Wire], invocation_id: bytes, epoch: int) -> tuple[list[Any], list[Any]]:
    """What the attempts before this one said, and what they were told but for their start."""

    def stale(frame: Any) -> bool:
        of = getattr(frame, "invocation_id", None)
        return of == invocation_id and frame.epoch < epoch and not isinstance(frame, pb.Start | pb.JournalPart)

    up = [frame for wire in wires for data in wire.to_runtime.sent for frame in fr.decode_endpoint_batch(data)]
    down = [frame for wire in wires for data in wire.to_endpoint.sent for frame in fr.decode_runtime_batch(data)]
    return list(filter(stale, up)), list(filter(stale, down))
