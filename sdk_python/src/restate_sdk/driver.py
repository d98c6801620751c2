"""Runs one handler for one attempt: decodes the request, calls the handler, and tells how it ended.

A response or a terminal error is the invocation's output. Any other exception fails the attempt, KeyboardInterrupt and
SystemExit included. Once the machine is over, whatever the handler still does or returns counts for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.journal import Result, Value
from restate_protocol.status import StatusCode

from . import misuse
from .attempt import Attempt
from .context import About
from .errors import MisuseError
from .failures import failure_of, terminal_of
from .pending import NextTurn
from .services import BoundHandler
from .tasks import HandlerTask, owner, watch
from .vm.errors import AttemptOver, JournalMismatch
from .vm.machine import Machine

_log = logging.getLogger("restate_sdk")


def begin(
    machine: Machine,
    start: pb.Start,
    bound: BoundHandler,
    wake: Callable[[], None],
    executor: Executor | None,
    now_ms: Callable[[], int],
    next_turn: NextTurn,
    *,
    executes: bool = True,
) -> Attempt:
    """Begins the handler in a task of its own. The machine is loaded."""
    name = f"{start.service}/{start.handler}"
    attempt = Attempt(
        name,
        machine,
        wake,
        executor,
        start.inactivity_timeout_ms,
        next_turn=next_turn,
        now_ms=now_ms,
        executes=executes,
    )
    key = start.key if start.has_field("key") else None
    about = About(bound.service, bound.descriptor, key, start.random_seed, now_ms, bound.state_names)
    watch(attempt.loop)
    attempt.task = task = HandlerTask(_drive(attempt, bound, about), loop=attempt.loop)
    task.attempt = attempt
    return attempt


async def _drive(attempt: Attempt, bound: BoundHandler, about: About) -> None:
    owner.set(attempt)
    try:
        await _handle(attempt, bound, about)
    except JournalMismatch as mismatch:
        _log.error("an attempt of %s does not fit its journal: %s", attempt.name, mismatch)
    except AttemptOver:
        if not attempt.machine.over:  # something of another attempt was used, and that one is over
            attempt.fail(MisuseError(misuse.TWO_INVOCATIONS))
    except GeneratorExit:
        attempt.machine.close("the process ends")
        raise
    except asyncio.CancelledError as error:
        if not attempt.machine.over:
            attempt.fail(error)
    except BaseException as error:  # KeyboardInterrupt and SystemExit too: a handler does not end the endpoint
        attempt.fail(error)
    finally:
        attempt.cleanup()
        attempt.wake()


async def _handle(attempt: Attempt, bound: BoundHandler, about: About) -> None:
    descriptor = bound.descriptor
    try:
        request = _request(descriptor.request, attempt.machine.payload, f"{descriptor.service}/{descriptor.name}")
        response = await bound.method(bound.context(attempt, about), request)
        result: Result = _response(bound, response)
    except TerminalError as error:
        result = failure_of(error)
    except BaseExceptionGroup as group:
        terminal = terminal_of(group)
        if terminal is None:
            raise
        result = failure_of(terminal)
    _output(attempt, bound, result)


def _output(attempt: Attempt, bound: BoundHandler, result: Result) -> None:
    try:
        attempt.machine.sys_output(result, bound.descriptor.response)
    except TerminalError as error:  # longer than a value may be
        attempt.machine.sys_output(failure_of(error))


def _request(cls: type[Any], payload: bytes, name: str) -> Any:
    try:
        return codec.decode(cls, payload)
    except ValueError as error:
        raise TerminalError(
            f"the request of {name} is not a {codec.full_name(cls)}: {error}", code=StatusCode.INVALID_ARGUMENT
        ) from error


def _response(bound: BoundHandler, response: Any) -> Value:
    expected = bound.descriptor.response
    name = f"{bound.descriptor.service}/{bound.descriptor.name}"
    if not isinstance(response, expected):
        raise MisuseError(misuse.response(name, response, expected.__name__))
    try:
        return Value(codec.encode(response))
    except Exception as error:  # each flavour of messages has its own errors
        raise MisuseError(misuse.response(name, response, expected.__name__, error)) from error
