"""What ingress and admin may ask of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from restate_protocol.immutable import immutable
from restate_protocol.journal import Headers, Result


@immutable
class Submission:
    """A request from outside, checked already: handler, key and payload are what the contract wants.

    Args:
        delay_ms: milliseconds until it is due; None: at once.
        traceparent, tracestate: W3C context of the caller; may be empty.
    """

    service: str
    handler: str
    key: str | None
    payload: bytes
    headers: Headers = ()
    idempotency_key: str | None = None
    delay_ms: int | None = None
    traceparent: str = ""
    tracestate: str = ""


@dataclass(slots=True)
class Accepted:
    """A durable invocation.

    Args:
        new: False where an invocation with this id was there already.
        result: resolves with the result, for those who wait for it.
    """

    invocation_id: bytes
    new: bool
    result: asyncio.Future[Result] | None
    release: Callable[[], None]

    def close(self) -> None:
        """The caller is gone: nobody wants the result. The invocation goes on."""
        self.release()


class EngineApi(Protocol):
    """Every method raises TerminalError where the request cannot be met, UNAVAILABLE once the store failed."""

    async def submit(self, submission: Submission, *, wait: bool) -> Accepted:
        """Makes an invocation durable, or finds the one with the same key.

        Raises:
            TerminalError: UNIMPLEMENTED, nobody serves the handler; ALREADY_EXISTS, a workflow's run was started
                already and `wait` is asked for.
        """

    async def attach(self, invocation_id: bytes) -> Accepted:
        """Waits for the result of an invocation. Raises TerminalError NOT_FOUND."""

    async def output(self, invocation_id: bytes) -> Result | None:
        """The result if it is there. Raises TerminalError NOT_FOUND."""

    async def complete_awakeable(self, awakeable_id: str, result: Result) -> None:
        """Completes an awakeable; durable on return.

        Raises:
            TerminalError: INVALID_ARGUMENT, not an id; NOT_FOUND, its invocation is over or never was;
                FAILED_PRECONDITION, it is completed already.
        """

    async def awakeable_type(self, awakeable_id: str) -> tuple[str, str] | None:
        """What an awakeable was made for, as recorded with it, and the deployment whose contract says what that is.

        None where it is not recorded (yet). Raises TerminalError INVALID_ARGUMENT: not an id.
        """

    async def resume(self, invocation_id: bytes) -> None:
        """Starts a paused invocation again. Raises TerminalError NOT_FOUND or FAILED_PRECONDITION."""

    async def kill(self, invocation_id: bytes) -> None:
        """Ends an invocation without running its code. Raises TerminalError NOT_FOUND or FAILED_PRECONDITION."""
