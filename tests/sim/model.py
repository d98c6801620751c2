"""What the steps of a program may give, said without any of the code under test."""

from __future__ import annotations

import re

from .program import Add, Await, Call, Combine, Dice, Note, Now, Program, Promise, Run, Send, Sleep, Step, Wake

#: The part of a result that differs from execution to execution.
_UNIQUE = re.compile(r"/[^,\]]*")


def fits(program: Program, results: list[str]) -> str | None:
    """Why these results are not what the program gives; None: they are."""
    if len(results) != len(program.steps):
        return f"{len(program.steps)} steps gave {len(results)} results"
    futures: list[str] = []
    note: str | None = None
    for step, result in zip(program.steps, results, strict=True):
        if isinstance(step, Note):
            note = step.text
        allowed = _allowed(step, futures, note)
        if _UNIQUE.sub("", result) not in allowed:
            return f"{step} gave {result!r}, and not one of {sorted(allowed)}"
    return None


def _allowed(step: Step, futures: list[str], note: str | None) -> set[str]:
    match step:
        case Await(pick=pick):
            return {futures[pick % len(futures)]} if futures else {"nothing"}
        case Combine(how=how, picks=picks):
            return _combined(how, [futures[pick % len(futures)] for pick in picks]) if futures else {"nothing"}
        case Add():
            return {"added"}
        case Note():
            return {f"note {note}"}
        case Send(program=program, attach=attach):
            if attach:
                futures.append(f"out {program}")
            return {f"sent {program}"}
        case Dice():
            return {"dice"}
        case Now():
            return {"now"}
        case _:
            if not step.later:
                return {_outcome(step)}
            futures.append(_outcome(step))
            return {"later"}


def _outcome(step: Run | Sleep | Call | Wake | Promise) -> str:
    match step:
        case Run(name=name, terminal=terminal):
            return f"error run {name}" if terminal else f"run {name}"
        case Sleep():
            return "slept"
        case Call(program=program):
            return f"out {program}"
        case Wake(rejected=rejected):
            return "error woken" if rejected else "woken"
        case Promise():
            return "promise"


def _combined(how: str, chosen: list[str]) -> set[str]:
    failed = {text for text in chosen if text.startswith("error")}
    if how == "gather":
        return failed or {f"[{', '.join(chosen)}]"}
    return failed | {f"{index}: {text}" for index, text in enumerate(chosen) if text not in failed}
