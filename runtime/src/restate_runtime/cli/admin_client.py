"""A blocking client of the admin API for the command line.

Everything goes over the admin gRPC port; errors become CliError with a hint for people and an exit code for scripts.
"""

from __future__ import annotations

import http.client
from types import TracebackType
from typing import Any, TypeVar

import grpc
from protobuf import Message
from restate_protocol.errors import RestateError

Res = TypeVar("Res", bound=Message[Any])

REFUSED = 1
USAGE = 2
UNREACHABLE = 3

#: How long one call may take. Registration dials an endpoint and batches change thousands of invocations: the slowest.
TIMEOUT_S = 60.0
#: How long to wait for a port to say whether it speaks HTTP, after it did not speak gRPC.
PROBE_S = 2.0

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
_SOURCE = "restate-error-source"
_WHICH = (
    "Give the admin gRPC port (9070 unless set otherwise): --admin host:port (RESTATE_ADMIN). "
    "A runtime prints it at its start, as admin_grpc."
)
_HINTS = {
    grpc.StatusCode.UNIMPLEMENTED: "Is this the admin gRPC port (default 9070), and of a runtime of this version?",
    grpc.StatusCode.DEADLINE_EXCEEDED: "The runtime may be busy; try again.",
}


class CliError(RestateError):
    """What goes to stderr, and the exit code."""

    def __init__(self, message: str, hint: str = "", exit_code: int = REFUSED) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


class AdminClient:
    """One connection to a runtime's admin port.

    Args:
        address: host:port.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, method: str, request: Message[Any], response: type[Res]) -> Res:
        """Calls a method of restate.admin.v1.Admin.

        Raises:
            CliError: it was refused, or nobody answers.
        """
        stub: Any = self._channel.unary_unary(f"/restate.admin.v1.Admin/{method}")
        try:
            return response.from_binary(stub(request.to_binary(), timeout=TIMEOUT_S))
        except grpc.RpcError as error:
            raise self._explain(error) from None

    def _explain(self, error: Any) -> CliError:
        code: grpc.StatusCode = error.code()
        source = next((value for name, value in error.trailing_metadata() or () if name == _SOURCE), "")
        if code is grpc.StatusCode.UNIMPLEMENTED and source == "ingress":
            return CliError(f"{self.address} is the gRPC ingress of a runtime, not its admin port", _WHICH, UNREACHABLE)
        if code is grpc.StatusCode.UNAVAILABLE and not source:
            return self._nobody()
        return CliError(f"{code.name}: {error.details()}", "" if source else _HINTS.get(code, ""))

    def _nobody(self) -> CliError:
        if _speaks_http(self.address):
            return CliError(f"{self.address} speaks HTTP; it is no admin gRPC port", _WHICH, UNREACHABLE)
        return CliError(
            f"no runtime answers at {self.address}",
            "Start one with: restate-runtime start. Or say where it is: --admin host:port (RESTATE_ADMIN).",
            UNREACHABLE,
        )


def _speaks_http(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=PROBE_S)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return True
