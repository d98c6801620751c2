"""What must hold in every run, whatever went wrong: while commits land, and in the end.

Acknowledged implies finished; each result is recorded once; exclusive handlers of a key never overlap; state equals the
model; no timer fires early and none is lost; every attempt saw what the attempts before it saw.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from restate_protocol import journal as j
from restate_protocol.ids import invocation_id_text
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode
from restate_runtime.core.decision import AppendEntry, CreateInvocation, SaveInvocation, Write
from restate_runtime.core.failures import decode_result
from restate_runtime.core.records import Invocation, JournalRow, Status
from restate_runtime.store.base import InvocationFilter

from tests.sdk.gen.shop.v1.shop_pb import AddResponse, CartState, OrderResponse, PayResponse

from .model import fits
from .program import Add, below, maybe_never, reached

if TYPE_CHECKING:
    from .world import World

_HOLDS = (Status.ACTIVE, Status.SUSPENDED, Status.PAUSED)


class Violation(Exception):
    """Something that must always hold does not."""


class Ledger:
    """Sees every commit as it lands."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self._holders: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
        self._tries: Counter[tuple[bytes, int]] = Counter()
        self._once: set[tuple[bytes, str, object]] = set()

    def landed(self, writes: Sequence[Write]) -> None:
        """A commit is durable.

        Raises:
            Violation: it breaks an invariant.
        """
        for write in writes:
            self.trace.append(repr(write))
            match write:
                case CreateInvocation(record) | SaveInvocation(record):
                    self._holds(record)
                case AppendEntry(invocation_id=invocation_id, entry=entry):
                    self._append(invocation_id, j.decode(entry))
        for where, holders in self._holders.items():
            if len(holders) > 1:
                names = " and ".join(sorted(map(invocation_id_text, holders)))
                raise Violation(f"exclusive handlers of {'/'.join(where)} overlap: {names}")

    def _holds(self, record: Invocation) -> None:
        if record.mode is not HandlerMode.EXCLUSIVE or record.key is None:
            return
        holders = self._holders[record.service, record.key]
        if record.status in _HOLDS:
            holders.add(record.id)
        else:
            holders.discard(record.id)

    def _append(self, invocation_id: bytes, entry: j.Entry) -> None:
        match entry:
            case j.Completion(command=command):
                self._note(invocation_id, "the result of command", command)
            case j.Signal(target=int() as number):
                self._note(invocation_id, "the value of awakeable", number)
            case j.RunFailed(command=command, failures=failures):
                self._tried(invocation_id, command, failures)
            case j.Output():
                self._note(invocation_id, "the output", "")

    def _tried(self, invocation_id: bytes, command: int, failures: int) -> None:
        self._tries[invocation_id, command] += 1
        if self._tries[invocation_id, command] != failures:
            counted = f"{failures} failures, and has {self._tries[invocation_id, command]}"
            raise Violation(f"run {command} of {invocation_id_text(invocation_id)} counts {counted}")

    def _note(self, invocation_id: bytes, what: str, number: object) -> None:
        if (invocation_id, what, number) in self._once:
            raise Violation(f"{what} {number} of {invocation_id_text(invocation_id)} is recorded twice")
        self._once.add((invocation_id, what, number))


async def check(world: World) -> None:
    """What must hold in the end.

    Raises:
        Violation: it does not.
    """
    store = world.disk.contents
    records = await store.list_invocations(InvocationFilter(limit=10_000))
    by_program = _programs(world, records)
    _nothing_lost(world, by_program)
    for record in records:
        rows = await store.journal(record.id)
        _timers_on_time(world, record, rows)
        _output_as_seen(world, record, rows)
    _attempts_agree(world)
    await _state_as_modelled(world, by_program)


def _programs(world: World, records: list[Invocation]) -> dict[str, list[Invocation]]:
    """Invocations by the program they performed; approvals perform none."""
    found: dict[str, list[Invocation]] = defaultdict(list)
    for record in records:
        name = world.names.get(invocation_id_text(record.id))
        if record.handler != "Approve" and name is not None:
            found[name].append(record)
        elif record.handler != "Approve" and not _never_ran(record):
            raise Violation(f"{invocation_id_text(record.id)} completed, and its handler never ran")
    return found


def _nothing_lost(world: World, by_program: dict[str, list[Invocation]]) -> None:
    for name, invocation_id in world.people.accepted.items():
        if invocation_id not in [record.id for record in by_program[name]]:
            raise Violation(f"{name} was acknowledged as {invocation_id_text(invocation_id)} and is gone")
    unsure = below(world.scenario, list(world.people.unsure)) | maybe_never(world.scenario)
    for name in reached(world.scenario):
        count = len(by_program[name])
        if count != 1 and not (name in unsure and count == 0):
            raise Violation(f"{name} should be invoked once, and was {count} times")
    for name, result in world.people.results.items():
        (record,) = by_program[name]
        if record.result is None or decode_result(record.result) != result:
            raise Violation(f"the caller of {name} got something else than what is recorded: {result}")


def _never_ran(record: Invocation) -> bool:
    """Whether it ended before its handler ran: cancelled in time, or queued for a key that its caller holds."""
    result = None if record.result is None else decode_result(record.result)
    ended = isinstance(result, j.Failure) and result.code in (StatusCode.CANCELLED, StatusCode.ABORTED)
    return record.epoch == 0 and ended


def _timers_on_time(world: World, record: Invocation, rows: list[JournalRow]) -> None:
    # A timer that was due may be recorded after the clock was set back.
    back_ms = -sum(fault.size for fault in world.scenario.faults if fault.kind == "jump" and fault.size < 0)
    due: dict[int, int] = {}
    command = 0
    for row in rows:
        entry = j.decode(row.entry)
        if isinstance(entry, j.Completion):
            if row.at_ms + back_ms < due.get(entry.command, row.at_ms):
                raise Violation(
                    f"a sleep of {invocation_id_text(record.id)} ended {due[entry.command] - row.at_ms} ms early"
                )
        elif not isinstance(entry, j.NOTIFICATIONS):
            if isinstance(entry, j.Sleep):
                due[command] = entry.wake_at_ms
            command += 1


def _output_as_seen(world: World, record: Invocation, rows: list[JournalRow]) -> None:
    """The output is what the handler gave, and fits the program."""
    if record.handler == "Approve" or _never_ran(record):
        return
    text = invocation_id_text(record.id)
    outputs = [entry for row in rows if isinstance(entry := j.decode(row.entry), j.Output)]
    if len(outputs) != 1 or record.result is None or outputs[0].result != decode_result(record.result):
        raise Violation(f"{text} has {len(outputs)} outputs, or another result than its output")
    result = outputs[0].result
    if not isinstance(result, j.Value):
        raise Violation(f"{text} failed: {result}")
    match record.handler:
        case "Pay":
            said = PayResponse.from_binary(result.data).text
        case "Add":
            said = AddResponse.from_binary(result.data).items[0]
        case _:
            said = OrderResponse.from_binary(result.data).text
    found = json.loads(said)
    if found["results"] not in world.logs[text]:
        raise Violation(f"{text} recorded {found['results']}, which no attempt gave")
    problem = fits(world.scenario.programs[found["program"]], found["results"])
    if problem is not None:
        raise Violation(f"{text} ({found['program']}): {problem}")


def _attempts_agree(world: World) -> None:
    """What one attempt saw, every later one sees."""
    for invocation_id, logs in world.logs.items():
        longest = max(logs, key=len)
        for log in logs:
            if log != longest[: len(log)]:
                raise Violation(f"two attempts of {invocation_id} saw different things: {log} and {longest}")


async def _state_as_modelled(world: World, by_program: dict[str, list[Invocation]]) -> None:
    items: dict[int, Counter[str]] = defaultdict(Counter)
    for name in (name for name, found in by_program.items() if found):
        program = world.scenario.programs[name]
        items[program.key].update(step.item for step in program.steps if isinstance(step, Add))
    for key, expected in items.items():
        if not expected:
            continue
        state = await world.disk.contents.state("shop.v1.Cart", str(key))
        found = Counter(CartState.from_binary(state.get(1, b"")).items)
        if found != expected:
            raise Violation(f"the state of key {key} is {dict(found)}, and should be {dict(expected)}")
