"""What can go wrong with deployments.

TerminalError
└── DeploymentError         a registration or a session cannot be; `code` is the gRPC status for it
"""

from __future__ import annotations

from restate_protocol.errors import TerminalError
from restate_protocol.status import StatusCode


class DeploymentError(TerminalError):
    """An endpoint cannot be registered or talked to. The message says why and what to do."""

    def __init__(self, message: str, code: StatusCode = StatusCode.FAILED_PRECONDITION) -> None:
        super().__init__(message, code=code)

    def __str__(self) -> str:
        return self.message
