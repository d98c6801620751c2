"""What the demo claims, checked: pure functions of effects, journals and spans, as `restate-cli --json` prints them.

Each raises DemoError where something is not so, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

#: Commands that are no steps: they are the invocation itself.
NO_STEPS = ("input", "output")
#: Commands of the examples whose result comes later.
WAITING = ("run", "sleep", "get_promise")


class DemoError(Exception):
    """Something is not as the demo tells it."""


def expect(what: str, found: object, expected: object) -> None:
    """That something is what it should be."""
    if found != expected:
        raise DemoError(f"{what}: expected {expected!r}, found {found!r}")


def recorded(journal: Sequence[Json]) -> list[str]:
    """The steps whose results are recorded: the type and name of each, in order."""
    return [_label(entry) for entry in _steps(journal) if entry["command"] in _completed(journal)]


def under_way(journal: Sequence[Json]) -> list[str]:
    """The steps that were begun and have no result yet."""
    waiting = (entry for entry in _steps(journal) if entry["type"] in WAITING)
    return [_label(entry) for entry in waiting if entry["command"] not in _completed(journal)]


def check_kept(before: Sequence[Json], after: Sequence[Json]) -> None:
    """That every entry that was recorded before a crash is there after it, unchanged."""
    expect("the entries recorded before the crash", list(after[: len(before)]), list(before))


def check_finished(invocation: Json) -> None:
    """That an invocation completed, and without an error."""
    expect(f"the status of {invocation['id']}", invocation["status"], "completed")
    expect(f"the error of {invocation['id']}", invocation.get("error"), None)


def check_effects(effects: Sequence[str], steps: Sequence[str], killed_in: str = "") -> Counter[str]:
    """That every step had its effect once, in order; the one that was under way when it was killed, once or twice.

    Args:
        effects: the log of effects.
        steps: the effects that should be there.
        killed_in: the effect of the step that was under way when the process was killed, if one was.
    """
    times = Counter(effects)
    expect("the effects, in order", list(dict.fromkeys(effects)), list(steps))
    for effect in steps:
        most = 2 if effect == killed_in else 1
        if times[effect] > most:
            raise DemoError(f"{effect!r} was done {times[effect]} times, at most {most} expected")
    return times


def check_trace(spans: Sequence[Json], journal: Sequence[Json], attempts: int) -> None:
    """That a trace has one span for the invocation, one for each attempt and one for each step, and nothing else.

    Args:
        spans: the trace of a completed invocation that called nobody.
        journal: its journal.
        attempts: how many there were.
    """
    root, *children = spans
    expect("the root of the trace", root.get("parentSpanId", ""), "")
    expect("spans without an end", [span["name"] for span in spans if "endMs" not in span], [])
    expect("spans elsewhere", [span["name"] for span in children if span["parentSpanId"] != root["spanId"]], [])
    epochs = [_attribute(span, "attempt.epoch") for span in children]
    expect("the spans of attempts", sorted(filter(None, epochs)), sorted(str(one + 1) for one in range(attempts)))
    found = [_step_of(span) for span in children if not _attribute(span, "attempt.epoch")]
    expect(
        "the spans of steps", sorted(found), sorted((str(step["command"]), step["type"]) for step in _steps(journal))
    )


def _steps(journal: Sequence[Json]) -> list[Json]:
    commands = (entry for entry in journal if "command" in entry and entry["type"] != "completion")
    return [entry for entry in commands if entry["type"] not in NO_STEPS]


def _completed(journal: Sequence[Json]) -> set[int]:
    return {entry["command"] for entry in journal if entry["type"] == "completion"}


def _label(entry: Json) -> str:
    return f"{entry['type']} {entry.get('name', '')}".rstrip()


def _step_of(span: Json) -> tuple[str, str]:
    return _attribute(span, "journal.command.index"), _attribute(span, "journal.command.type")


def _attribute(span: Json, name: str) -> str:
    return str(span["attributes"].get(f"restate.{name}", ""))
