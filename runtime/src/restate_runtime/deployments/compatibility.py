"""Whether a new deployment would break what is there.

Checked against the newest deployment of each of its services: the kind stays, the type of the key stays, a state
or promise field keeps its type under its number. Anything else may change. `force` skips this.
"""

from __future__ import annotations

from restate_protocol.contract.model import Field, Service

from .errors import DeploymentError
from .registry import Loaded, Registry


def check(registry: Registry, new: Loaded) -> None:
    """Refuses a deployment that breaks state, promises or keys.

    Raises:
        DeploymentError: FAILED_PRECONDITION, with every break.
    """
    problems: list[str] = []
    for service in new.services.values():
        old = registry.service(service.name)
        if old is not None:
            problems += _breaks(old, service)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise DeploymentError(f"the deployment would break what is there; force takes it all the same:\n{lines}")


def _breaks(old: Service, new: Service) -> list[str]:
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
