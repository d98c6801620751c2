"""Whether one contract of a service may take over from another, and moving an invocation to a deployment.

Checked: the kind stays, the type of the key stays, a state or promise field keeps its type under its number. Anything
else may change.
"""

from __future__ import annotations

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.contract.model import Field, Service
from restate_protocol.status import StatusCode

from .records import Invocation
from .target import LATEST, Target
from .turn import Turn
from .world import Hot


def breaks(old: Service, new: Service) -> list[str]:
    """What state, promises and keys written under the old contract would suffer; empty where all is well."""
    if old.kind is not new.kind:
        return [f"{new.name}: was a {old.kind.value}, is a {new.kind.value}"]
    problems = []
    if old.key_type is not new.key_type:
        problems.append(f"{new.name}: keys were {_name(old.key_type)}, are {_name(new.key_type)}")
    problems += _fields(new.name, "state", old.state_fields, new.state_fields)
    problems += _fields(new.name, "promise", old.promise_fields, new.promise_fields)
    return problems


def _fields(service: str, what: str, old: tuple[Field, ...], new: tuple[Field, ...]) -> list[str]:
    now = {field.number: field for field in new}
    return [
        f"{service}: {what} field {field.number} was {field.type} {field.name}, "
        f"is {now[field.number].type} {now[field.number].name}"
        for field in old
        if field.number in now and now[field.number].type != field.type
    ]


def _name(key_type: type | None) -> str:
    return "absent" if key_type is None else key_type.__name__


def move(turn: Turn, hot: Hot, deployment_id: str) -> j.Failure | None:
    """The invocation goes on with another deployment; the failure says why it cannot.

    Args:
        deployment_id: an id, or `latest` for the newest that serves the handler.
    """
    target = choose(turn, hot.record, deployment_id)
    if isinstance(target, j.Failure):
        return target
    if hot.target is not None and hot.target.contract is not None and target.contract is not None:
        problems = breaks(hot.target.contract, target.contract)
        if problems:
            lines = "\n".join(f"  {problem}" for problem in problems)
            name = ids.invocation_id_text(hot.record.id)
            message = f"{name} cannot go on with {target.deployment_id}, which would break what is there:\n{lines}"
            return j.Failure(StatusCode.FAILED_PRECONDITION, message)
    hot.target = target
    hot.record.deployment_id = target.deployment_id
    return None


def choose(turn: Turn, record: Invocation, deployment_id: str) -> Target | j.Failure:
    """The handler of an invocation as a deployment serves it; the failure says why it does not."""
    target = turn.resolve(record.service, record.handler, None if deployment_id == LATEST else deployment_id)
    method = f"{record.service}/{record.handler}"
    if target is None:
        message = f"no deployment serves {method}: register one"
        if deployment_id != LATEST:
            message = f"deployment {deployment_id} is unknown, or it does not serve {method}: choose one that does"
        return j.Failure(StatusCode.FAILED_PRECONDITION, message)
    if target.mode is not record.mode:
        message = f"{method} is {target.mode.value} in {target.deployment_id}, and was {record.mode.value}"
        return j.Failure(StatusCode.FAILED_PRECONDITION, message)
    return target
