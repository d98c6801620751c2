"""Dialling the runtime: for endpoints it cannot reach, behind NAT or in development. Reconnects until stopped."""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from restate_protocol.errors import RestateError

from ..session import Session, pump
from .options import CHANNEL_OPTIONS, RUNTIME_SESSION

_log = logging.getLogger("restate_sdk")

#: Seconds before the first and between later tries to connect again; each wait is a random part of it.
FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


_REFUSALS = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)


class _Ended(enum.Enum):
    """How a session came to its end."""

    TALKED = enum.auto()  # it was a good one: connect again at once
    REFUSED = enum.auto()
    UNREACHED = enum.auto()


class Dialler:
    """Keeps one session with the runtime at an address.

    Args:
        address: host:port of the runtime's admin gRPC port.
        new_session: makes the session, anew for every connection.
    """

    def __init__(self, address: str, new_session: Callable[[], Session]) -> None:
        self._address = address
        self._new_session = new_session
        self._session: Session | None = None
        self._reported = ""
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Waits until the dialler was stopped."""
        await asyncio.wait({self._task})
        await self._task

    async def stop(self, grace: float) -> None:
        """Stops: tells the runtime, lets attempts finish for `grace` seconds, then ends."""
        self._stopping.set()
        if self._session is not None:
            self._session.drain()
            await _at_most(self._session.idle(), grace)
            if self._session is not None:
                self._session.close("the endpoint stops")
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        wait = FIRST_WAIT
        async with grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel:
            call_session: Any = channel.stream_stream(RUNTIME_SESSION)
            while not self._stopping.is_set():
                match await self._connect(call_session):
                    case _Ended.TALKED:
                        wait = FIRST_WAIT
                    case _Ended.REFUSED:
                        wait = LONGEST_WAIT
                    case _Ended.UNREACHED:
                        pass
                await _at_most(self._stopping.wait(), wait * random.uniform(0.5, 1))
                wait = min(wait * 2, LONGEST_WAIT)

    async def _connect(self, call_session: Any) -> _Ended:
        """One session from beginning to end, and how it ended."""
        self._session = session = self._new_session()
        call = call_session(wait_for_ready=False)
        ended = _Ended.TALKED
        try:
            await pump(session, lambda: _read(call), call.write)
        except (RestateError, grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            self._report(error)
            ended = _Ended.REFUSED if _is_refusal(error) else ended
        finally:
            self._session = None
            call.cancel()
        return ended if session.heard or ended is _Ended.REFUSED else _Ended.UNREACHED

    def _report(self, error: BaseException) -> None:
        """Says why there is no session, once for each reason."""
        text = str(error.details() if isinstance(error, grpc.aio.AioRpcError) else error)
        if not self._stopping.is_set() and text != self._reported:
            _log.warning("no session with the runtime at %s, trying again: %s", self._address, text)
        self._reported = text


def _is_refusal(error: BaseException) -> bool:
    """Whether the runtime will say the same again until somebody changes something."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _REFUSALS


async def _read(call: Any) -> bytes | None:
    data = await call.read()
    return None if data is grpc.aio.EOF else data


async def _at_most(wait: Any, seconds: float) -> None:
    task = asyncio.ensure_future(wait)
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
