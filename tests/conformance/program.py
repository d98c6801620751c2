"""Random programs: a generator from a seed, and what each program must add to which counter (§0.4 item 11).

Every kind of command comes up; the few keys are contended; promises of commands are awaited in any order. Not here:
what executes them (`services.programs`).
"""

from __future__ import annotations

import random
from collections import Counter as Counts

from .generated import ProgramCommand
from .services.programs import LAYERS

Kind = ProgramCommand.Kind

KEYS = 20
COMMANDS_MAX = 9

#: Kinds that another command may await.
_AWAITABLE = frozenset(
    {
        Kind.CALL,
        Kind.CALL_LATER,
        Kind.RUN,
        Kind.RUN_THAT_FAILS,
        Kind.RUN_THAT_WAITS,
        Kind.TERMINAL_CALL,
        Kind.RESOLVED_AWAKEABLE,
        Kind.REJECTED_AWAKEABLE,
        Kind.NESTED,
    }
)
_PLAIN = tuple(kind for kind in Kind if int(kind) and kind not in (Kind.AWAIT, Kind.NESTED))
_INCREMENTS = frozenset({Kind.INCREMENT, Kind.INCREMENT_INDIRECTLY, Kind.INCREMENT_DELAYED, Kind.AWAKEABLE_DANCE})


class Generator:
    """Makes programs.

    Args:
        seed: the same one makes the same programs.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def key(self, layer: int) -> str:
        """One of a few keys; nested programs are of other layers, so that no call waits for its own caller."""
        return f"{layer}-{self._random.randrange(KEYS)}"

    def program(self, layer: int = 0) -> list[ProgramCommand]:
        """Commands for the interpreter of a layer; all that can be awaited is, sooner or later."""
        commands: list[ProgramCommand] = []
        open_: list[int] = []
        for _ in range(self._random.randint(1, COMMANDS_MAX)):
            if open_ and self._random.random() < 0.3:
                commands.append(ProgramCommand(kind=Kind.AWAIT, index=open_.pop(self._random.randrange(len(open_)))))
                continue
            command = self._command(layer)
            if command.kind in _AWAITABLE:
                open_.append(len(commands))
            commands.append(command)
        commands += [ProgramCommand(kind=Kind.AWAIT, index=index) for index in open_]
        return commands

    def _command(self, layer: int) -> ProgramCommand:
        if layer + 1 < LAYERS and self._random.random() < 0.15:
            return ProgramCommand(kind=Kind.NESTED, key=self.key(layer + 1), program=self.program(layer + 1))
        kind = self._random.choice(_PLAIN)
        return ProgramCommand(kind=kind, index=self._random.randrange(3), duration_ms=self._random.randint(1, 50))


def expected(layer: int, key: str, program: list[ProgramCommand]) -> Counts[tuple[int, str]]:
    """How much a program adds to the counter of each interpreter, by layer and key."""
    counts: Counts[tuple[int, str]] = Counts()
    for command in program:
        if command.kind in _INCREMENTS:
            counts[layer, key] += 1
        elif command.kind is Kind.NESTED:
            counts += expected(layer + 1, command.key, command.program)
    return counts
