"""Building frames and machines for the tests of the replay machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from restate_protocol import journal
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_frames import Command, RunAck
from restate_protocol.journal import Cancelled, Completion, Entry, Input, Result, Signal, Value
from restate_protocol.status import StatusCode
from restate_sdk.vm.machine import Machine

INVOCATION_ID = bytes(range(16))
OK = Value(b"1", journal.JSON)


def start_frame(*entries: Entry, **fields: Any) -> pb.Start:
    """A Start with an input and these entries."""
    data = [journal.encode(entry) for entry in (Input(b"in"), *entries)]
    return pb.Start(invocation_id=INVOCATION_ID, epoch=1, entries=data, journal_length=len(data), **fields)


class Attempt:
    """A machine and what it emitted."""

    def __init__(self, *entries: Entry, start: pb.Start | None = None, **options: Any) -> None:
        self.out: list[Any] = []
        self.machine = Machine(start or start_frame(*entries), self.out, **options)

    @property
    def commands(self) -> list[Entry]:
        """Commands emitted, decoded."""
        return [journal.decode(frame.entry) for frame in self.out if isinstance(frame, Command)]

    def frames(self, kind: type[Any]) -> list[Any]:
        """Frames of one type that were emitted."""
        return [frame for frame in self.out if isinstance(frame, kind)]

    def complete(self, command: int, result: Result = OK) -> None:
        """A completion arrives."""
        self.notify(Completion(command, result))

    def signal(self, number: int | str, result: Result = OK) -> None:
        """A signal arrives."""
        self.notify(Signal(number, result))

    def cancel(self, message: str) -> None:
        """Somebody wants the invocation to end."""
        self.notify(Cancelled(StatusCode.CANCELLED, message))

    def ack(self, command: int) -> None:
        """A run's proposal is acknowledged."""
        self.machine.run_ack(RunAck(invocation_id=INVOCATION_ID, epoch=1, command=command))

    def notify(self, entry: Entry) -> None:
        """A notification arrives."""
        self.machine.notify(pb.Notify(invocation_id=INVOCATION_ID, epoch=1, entry=journal.encode(entry)))


def completions(*commands: int) -> Sequence[Completion]:
    """Successful completions of these commands."""
    return [Completion(command, OK) for command in commands]
