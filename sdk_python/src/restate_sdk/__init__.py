"""Durable handlers in Python: the public surface. Importing this package loads nothing until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restate_protocol.errors import RestateError, TerminalError, TypedError
    from restate_protocol.futures import CallFuture, DurableFuture
    from restate_protocol.handles import InvocationHandle
    from restate_protocol.handles import InvocationHandle as SendHandle
    from restate_protocol.status import StatusCode

    from .awakeables import Awakeable
    from .context import (
        Context,
        ObjectContext,
        ObjectSharedContext,
        Request,
        WorkflowContext,
        WorkflowSharedContext,
    )
    from .endpoint import Endpoint, RunningEndpoint
    from .errors import DurableTimeout, EndpointError, MisuseError, RetryableError
    from .gathering import gather
    from .racing import Selected, as_completed, first_success, race, select, timeout
    from .retry import RetryPolicy
    from .serde import Serde

__all__ = [
    "Awakeable",
    "CallFuture",
    "Context",
    "DurableFuture",
    "DurableTimeout",
    "Endpoint",
    "EndpointError",
    "InvocationHandle",
    "MisuseError",
    "ObjectContext",
    "ObjectSharedContext",
    "Request",
    "RestateError",
    "RetryPolicy",
    "RetryableError",
    "RunningEndpoint",
    "Selected",
    "SendHandle",
    "Serde",
    "StatusCode",
    "TerminalError",
    "TypedError",
    "WorkflowContext",
    "WorkflowSharedContext",
    "as_completed",
    "first_success",
    "gather",
    "race",
    "select",
    "timeout",
]

_MODULES = {
    "Awakeable": ".awakeables",
    "CallFuture": "restate_protocol.futures",
    "Context": ".context",
    "DurableFuture": "restate_protocol.futures",
    "DurableTimeout": ".errors",
    "Endpoint": ".endpoint",
    "EndpointError": ".errors",
    "InvocationHandle": "restate_protocol.handles",
    "MisuseError": ".errors",
    "ObjectContext": ".context",
    "ObjectSharedContext": ".context",
    "Request": ".context",
    "RestateError": "restate_protocol.errors",
    "RetryPolicy": ".retry",
    "RetryableError": ".errors",
    "RunningEndpoint": ".endpoint",
    "Selected": ".racing",
    "SendHandle": "restate_protocol.handles",
    "Serde": ".serde",
    "StatusCode": "restate_protocol.status",
    "TerminalError": "restate_protocol.errors",
    "TypedError": "restate_protocol.errors",
    "WorkflowContext": ".context",
    "WorkflowSharedContext": ".context",
    "as_completed": ".racing",
    "first_success": ".racing",
    "gather": ".gathering",
    "race": ".racing",
    "select": ".racing",
    "timeout": ".racing",
}
_RENAMED = {"SendHandle": "InvocationHandle"}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
