"""Takes sessions that endpoints dial: restate.protocol.v1.Runtime/Session, on the admin port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from .errors import DeploymentError
from .manager import Deployments

METHOD = "/restate.protocol.v1.Runtime/Session"


class SessionAcceptor(grpc.GenericRpcHandler):
    """A gRPC handler for the one method, on raw bytes."""

    def __init__(self, deployments: Deployments) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._session)
        self._deployments = deployments

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._handler if handler_call_details.method == METHOD else None

    async def _session(self, requests: AsyncIterator[bytes], context: Any) -> None:
        try:
            await self._deployments.dialled_in(context.write, requests)
        except DeploymentError as error:
            await context.abort(getattr(grpc.StatusCode, error.code.name), str(error))
