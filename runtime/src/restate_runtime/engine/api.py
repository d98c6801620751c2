"""What ingress and admin may ask of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from restate_protocol.errors import TerminalError
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


class Asker(Protocol):
    """Who hears of a request, from the engine's loop and after the commit. Its methods return at once, never raise.

    Those who may wait in a coroutine use `submit` and `attach` instead, which cost a little more.
    """

    def accepted(self, invocation_id: bytes, new: bool) -> None:
        """The invocation is durable. `new`: the request made it."""

    def done(self) -> None:
        """What was asked for is durable, and there is no invocation to it."""

    def resolved(self, result: Result) -> None:
        """The result; only after `accepted`, and only for those who wait for it."""

    def refused(self, error: TerminalError) -> None:
        """It cannot be, or (UNAVAILABLE) the engine stops. Nothing follows."""

    def dropped(self) -> None:
        """It was released. Nothing follows."""


@immutable
class Known:
    """What is durable of an invocation.

    Args:
        deployment_id: what it is pinned to; None before its first attempt.
        result: None until it is completed.
    """

    service: str
    handler: str
    key: str | None
    deployment_id: str | None
    result: Result | None


class EngineApi(Protocol):
    """Every method raises TerminalError where the request cannot be met, UNAVAILABLE once the store failed."""

    async def submit(self, submission: Submission, *, wait: bool) -> Accepted:
        """Makes an invocation durable, or finds the one with the same key.

        Raises:
            TerminalError: UNIMPLEMENTED, nobody serves the handler; ALREADY_EXISTS, a workflow's run was started
                already and `wait` is asked for.
        """

    def begin(self, submission: Submission, asker: Asker, *, wait: bool) -> Callable[[], None]:
        """As `submit`, and tells the asker. Gives what releases the request.

        Raises:
            TerminalError: UNIMPLEMENTED, nobody serves the handler; UNAVAILABLE. Then the asker hears nothing.
        """

    def begin_attach(self, invocation_id: bytes, asker: Asker) -> Callable[[], None]:
        """As `attach`, and tells the asker. Gives what releases the request. Raises TerminalError UNAVAILABLE."""

    async def attach(self, invocation_id: bytes) -> Accepted:
        """Waits for the result of an invocation. Raises TerminalError NOT_FOUND."""

    async def known(self, invocation_id: bytes) -> Known:
        """What there is of an invocation, its result if it is there. Raises TerminalError NOT_FOUND."""

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

    async def send_signal(self, invocation_id: bytes, name: str, result: Result) -> None:
        """Gives a named signal to an invocation. Journaled there, and received in the order of the answers.

        Raises:
            TerminalError: INVALID_ARGUMENT, the name is empty or begins with `restate.`; NOT_FOUND;
                FAILED_PRECONDITION, the invocation is completed.
        """

    async def cancel(self, invocation_id: bytes) -> None:
        """Asks an invocation to end: what it awaits fails with CANCELLED. Journaled there, each time it is asked for.

        One that is scheduled or queued ends at once. One that is paused stays so, and hears of it when it is resumed.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is completed.
        """

    async def pause(self, invocation_id: bytes) -> None:
        """Stops an invocation until it is resumed; nothing recorded is lost. Pausing a paused one changes nothing.

        One that holds its key keeps it; one that waits for its key leaves the queue, and joins its end when resumed.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is completed.
        """

    async def resume(self, invocation_id: bytes, deployment_id: str | None = None) -> None:
        """Starts a paused invocation again, or at once one that is suspended or backs off.

        Args:
            deployment_id: what it goes on with from now on; `latest`: the newest that serves it; None: what it has.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is not paused, suspended or backing off, or the
                deployment is unknown, does not serve the handler, or would break its state, promises or key.
        """

    async def restart(self, invocation_id: bytes, entries: int = 0, deployment_id: str | None = None) -> bytes:
        """Starts a new invocation with the request of a completed one, and gives its id.

        State stays as it is. The random seed is that of the old one; an idempotency key is not taken over.

        Args:
            entries: how many journal entries it begins with, and the later results of what they began; 0 or 1: only
                the input.
            deployment_id: what it starts on; `latest` or None: the newest that serves it.

        Raises:
            TerminalError: NOT_FOUND; INVALID_ARGUMENT, there are fewer entries before the output;
                FAILED_PRECONDITION, it is not completed, is the run of a workflow, has no journal any more, cannot be
                cut there, or the deployment is unknown or does not serve the handler.
        """

    async def purge(self, invocation_id: bytes) -> None:
        """Removes a completed invocation; a workflow's run with state and promises.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is not completed.
        """

    async def purge_journal(self, invocation_id: bytes) -> None:
        """Removes the journal of a completed invocation; record and result stay until its retention is over.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is not completed.
        """

    async def kill(self, invocation_id: bytes) -> None:
        """Ends an invocation with ABORTED without running its code, and the calls that it waits for; not what it sent.

        Raises:
            TerminalError: NOT_FOUND; FAILED_PRECONDITION, it is completed.
        """
