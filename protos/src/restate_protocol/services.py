"""Services as generated code declares them: names, Python types, kinds. No logic.

One ServiceDescriptor for each service of a contract, one HandlerDescriptor for each rpc. Clients and the handler
SDK read them; `restate-codegen` writes them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from . import codec
from .errors import TerminalError, TypedError
from .status import StatusCode

Req = TypeVar("Req")
Res = TypeVar("Res")


class ServiceKind(enum.Enum):
    """What kind of durable service it is."""

    SERVICE = "service"
    VIRTUAL_OBJECT = "virtual_object"
    WORKFLOW = "workflow"


class HandlerMode(enum.Enum):
    """How handlers of one key run beside each other."""

    SERVICE = "service"  # no key, unlimited concurrency
    EXCLUSIVE = "exclusive"  # object: one at a time for each key, writes state
    SHARED = "shared"  # object or workflow: any number at once, reads state
    RUN = "run"  # workflow: once for each key, writes state


@dataclass(frozen=True, slots=True)
class HandlerDescriptor(Generic[Req, Res]):
    """One rpc.

    Args:
        service: full name of the service, as in the contract.
        name: name of the rpc, as in the contract (`AddTicket`).
        python_name: name of the method in Python (`add_ticket`).
        mode: how it runs.
        request: class of the request in the chosen flavour.
        response: class of the response in the chosen flavour.
        key_field: Python name of the request's key field; None for plain services.
        idempotency_field: Python name of the request's idempotency key field, if any.
        errors: the exceptions generated from the handler's `errors`.
        no_side_effects: the contract says `idempotency_level = NO_SIDE_EFFECTS`: calling it twice does no harm.
    """

    service: str
    name: str
    python_name: str
    mode: HandlerMode
    request: type[Req]
    response: type[Res]
    key_field: str | None = None
    idempotency_field: str | None = None
    errors: tuple[type[TypedError[Any]], ...] = ()
    no_side_effects: bool = False

    def key_of(self, request: Req) -> str | None:
        """The key in canonical form (UTF-8 text or decimal), None for plain services.

        Raises:
            TerminalError: INVALID_ARGUMENT, the request has no key.
        """
        if self.key_field is None:
            return None
        value = getattr(request, self.key_field)
        if not value and (
            value == "" or not codec.has(request, self.key_field)
        ):  # 0 may be given where it has presence
            message = f"a call of {self.service}/{self.name} needs a key: set {self.key_field} of the request"
            raise TerminalError(message, code=StatusCode.INVALID_ARGUMENT)
        return str(value)


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """One service.

    Args:
        name: full name, as in the contract.
        kind: what kind of service it is.
        handlers: its rpcs, in the order of the contract.
        key_type: `str` or `int` for objects and workflows, None for plain services.
        file_set: gives a serialized google.protobuf.FileDescriptorSet with everything the service needs.
    """

    name: str
    kind: ServiceKind
    handlers: tuple[HandlerDescriptor[Any, Any], ...]
    key_type: type[str] | type[int] | None
    file_set: Callable[[], bytes]

    def handler(self, name: str) -> HandlerDescriptor[Any, Any] | None:
        """The handler of this name in the contract, if there is one."""
        return next((one for one in self.handlers if one.name == name), None)
