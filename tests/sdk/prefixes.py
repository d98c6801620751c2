"""Determinism of a handler: every prefix of its journal replays, and goes on as the journal does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from restate_protocol import ids, journal
from restate_sdk.stub import Handlers
from restate_sdk.testing import Ending, replay
from restate_sdk.vm.journal import describe

from .runtime import INVOCATION_ID, Invocation

INVOCATION = ids.invocation_id_text(INVOCATION_ID)


async def replays_from_every_prefix(handlers: Callable[[], Handlers], target: str, one: Invocation) -> None:
    """Replays what an invocation journaled, cut after each entry.

    A cut journal ends in a wait, or in the very command that the journal has next; the whole one in its output.
    """
    for cut in range(1, len(one.entries) + 1):
        found = await replay(handlers(), target, one.entries[:cut], random_seed=42, invocation_id=INVOCATION)
        told = f"cut after {cut} of {[describe_entry(entry) for entry in one.entries]}: {found}"
        if found.ending is Ending.GOES_ON:
            assert found.detail == _next_command(one.entries[cut:]), told
        elif found.ending is Ending.OUTPUT:
            assert found.result == one.output, told
        else:
            assert found.ending is Ending.WAITS, told
    assert found.ending is Ending.OUTPUT, told


def describe_entry(data: bytes) -> str:
    entry = journal.decode(data)
    return repr(entry) if isinstance(entry, journal.NOTIFICATIONS) else describe(entry)


def _next_command(entries: list[bytes]) -> str | None:
    decoded: list[Any] = [journal.decode(entry) for entry in entries]
    return next((describe(entry) for entry in decoded if not isinstance(entry, journal.NOTIFICATIONS)), None)
