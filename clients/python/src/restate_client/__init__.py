"""Calls durable services from outside handlers: call, send, attach, cancel, signal, complete awakeables.

`connect` gives a connection that generated clients take; `restate_client.sync` is its blocking twin. Importing the
package loads nothing: names load their module when they are first used, so that generated code stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restate_protocol.errors import RestateError, TerminalError, TypedError
    from restate_protocol.status import StatusCode

    from . import errors, sync
    from .channels import Keepalive, Tls
    from .connection import Connection, connect
    from .errors import (
        AlreadyCompleted,
        CallTimeout,
        ConnectionFailed,
        ConnectionMisused,
        FieldViolation,
        IdempotencyKeyReused,
        IngressError,
        InvalidRequest,
        InvocationNotFound,
        MessageTooLong,
        Overloaded,
        PrivateHandler,
        RuntimeFailed,
        RuntimeStopping,
        UnknownHandler,
        WorkflowAlreadyStarted,
    )
    from .handles import Handle, KnownInvocation, SendHandle, SendStatus
    from .retry import RetryPolicy

__all__ = [
    "AlreadyCompleted",
    "CallTimeout",
    "Connection",
    "ConnectionFailed",
    "ConnectionMisused",
    "FieldViolation",
    "Handle",
    "IdempotencyKeyReused",
    "IngressError",
    "InvalidRequest",
    "InvocationNotFound",
    "Keepalive",
    "KnownInvocation",
    "MessageTooLong",
    "Overloaded",
    "PrivateHandler",
    "RestateError",
    "RetryPolicy",
    "RuntimeFailed",
    "RuntimeStopping",
    "SendHandle",
    "SendStatus",
    "StatusCode",
    "TerminalError",
    "Tls",
    "TypedError",
    "UnknownHandler",
    "WorkflowAlreadyStarted",
    "connect",
    "errors",
    "sync",
]

_HOMES = {
    "Connection": ".connection",
    "Handle": ".handles",
    "Keepalive": ".channels",
    "KnownInvocation": ".handles",
    "RetryPolicy": ".retry",
    "SendHandle": ".handles",
    "SendStatus": ".handles",
    "StatusCode": "restate_protocol.status",
    "Tls": ".channels",
    "connect": ".connection",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("errors", "sync"):
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(_HOMES.get(name, ".errors"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
