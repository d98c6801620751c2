"""Which invocation a request of restate.ingress.v1.Ingress means: one with this id, or one that is found by its target.

Invariant: a target gives the id that a call of the same handler with the same keys has; nothing is looked up for it,
so it is the same after a restart and for ever.
"""

from __future__ import annotations

import re
from typing import Protocol

from restate_protocol import ids
from restate_protocol.contract.model import Service
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from ..deployments.schema import Violation
from .admission import Admission
from .errors import Refused
from .reasons import Reason

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)


class Aimed(Protocol):
    """A request about one invocation."""

    invocation_id: str
    target: pb.Target | None


def invocation_of(request: Aimed, admission: Admission) -> bytes:
    """The id of the invocation that a request is about.

    Raises:
        Refused: INVALID_ARGUMENT, with the path of the field; UNIMPLEMENTED, nobody serves the handler.
    """
    text, target = request.invocation_id, request.target
    if target is None:
        if not text:
            raise wrong("invocation_id", "give invocation_id or target; both are missing", Reason.BAD_ID)
        return parsed_id(text)
    if text:
        raise wrong("target", "give invocation_id or target, not both")
    return _id_of(target, admission)


def parsed_id(text: str) -> bytes:
    """The bytes of an inv_… id.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    try:
        return ids.parse_invocation_id(text)
    except IdError as error:
        raise wrong("invocation_id", str(error), Reason.BAD_ID) from None


def wrong(field: str, description: str, reason: Reason | None = None) -> Refused:
    """INVALID_ARGUMENT about one field."""
    violation = Violation(field, description)
    return Refused(StatusCode.INVALID_ARGUMENT, str(violation), (violation,), reason)


def _id_of(target: pb.Target, admission: Admission) -> bytes:
    for name, value in (("service", target.service), ("handler", target.handler)):
        if not value:
            raise wrong(f"target.{name}", "it is missing")
    # Private handlers too: their invocations can be found by their ids, so they can be found by their targets.
    route = admission.route(target.service, target.handler)
    name = f"{target.service}/{target.handler}"
    key = _key(target, route.service, name)
    if route.handler.mode is HandlerMode.RUN:
        if target.idempotency_key:
            raise wrong("target.idempotency_key", f"{name} runs once for each key, which finds it; leave this empty")
        return ids.workflow_invocation_id(target.service, target.key)
    if not target.idempotency_key:
        message = f"it is missing; without one an invocation of {name} can only be found by its invocation_id"
        raise wrong("target.idempotency_key", message)
    return ids.idempotent_invocation_id(target.service, target.handler, key, target.idempotency_key)


def _key(target: pb.Target, service: Service, name: str) -> str | None:
    if service.key_type is None:
        if target.key:
            raise wrong("target.key", f"{name} has no keys; leave it empty")
        return None
    if not target.key:
        raise wrong("target.key", f"it is missing; {name} has one", Reason.MISSING_KEY)
    if service.key_type is int and _INTEGER.fullmatch(target.key) is None:
        message = f"{target.key!r} is no integer in decimal digits without leading zeros, as keys of {name} are written"
        raise wrong("target.key", message)
    return target.key
