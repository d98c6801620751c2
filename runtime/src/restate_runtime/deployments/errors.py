"""What can go wrong with deployments.

DeploymentError             a registration or a session cannot be; `code` is the gRPC status for it
"""

from __future__ import annotations

from restate_protocol.errors import RestateError
from restate_protocol.status import StatusCode


class DeploymentError(RestateError):
    """An endpoint cannot be registered or talked to. The message says why and what to do."""

    def __init__(self, message: str, code: StatusCode = StatusCode.FAILED_PRECONDITION) -> None:
        super().__init__(message)
        self.code = code
