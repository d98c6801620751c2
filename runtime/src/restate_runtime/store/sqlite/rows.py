"""Rows of the database -> records. The columns are those of queries.sql."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from restate_protocol.services import HandlerMode

from restate_runtime.core.records import (
    Attempt,
    AttemptOutcome,
    Deployment,
    Invocation,
    JournalRow,
    Promises,
    Status,
    Timer,
    TimerKind,
)
from restate_runtime.store.base import KeyHolder
from restate_runtime.store.columns import CHANGING, FIXED

_NAMES = FIXED + CHANGING
_MODE, _REPLY, _STATUS = (_NAMES.index(name) for name in ("mode", "reply", "status"))

AnyRow = sqlite3.Row | tuple[Any, ...]


def invocation(row: AnyRow) -> Invocation:
    """A row of `record` columns, which are the fields of Invocation in order."""
    values = list(row)
    values[_MODE] = HandlerMode(values[_MODE])
    values[_REPLY] = bool(values[_REPLY])
    values[_STATUS] = Status(values[_STATUS])
    return Invocation(*values)


def journal(row: AnyRow) -> list[JournalRow]:
    """Entries that travel in one row: JSON of (index, time, length) for each, and all their bytes."""
    places, data = row
    found = json.loads(places)
    entries = _slices(data, (length for _, _, length in found))
    return [JournalRow(index, at_ms, entry) for (index, at_ms, _), entry in zip(found, entries, strict=True)]


def state(row: AnyRow) -> dict[int, bytes]:
    """State entries that travel in one row: JSON of (number, length) for each, and all their bytes."""
    places, data = row
    found = json.loads(places)
    values = _slices(data, (length for _, length in found))
    return {number: value for (number, _), value in zip(found, values, strict=True)}


def _slices(data: bytes | None, lengths: Iterable[int]) -> Iterator[bytes]:
    begin = 0
    for length in lengths:
        yield b"" if data is None else data[begin : begin + length]
        begin += length


def attempt(row: AnyRow) -> Attempt:
    """A row of `attempts`."""
    invocation_id, epoch, started_ms, ended_ms, outcome, deployment_id, failure = row
    return Attempt(invocation_id, epoch, started_ms, ended_ms, AttemptOutcome(outcome), deployment_id, failure)


def promises(rows: Iterable[AnyRow]) -> Promises:
    """Rows of `promises`: results and waiters by number, the waiters in the order in which they came."""
    found = Promises()
    for number, result, invocation_id, command, _ in rows:
        if result is not None:
            found.results[number] = result
        else:
            found.waiters.setdefault(number, []).append((invocation_id, command))
    return found


def timer(row: AnyRow) -> Timer:
    """A row of `first_timers` or `timers_after`."""
    due_ms, invocation_id, command, kind = row
    return Timer(due_ms, invocation_id, command, TimerKind(kind))


def key_holder(row: AnyRow) -> KeyHolder:
    """A row of `key_holders`."""
    service, key, invocation_id, status, queue_seq = row
    return KeyHolder(service, key, invocation_id, Status(status), queue_seq)


def deployment(row: AnyRow) -> Deployment:
    """A row of `deployments`."""
    id, address, version_label, descriptor_hash, services, created_ms, revision, dev_name = row
    return Deployment(
        id, address, version_label, descriptor_hash, tuple(json.loads(services)), created_ms, revision, dev_name
    )
