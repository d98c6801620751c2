"""Durable handlers in Python: the public surface. Importing this package loads nothing until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restate_protocol.errors import RestateError, TerminalError, TypedError
    from restate_protocol.futures import DurableFuture
    from restate_protocol.handles import InvocationHandle as SendHandle
    from restate_protocol.status import StatusCode

    from .context import (
        Awakeable,
        Context,
        ObjectContext,
        ObjectSharedContext,
        Request,
        WorkflowContext,
        WorkflowSharedContext,
    )
    from .endpoint import Endpoint, RunningEndpoint
    from .errors import EndpointError, MisuseError, RetryableError
    from .futures import Selected, gather, select
    from .retry import RetryPolicy

__all__ = [
    "Awakeable",
    "Context",
    "DurableFuture",
    "Endpoint",
    "EndpointError",
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
    "StatusCode",
    "TerminalError",
    "TypedError",
    "WorkflowContext",
    "WorkflowSharedContext",
    "gather",
    "select",
]

_MODULES = {
    "Awakeable": ".context",
    "Context": ".context",
    "DurableFuture": "restate_protocol.futures",
    "Endpoint": ".endpoint",
    "EndpointError": ".errors",
    "MisuseError": ".errors",
    "ObjectContext": ".context",
    "ObjectSharedContext": ".context",
    "Request": ".context",
    "RestateError": "restate_protocol.errors",
    "RetryPolicy": ".retry",
    "RetryableError": ".errors",
    "RunningEndpoint": ".endpoint",
    "Selected": ".futures",
    "SendHandle": "restate_protocol.handles",
    "StatusCode": "restate_protocol.status",
    "TerminalError": "restate_protocol.errors",
    "TypedError": "restate_protocol.errors",
    "WorkflowContext": ".context",
    "WorkflowSharedContext": ".context",
    "gather": ".futures",
    "select": ".futures",
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
