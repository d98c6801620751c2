"""What every operation stands on: numbering commands, replaying the recorded ones, emitting the others, and ending.

Invariant: a command is emitted only when no recorded one is left, and nothing is emitted once the attempt is over.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NoReturn

from restate_protocol import journal
from restate_protocol.errors import TerminalError
from restate_protocol.frames import EndpointFrame
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.hot_entries import taken_bytes
from restate_protocol.hot_frames import Command
from restate_protocol.journal import Failure, Headers, Result, Value
from restate_protocol.status import StatusCode

from .awaiting import Handle
from .errors import Closed, JournalMismatch
from .journal import Comparator, Recording, describe, differs, name_of, read_command, side_by_side
from .mismatch import Awaits, MismatchReport, Row
from .results import ResultQueue
from .state import LocalState
from .tries import RunTries

#: The longest value, in bytes, unless the runtime names another limit. 32 MiB.
DEFAULT_MAX_VALUE_BYTES = 32 * 1024 * 1024


class Behavior(enum.Enum):
    """What the runtime does about a failed attempt."""

    POLICY = pb.Failed.Behavior.POLICY
    PAUSE = pb.Failed.Behavior.PAUSE


class Commands:
    """The commands of one attempt, in order.

    Args:
        start: the frame that began the attempt.
        out: where frames for the runtime are appended, in order.
        compare: compares payloads that are not equal as bytes.
        max_value_bytes: the longest value that may be sent.
        where: tells the place in the handler's code that is being executed, one line for each frame.
    """

    __slots__ = (
        "_answered_runs",
        "_calls",
        "_compare",
        "_last_run",
        "_max_value_bytes",
        "_next",
        "_open_runs",
        "_out",
        "_over",
        "_proposals",
        "_recording",
        "_results",
        "_signals",
        "_state",
        "_tries",
        "_where",
        "_with_result",
        "awakeables",
        "epoch",
        "headers",
        "invocation_id",
        "payload",
    )

    def __init__(
        self,
        start: pb.Start,
        out: list[EndpointFrame],
        *,
        compare: Comparator,
        max_value_bytes: int,
        where: Callable[[], str],
    ) -> None:
        self.invocation_id = start.invocation_id
        self.epoch = start.epoch
        self.payload = b""
        self.headers: Headers = ()
        self.awakeables = 0
        self._out = out
        self._compare = compare
        self._where = where
        self._last_run: tuple[Command, str, bytes] | None = None
        self._max_value_bytes = max_value_bytes
        self._over: str | None = None
        self._next = 0
        self._results = ResultQueue()
        self._proposals: dict[int, Result] = {}
        self._with_result: frozenset[Handle] = frozenset()
        self._open_runs: set[int] = set()  # their functions have not ended, as far as the machine knows
        self._answered_runs: set[int] = set()  # their results are in the journal
        self._calls: dict[int, bytes] = {}  # the invocation that each call made
        self._signals: dict[str, int] = {}  # how many of each name the handler asked for
        self._tries: dict[int, RunTries] = {}
        entries = ((entry.number, entry.value) for entry in start.state)
        self._state = LocalState(entries, complete=not start.partial_state)
        self._recording = Recording(start.journal_length)

    @property
    def over(self) -> bool:
        """Whether the attempt takes no more operations."""
        return self._over is not None

    def check_open(self) -> None:
        """Raises AttemptOver where the attempt is over."""
        if self._over is not None:
            raise Closed(self._over)

    def _number(self) -> int:
        number = self._next
        self._next += 1
        return number

    def _issue(self, entry: journal.Command, message: type[Any] | None = None) -> int:
        """Replays the command if one is recorded here, else emits it. Gives its number."""
        self.check_open()
        number, data = self._number(), journal.encode(entry) + taken_bytes(self._results.taken)
        if not self._recording.left:
            self._emit(data)
        elif (recorded := self._recording.next()) != data:
            self._compare_command(number, recorded, entry, message)
        return number

    def _emit(self, data: bytes) -> Command:
        command = Command(self.invocation_id, self.epoch, data)
        self._out.append(command)
        return command

    def _replayed(self, entry: journal.Command) -> journal.Command:
        """The recorded command at this place, which must be this one but for what it saw."""
        return self._compare_command(self._number(), self._recording.next(), entry, None)

    def _compare_command(
        self, number: int, recorded: bytes, entry: journal.Command, message: type[Any] | None
    ) -> journal.Command:
        then, taken = read_command(recorded), self._results.taken
        if differs(then, entry, message, self._compare):
            self._mismatch(number, then, describe(entry), side_by_side(then, entry, message, self._compare))
        if not recorded.endswith(taken_bytes(taken)):
            before = journal.taken(recorded)
            if before is not None and before != taken:
                self._other_awaits(number, then, (before, taken))
        return then

    def _other_awaits(self, number: int, then: journal.Command, taken: tuple[int, int]) -> NoReturn:
        """The command is the recorded one, but the handler awaited more or less before it."""
        before, now = taken
        counts = Row("results awaited before", str(before), str(now))
        said = ("awaited", "not awaited") if before > now else ("not awaited", "awaited")
        others = self._recording.results_between(min(taken), max(taken))
        rows = (counts, *(Row(one, *said) for one in others))
        change = Awaits.REMOVED if before > now else Awaits.ADDED
        self._mismatch(number, then, describe(then), rows, awaits=change)

    def _mismatch(
        self,
        number: int,
        then: journal.Command,
        now: str,
        rows: tuple[Row, ...],
        *,
        awaits: Awaits = Awaits.AS_RECORDED,
    ) -> NoReturn:
        results = self._with_result | self._results.seen.keys() | self._results.pending()
        report = MismatchReport(
            invocation_id=self.invocation_id,
            command=number,
            entries=self._recording.entries_before(number),
            recorded=describe(then),
            attempted=now,
            rows=rows,
            where=self._where(),
            unfinished=self._recording.unfinished_before(number, results),
            awaits=awaits,
        )
        self.fail(
            Failure(StatusCode.INTERNAL, str(report)),
            behavior=Behavior.PAUSE,
            command=(number, journal.type_name(then), name_of(then)),
        )
        raise JournalMismatch(report)

    def _check_result(self, result: Result, what: str) -> None:
        if isinstance(result, Value):
            self._check_size(result.data, what)

    def _check_size(self, data: bytes, what: str) -> None:
        if len(data) > self._max_value_bytes:
            raise too_long(what, len(data), self._max_value_bytes)

    @property
    def max_value_bytes(self) -> int:
        """The longest value, in bytes, that may be sent."""
        return self._max_value_bytes

    # Ends

    def fail(
        self,
        failure: Failure,
        *,
        behavior: Behavior = Behavior.POLICY,
        command: tuple[int, str, str] | None = None,
        retry_after_ms: int | None = None,
        stacktrace: str = "",
    ) -> None:
        """The attempt failed, about `command` (number, type, name) if any. Nothing where it is over already."""
        if self._over is not None:
            return
        number, kind, name = (None, "", "") if command is None else command
        frame = pb.Failed(
            invocation_id=self.invocation_id,
            epoch=self.epoch,
            failure=journal.failure_to_pb(failure),
            command=number,
            command_type=kind,
            command_name=name,
            retry_after_ms=retry_after_ms,
            behavior=behavior.value,
            stacktrace=stacktrace,
        )
        self._end("the attempt failed", frame)

    def close(self, why: str) -> None:
        """The attempt ends without a word to the runtime."""
        if self._over is None:
            self._over = why

    def _end(self, why: str, frame: EndpointFrame) -> None:
        self._out.append(frame)
        self._over = why


def too_long(what: str, size: int, limit: int) -> TerminalError:
    """The error about a value that is longer than the limit."""
    return TerminalError(
        f"{what} has {size} bytes, and a value may have {limit} (the runtime's setting max_message_bytes)."
        " Keep large data elsewhere and pass a reference",
        code=StatusCode.RESOURCE_EXHAUSTED,
    )
