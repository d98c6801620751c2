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
    problems: list[str] = []
    for service in new.services.values():
        old = registry.service(service.name)
        if old is not None:
            problems += breaks(old, service)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise DeploymentError(f"the deployment would break what is there; force takes it all the same:\n{lines}")
