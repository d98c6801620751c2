"""What the steps of a program may give, said without any of the code under test."""

from __future__ import annotations

import re
from itertools import permutations, product

from .program import (
    Add,
    Await,
    Call,
    Cancel,
    Combine,
    Dice,
    Forever,
    Future,
    Knot,
    Listen,
    Note,
    Now,
    Program,
    Promise,
    Run,
    Send,
    Sleep,
    Step,
    Wake,
)

#: The part of a result that differs from execution to execution.
_UNIQUE = re.compile(r"/[^,\]]*")


def fits(program: Program, results: list[str]) -> str | None:
    """Why these results are not what the program gives; None: they are."""
    if len(results) != len(program.steps):
        return f"{len(program.steps)} steps gave {len(results)} results"
    futures: list[set[str]] = []
    note: str | None = None
    for step, result in zip(program.steps, results, strict=True):
        if isinstance(step, Note):
            note = step.text
        allowed = _allowed(step, futures, note)
        if _UNIQUE.sub("", result) not in allowed:
            return f"{step} gave {result!r}, and not one of {sorted(allowed)}"
    return None


def _allowed(step: Step, futures: list[set[str]], note: str | None) -> set[str]:
    match step:
        case Await(pick=pick):
            return futures[pick % len(futures)] if futures else {"nothing"}
        case Combine(picks=picks):
            return _combined(step, [futures[pick % len(futures)] for pick in picks]) if futures else {"nothing"}
        case Add():
            return {"added"}
        case Note():
            return {f"note {note}"}
        case Send(program=program, attach=attach):
            if attach:
                futures.append({f"out {program}"})
            return {f"sent {program}"}
        case Cancel(program=program):
            futures.append({f"out {program}", "error cancelled"})
            return {f"cancelled {program}"}
        case Forever():
            return {"error cancelled"}
        case Knot():
            return {"cut"}
        case Dice():
            return {"dice"}
        case Now():
            return {"now"}
        case _:
            if not step.later:
                return _outcome(step)
            futures.append(_outcome(step))
            return {"later"}


def _outcome(step: Future) -> set[str]:
    match step:
        case Run(name=name):
            end = f"error run {name}" if step.terminal else f"run {name}"
            # A try that a crash cuts off is not counted: more than the policy allows may execute, never fewer.
            return {end, "exhausted"} if step.tries is not None and step.failures >= step.tries else {end}
        case Sleep():
            return {"slept"}
        case Call(program=program):
            return {f"out {program}"}
        case Wake(rejected=rejected):
            return {"error woken" if rejected else "woken"}
        case Listen(name=name):
            return {name}
        case Promise():
            return {"promise"}


def _failed(text: str) -> bool:
    return text.startswith("error") or text == "exhausted"


def _combined(step: Combine, chosen: list[set[str]]) -> set[str]:
    found: set[str] = set()
    for texts in product(*chosen):
        found |= _of(step.how, list(texts))
    return found


def _of(how: str, texts: list[str]) -> set[str]:
    """What a combination of these results may give, whichever comes first."""
    failed = {text for text in texts if _failed(text)}
    match how:
        case "gather" | "asyncio":
            return failed or {f"[{', '.join(texts)}]"}
        case "outcomes":
            return {f"[{', '.join(texts)}]"}
        case "race":
            return set(texts)
        case "first":
            return set(texts) - failed or {"none"}
        case "timeout":
            return {texts[0], "timeout"}
        case "completed":
            labels = [f"{index}: {text}" for index, text in enumerate(texts)]
            return {f"[{', '.join(order)}]" for order in permutations(labels)}
        case _:
            return failed | {f"{index}: {text}" for index, text in enumerate(texts) if text not in failed}
