"""What a one-way send gives back inside a handler: which invocation it made, and how to read its result.

Connections have richer handles of their own (`restate_client.connection`); this one holds names only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .services import HandlerDescriptor

Res = TypeVar("Res")


@dataclass(frozen=True, slots=True)
class InvocationHandle(Generic[Res]):
    """An invocation that was sent.

    Args:
        invocation_id: inv_…
        handler: the rpc that was sent to; `ctx.attach` decodes the result with it.
    """

    invocation_id: str
    handler: HandlerDescriptor[Any, Res] = field(repr=False)
