"""What operators do to invocations: one rpc for each verb, and one for many invocations at once.

Everything goes through the engine and is durable when the call returns. What the engine refuses is refused here with
its code and text; in a batch, for each invocation by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from restate_protocol.errors import IdError, TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.ids import invocation_id_text, parse_invocation_id
from restate_protocol.status import StatusCode

from restate_runtime.store.base import StoreError

from .ports import Operations
from .selection import Selection

#: How many invocations of a batch are worked on at a time: enough to share commits.
AT_ONCE = 256

Verb: TypeAlias = pb.BatchInvocationsRequest.Verb
#: Does it to one invocation; gives the id of the new one, where there is one.
Act: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]


class Steering:
    """The methods of the service that change invocations.

    Args:
        engine: does it.
        selection: finds what the filters of a batch mean.
    """

    def __init__(self, engine: Operations, selection: Selection) -> None:
        self._engine = engine
        self._selection = selection

    async def cancel(self, request: pb.CancelInvocationRequest) -> pb.CancelInvocationResponse:
        """Asks it to end."""
        await self._engine.cancel(parse_invocation_id(request.id))
        return pb.CancelInvocationResponse()

    async def kill(self, request: pb.KillInvocationRequest) -> pb.KillInvocationResponse:
        """Ends it."""
        await self._engine.kill(parse_invocation_id(request.id))
        return pb.KillInvocationResponse()

    async def pause(self, request: pb.PauseInvocationRequest) -> pb.PauseInvocationResponse:
        """Stops it until it is resumed."""
        await self._engine.pause(parse_invocation_id(request.id))
        return pb.PauseInvocationResponse()

    async def resume(self, request: pb.ResumeInvocationRequest) -> pb.ResumeInvocationResponse:
        """Starts it again."""
        await self._engine.resume(parse_invocation_id(request.id), request.deployment_id or None)
        return pb.ResumeInvocationResponse()

    async def restart(self, request: pb.RestartInvocationRequest) -> pb.RestartInvocationResponse:
        """Starts a new one like it."""
        deployment_id = request.deployment_id or None
        new = await self._engine.restart(parse_invocation_id(request.id), request.entries, deployment_id)
        return pb.RestartInvocationResponse(id=invocation_id_text(new))

    async def purge(self, request: pb.PurgeInvocationRequest) -> pb.PurgeInvocationResponse:
        """Removes it."""
        await self._engine.purge(parse_invocation_id(request.id))
        return pb.PurgeInvocationResponse()

    async def purge_journal(self, request: pb.PurgeJournalRequest) -> pb.PurgeJournalResponse:
        """Removes its journal."""
        await self._engine.purge_journal(parse_invocation_id(request.id))
        return pb.PurgeJournalResponse()

    async def batch(self, request: pb.BatchInvocationsRequest) -> pb.BatchInvocationsResponse:
        """Does it to many.

        Raises:
            TerminalError: INVALID_ARGUMENT: the request makes no sense; nothing was done.
        """
        act = self._act(request)
        texts = await self._selection.of(request)
        answer = pb.BatchInvocationsResponse()
        if request.dry_run:
            answer.done.extend(texts)
            return answer
        for first in range(0, len(texts), AT_ONCE):
            part = texts[first : first + AT_ONCE]
            for text, outcome in zip(part, await asyncio.gather(*(_try(act, one) for one in part)), strict=True):
                _note(answer, text, outcome)
        return answer

    def _act(self, request: pb.BatchInvocationsRequest) -> Act:
        """What the verb means."""
        engine, deployment_id = self._engine, request.deployment_id or None
        if deployment_id is not None and request.verb not in (Verb.RESUME, Verb.RESTART):
            raise TerminalError(
                "deployment_id is for RESUME and RESTART only; leave it out", code=StatusCode.INVALID_ARGUMENT
            )
        match request.verb:
            case Verb.CANCEL:
                return engine.cancel
            case Verb.KILL:
                return engine.kill
            case Verb.PAUSE:
                return engine.pause
            case Verb.RESUME:
                return lambda invocation_id: engine.resume(invocation_id, deployment_id)
            case Verb.RESTART:
                return lambda invocation_id: engine.restart(invocation_id, 0, deployment_id)
            case Verb.PURGE:
                return engine.purge
            case Verb.PURGE_JOURNAL:
                return engine.purge_journal
            case _:
                names = ", ".join(one.name for one in Verb if one is not Verb.UNSPECIFIED)
                raise TerminalError(f"verb is missing; give one of {names}", code=StatusCode.INVALID_ARGUMENT)


async def _try(act: Act, text: str) -> str | pb.Error:
    """The id of the new invocation, empty where there is none; or why it was not done."""
    try:
        new = await act(parse_invocation_id(text))
        return "" if new is None else invocation_id_text(new)
    except TerminalError as error:
        return pb.Error(code=error.code.name, message=error.message)
    except IdError as error:
        return pb.Error(code=StatusCode.INVALID_ARGUMENT.name, message=str(error))
    except StoreError as error:
        return pb.Error(code=StatusCode.UNAVAILABLE.name, message=str(error))


def _note(answer: pb.BatchInvocationsResponse, text: str, outcome: str | pb.Error) -> None:
    if isinstance(outcome, pb.Error):
        answer.refused.append(pb.BatchRefusal(id=text, error=outcome))
        return
    answer.done.append(text)
    if outcome:
        answer.created.append(outcome)
