"""Operations on runs: the command of a step, and the result of its function on its way to the journal."""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from restate_protocol import journal
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_entries import taken_bytes
from restate_protocol.hot_frames import RunAck
from restate_protocol.journal import Failure, Result

from .commands import Commands
from .journal import describe
from .mismatch import Row
from .tries import RunTries


@lru_cache(maxsize=1024)
def _encoded_run(name: str) -> bytes:
    """Steps are few and run often: their commands are encoded once."""
    return journal.encode(journal.Run(name))


class RunOperations(Commands):
    """Runs: `sys_run`, then `propose` unless `has_result`."""

    __slots__ = ()

    def sys_run(self, name: str) -> int:
        """A step. Execute its function unless `has_result`, then `propose`."""
        self.check_open()
        taken = taken_bytes(self._results.taken)
        number, data = self._number(), _encoded_run(name) + taken
        if not self._recording.left:
            self._last_run = self._emit(data), name, taken
        elif (recorded := self._recording.next()) != data:
            self._compare_command(number, recorded, journal.Run(name), None)
        (self._answered_runs if number in self._with_result else self._open_runs).add(number)
        return number

    def propose(self, handle: int, result: Result, duration_ms: int | None = 0) -> None:
        """The result of a run's function. It counts once the runtime has acknowledged it.

        While the command is the last frame that waits to leave, the result goes with it: one entry instead of two.

        Args:
            duration_ms: how long the function took; None: the result travels by itself.
        """
        self.check_open()
        self._open_runs.discard(handle)
        self._proposals[handle] = result
        if duration_ms is not None and self._last_run is not None and handle == self._next - 1:
            command, name, taken = self._last_run
            if self._out and self._out[-1] is command:
                command.entry = journal.encode(journal.Run(name, result, duration_ms)) + taken
                return
        frame = pb.RunProposal(
            invocation_id=self.invocation_id,
            epoch=self.epoch,
            command=handle,
            result=journal.result_to_pb(result),
        )
        self._out.append(frame)

    def has_result(self, handle: int) -> bool:
        """Whether the journal already has the result of a command: then nothing may execute again."""
        return handle in self._with_result or handle in self._results.seen

    def tries(self, handle: int) -> RunTries | None:
        """How often the journal says that the run's function failed; None where it never did."""
        return self._tries.get(handle)

    def try_failed(self, handle: int, failure: Failure, times: tuple[int, int], *, durable: bool) -> None:
        """A try of the run's function failed and another follows, once `tries` has counted this one.

        Args:
            times: when the first try began and when the next is due, in milliseconds since the epoch.
            durable: the runtime times the wait, so that the attempt may suspend meanwhile.
        """
        self.check_open()
        first_try_at_ms, retry_at_ms = times
        frame = pb.RunFailure(
            invocation_id=self.invocation_id,
            epoch=self.epoch,
            command=handle,
            failure=journal.failure_to_pb(failure),
            first_try_at_ms=first_try_at_ms,
            retry_at_ms=retry_at_ms,
            durable_timer=durable,
        )
        self._out.append(frame)

    def run_ack(self, frame: RunAck) -> None:
        """The proposed result of a run was committed: it takes its place among the notifications.

        Raises:
            FrameError: nothing was proposed for this command.
        """
        if self._over is not None:
            return
        result = self._proposals.pop(frame.command, None)
        if result is None:
            raise FrameError(f"an acknowledgement of command {frame.command}, which has no proposal")
        self._results.add(frame.command, result)

    def result_mismatch(self, number: int, name: str, recorded: str, expected: str) -> NoReturn:
        """The recorded result of a run is of another kind than the code reads now.

        Raises:
            JournalMismatch: always.
        """
        run = journal.Run(name)
        rows = Row("name", name, name, differs=False), Row("result", recorded, expected)
        self._mismatch(number, run, describe(run), rows)
