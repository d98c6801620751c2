"""Replays a recorded journal against a handler, to see before a deployment whether the code still fits it.

Nothing is executed and nothing leaves the process: at the first step that the journal does not have, the replay ends.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restate_protocol import awaiting, ids, journal
from restate_protocol.frames import EndpointFrame
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Command
from restate_protocol.journal import Result

from ..attempt import Attempt
from ..compare import compare_payloads
from ..driver import begin
from ..pending import NextTurn
from ..places import place_in_handler
from ..services import Handlers, deploy
from ..session import wall_clock_ms
from ..vm.journal import describe
from ..vm.machine import Machine


class Ending(enum.Enum):
    """How a replay ended."""

    OUTPUT = "output"  # the handler ended as the journal says, or ends now
    MISMATCH = "mismatch"  # the handler did something else than the journal says
    WAITS = "waits"  # it waits for a result that the journal does not have
    GOES_ON = "goes on"  # it went on to a new step
    FAILED = "failed"  # it raised an error that is not terminal


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Args:
        ending: how it ended.
        detail: the mismatch, the new step, what is waited for, or the error; for people.
        result: the handler's output, with `Ending.OUTPUT`.
    """

    ending: Ending
    detail: str = ""
    result: Result | None = None


async def replay(
    handlers: Handlers,
    target: str,
    entries: Sequence[bytes],
    *,
    key: str | None = None,
    state: Mapping[int, bytes] | None = None,
    random_seed: int = 0,
    invocation_id: str | None = None,
) -> Replayed:
    """Replays a journal.

    Args:
        handlers: the handlers of the service.
        target: `service/handler`, as in the contract.
        entries: the journal, from its input on.
        key: the object's or workflow's key, canonical.
        state: the state at the end of the journal, by field number.
        random_seed: the invocation's seed.
        invocation_id: inv_…; the ids of its calls and awakeables follow from it. Needed where the handler calls.

    Raises:
        IdError: it is not an invocation id.
        ValueError: the handlers have no such handler.
        FrameError: the entries are no journal.
    """
    deployment = deploy([handlers], "")
    service, _, name = target.partition("/")
    bound = deployment.handlers.get((service, name))
    if bound is None:
        raise ValueError(f"{type(handlers).__name__} does not implement {target}")
    start = pb.Start(
        service=service,
        handler=name,
        key=key,
        invocation_id=bytes(16) if invocation_id is None else ids.parse_invocation_id(invocation_id),
        epoch=1,
        entries=list(entries),
        journal_length=len(entries),
        state=[pb.StateEntry(number=number, value=value) for number, value in (state or {}).items()],
        random_seed=random_seed,
    )
    return await _Replay(start).run(bound)


class _Replay:
    """One replay; it watches what the machine emits and stops at the first new step."""

    def __init__(self, start: pb.Start) -> None:
        self._start = start
        self._out: list[EndpointFrame] = []
        self._machine = Machine(start, self._out, compare=compare_payloads, where=place_in_handler)
        self._attempt: Attempt | None = None

    async def run(self, bound: Any) -> Replayed:
        self._attempt = begin(
            self._machine, self._start, bound, self._look, None, wall_clock_ms, NextTurn(), executes=False
        )
        assert self._attempt.task is not None
        task = self._attempt.task
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return self._verdict(self._out[0])

    def _look(self) -> None:
        self._out[:] = [frame for frame in self._out if not isinstance(frame, pb.RunProposal)]  # of cancelled runs
        if self._out and not self._machine.over and self._attempt is not None:
            self._attempt.abort("the replay is at the end of the journal")

    def _verdict(self, frame: EndpointFrame) -> Replayed:
        match frame:
            case pb.Suspended():
                leaves = awaiting.leaves(awaiting.from_pb(frame.awaiting))
                return Replayed(Ending.WAITS, ", ".join(map(str, leaves)))
            case pb.Failed():
                ending = Ending.MISMATCH if frame.behavior == pb.Failed.Behavior.PAUSE else Ending.FAILED
                return Replayed(ending, "" if frame.failure is None else frame.failure.message)
            case Command():
                return self._new(journal.decode(frame.entry))
            case _:
                return self._new(journal.decode(self._last_command()))

    def _last_command(self) -> bytes:
        """The recorded output: the handler ended without emitting another."""
        return self._start.entries[-1]

    def _new(self, entry: journal.Entry) -> Replayed:
        if isinstance(entry, journal.Output):
            return Replayed(Ending.OUTPUT, result=entry.result)
        assert not isinstance(entry, journal.NOTIFICATIONS)
        return Replayed(Ending.GOES_ON, describe(entry))
