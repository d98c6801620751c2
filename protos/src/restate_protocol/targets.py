"""Invocations that are known by what they were called with: the run of a workflow by its key, any other by its
idempotency key. No ids are made up here for invocations that only their ids can name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ids import idempotent_invocation_id, workflow_invocation_id
from .services import HandlerDescriptor, HandlerMode


@dataclass(frozen=True, slots=True)
class TargetName:
    """What an invocation was called with.

    Args:
        service: full name, as in the contract.
        handler: name of the rpc, as in the contract.
        key: of the object or workflow, in its canonical text; None for plain services.
        idempotency_key: None for the run of a workflow.
    """

    service: str
    handler: str
    key: str | None
    idempotency_key: str | None

    def __str__(self) -> str:
        parts = [f"{self.service}/{self.handler}"]
        if self.key is not None:
            parts.append(f"key {self.key!r}")
        if self.idempotency_key is not None:
            parts.append(f"idempotency key {self.idempotency_key!r}")
        return ", ".join(parts)

    def invocation_id(self) -> bytes:
        """The id that such an invocation has."""
        if self.idempotency_key is None:
            return workflow_invocation_id(self.service, self.key or "")
        return idempotent_invocation_id(self.service, self.handler, self.key, self.idempotency_key)


def target_name(handler: HandlerDescriptor[Any, Any], key: str | int | None, idempotency_key: str | None) -> TargetName:
    """The name of an invocation by what it was called with.

    Raises:
        ValueError: that does not name an invocation of this rpc.
    """
    rpc = f"{handler.service}/{handler.name}"
    if (key is None) != (handler.key_field is None):
        mend = (
            "has no key: leave key= out" if handler.key_field is None else f"has a key, {handler.key_field}: give key="
        )
        raise ValueError(f"{rpc} {mend}")
    if key == "" or idempotency_key == "":
        raise ValueError(f"neither the key nor the idempotency key of an invocation of {rpc} is empty")
    if handler.mode is HandlerMode.RUN and idempotency_key is not None:
        raise ValueError(f"{rpc} runs once for each key: leave idempotency_key= out")
    if handler.mode is not HandlerMode.RUN and idempotency_key is None:
        raise ValueError(f"an invocation of {rpc} is found by its id or by its idempotency key: give one of them")
    return TargetName(handler.service, handler.name, None if key is None else str(key), idempotency_key)


def check_only_id(key: str | int | None, idempotency_key: str | None) -> None:
    """Refuses more than the id.

    Raises:
        ValueError: something else is given too.
    """
    if key is not None or idempotency_key is not None:
        raise ValueError("an invocation id names an invocation by itself: leave key= and idempotency_key= out")
