"""What a contract says, after reading: frozen values, defaults filled in, nothing of descriptors left.

Invariant: whoever holds a Contract holds a correct one. Every rule was checked by `read`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from restate_protocol.services import HandlerMode, ServiceKind


class OnMaxAttempts(enum.Enum):
    """What happens to an invocation when its attempts are used up."""

    PAUSE = "pause"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is tried again.

    Args:
        initial_ms: milliseconds before the second attempt.
        factor: by how much the wait grows with each attempt.
        max_ms: the longest wait, in milliseconds.
        max_attempts: counts the first attempt, so 1 means no retry.
        on_max_attempts: what happens then.
    """

    initial_ms: int = 500
    factor: float = 2.0
    max_ms: int = 60_000
    max_attempts: int = 70
    on_max_attempts: OnMaxAttempts = OnMaxAttempts.PAUSE


@dataclass(frozen=True, slots=True)
class KeyField:
    """The request field that carries the key of an object or a workflow.

    Args:
        name: name in the contract.
        number: field number.
        type: `str`, or `int` for any integer type.
        optional: declared `optional`, so that an absent integer differs from 0.
    """

    name: str
    number: int
    type: type[str] | type[int]
    optional: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a state or promises message: one entry of the key/value store, or one promise.

    Args:
        name: name in the contract.
        number: field number, under which it is stored.
        type: as written in a .proto: `int64`, `repeated string`, `map<string, shop.v1.Item>`, `shop.v1.Item`.
        default: an absent entry reads as the type's default; False: it reads as None.
    """

    name: str
    number: int
    type: str
    default: bool


@dataclass(frozen=True, slots=True)
class Handler:
    """One rpc. Durations are milliseconds.

    Args:
        name: name in the contract.
        mode: how it runs beside others of its key.
        private: other handlers may call it, the ingress may not.
        request: full name of the request message.
        response: full name of the response message.
        key: where the key is; None for plain services.
        idempotency: name of the request field that dedupes the call, if any.
        errors: full names of the messages a caller may get as a typed error.
        retry: how failed attempts are retried.
        inactivity_ms: how long an attempt may wait without progress before it is suspended.
        abort_ms: how long after that an attempt that does not suspend is ended.
        journal_retention_ms: how long the journal is kept after completion.
        idempotency_retention_ms: how long the result is kept for an idempotency key.
        workflow_retention_ms: run handlers: how long result, state and promises are kept after completion.
        execution_timeout_ms: the longest from acceptance to completion; None for no limit.
        lazy_state: state entries are read on demand and not sent with the invocation.
        no_side_effects: `idempotency_level = NO_SIDE_EFFECTS`: callers may call it twice.
    """

    name: str
    mode: HandlerMode
    private: bool
    request: str
    response: str
    key: KeyField | None
    idempotency: str | None
    errors: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    inactivity_ms: int = 60_000
    abort_ms: int = 600_000
    journal_retention_ms: int = 86_400_000
    idempotency_retention_ms: int = 86_400_000
    workflow_retention_ms: int = 86_400_000
    execution_timeout_ms: int | None = None
    lazy_state: bool = False
    no_side_effects: bool = False


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a handler has where neither it nor its service says something. Durations are milliseconds; see Handler."""

    retry: RetryPolicy = RetryPolicy()
    inactivity_ms: int = 60_000
    abort_ms: int = 600_000
    journal_retention_ms: int = 86_400_000
    idempotency_retention_ms: int = 86_400_000
    workflow_retention_ms: int = 86_400_000
    lazy_state: bool = False


#: Those of the contract. A runtime may be started with others.
DEFAULTS = Defaults()


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    Args:
        name: full name in the contract.
        kind: what kind of durable service it is.
        file: name of the .proto file that defines it.
        handlers: its rpcs, in the order of the contract.
        key_type: `str` or `int`, the same for all handlers; None for plain services.
        state: full name of the state message, if any.
        promises: full name of the promises message, if any.
        state_fields: the fields of the state message, in the order of the contract.
        promise_fields: the fields of the promises message, in the order of the contract.
    """

    name: str
    kind: ServiceKind
    file: str
    handlers: tuple[Handler, ...]
    key_type: type[str] | type[int] | None = None
    state: str | None = None
    promises: str | None = None
    state_fields: tuple[Field, ...] = ()
    promise_fields: tuple[Field, ...] = ()

    def handler(self, name: str) -> Handler | None:
        """The handler of this name in the contract, if there is one."""
        return next((one for one in self.handlers if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Contract:
    """All services that were asked for."""

    services: tuple[Service, ...]

    def service(self, name: str) -> Service | None:
        """The service of this full name, if there is one."""
        return next((one for one in self.services if one.name == name), None)
