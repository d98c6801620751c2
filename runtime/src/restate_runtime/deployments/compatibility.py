"""Whether a new deployment would break what is there.

Checked against the newest deployment of each of its services; `core.replacement` says what. `force` skips this.
"""

from __future__ import annotations

from ..core.replacement import breaks
from .errors import DeploymentError
from .registry import Loaded, Registry


def check(registry: Registry, new: Loaded) -> None:
    """Refuses a deployment that breaks state, promises or keys.

    Raises:
        DeploymentError: FAILED_PRECONDITION, with every break.
    """
    lines = problems(registry, new)
    if lines:
        raise DeploymentError(f"the deployment would break what is there; force takes it all the same:\n{lines}")


def problems(registry: Registry, new: Loaded) -> str:
    """Every break on a line of its own; empty where there is none."""
    found: list[str] = []
    for service in new.services.values():
        old = registry.service(service.name)
        if old is not None:
            found += breaks(old, service)
    return "\n".join(f"  {problem}" for problem in found)
