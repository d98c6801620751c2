"""Records to write, and everything a store holds, read through its own methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from restate_protocol.services import HandlerMode
from restate_runtime.core.records import Invocation
from restate_runtime.store.base import InvocationFilter, Store

NOW_MS = 1_780_000_000_000


def id_of(number: int) -> bytes:
    """16 bytes that sort like the number, and hold bytes that text could not."""
    return number.to_bytes(8, "big") + b"\x00\xff\xfe\x80\x00\x00\x01\x02"


def record(number: int, **fields: Any) -> Invocation:
    """An invocation with this id."""
    given: dict[str, Any] = {
        "service": "shop.v1.Cart",
        "handler": "Add",
        "key": None,
        "mode": HandlerMode.SERVICE,
        "created_ms": NOW_MS + number,
    }
    return Invocation(id=id_of(number), **{**given, **fields})


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at where a store has no way to list it."""

    ids: tuple[bytes, ...]
    objects: tuple[tuple[str, str], ...]
    hashes: tuple[str, ...] = ()


async def contents(store: Store, scope: Scope) -> dict[str, Any]:
    """Everything in `store`, by the read it came from."""
    return {
        "list": await store.list_invocations(InvocationFilter(limit=10_000)),
        "active": await store.active_invocations(None, 10_000),
        "key_holders": await store.key_holders(),
        "expired": await store.expired(2**60, 10_000),
        "timers": await store.timers(None, 10_000),
        "deployments": await store.deployments(),
        "invocation": {one: await store.invocation(one) for one in scope.ids},
        "journal": {one: await store.journal(one) for one in scope.ids},
        "attempts": {one: await store.attempts(one) for one in scope.ids},
        "waiters": {one: await store.waiters(one) for one in scope.ids},
        "state": {one: list((await store.state(*one)).items()) for one in scope.objects},
        "promises": {one: await store.promises(*one) for one in scope.objects},
        "descriptor_sets": {one: await store.descriptor_set(one) for one in scope.hashes},
    }
