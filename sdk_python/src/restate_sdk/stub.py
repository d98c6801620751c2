"""What generated handler code is made of. Users import the generated module, not this one."""

from __future__ import annotations

from .context import Context, ObjectContext, ObjectSharedContext, WorkflowContext, WorkflowSharedContext
from .promise import PromiseEntry, PromiseField, PromiseFields
from .services import Handlers
from .state import SharedStateField, SharedStateFields, StateEntry, StateField, StateFields

__all__ = [
    "Context",
    "Handlers",
    "ObjectContext",
    "ObjectSharedContext",
    "PromiseEntry",
    "PromiseField",
    "PromiseFields",
    "SharedStateField",
    "SharedStateFields",
    "StateEntry",
    "StateField",
    "StateFields",
    "WorkflowContext",
    "WorkflowSharedContext",
]
