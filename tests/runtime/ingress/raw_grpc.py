"""A gRPC client that knows no message, and the server it calls."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from restate_runtime.ingress.grpc import GrpcIngress
from restate_runtime.ingress.waiting import Waiting


@dataclass
class Reply:
    """What a caller saw."""

    payload: bytes | None
    code: grpc.StatusCode
    message: str
    initial: dict[str, str] = field(default_factory=dict)
    trailing: dict[str, Any] = field(default_factory=dict)

    def details(self) -> Status:
        return Status.FromString(self.trailing["grpc-status-details-bin"])


class Client:
    """A gRPC client that knows no message."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def start(self, path: str, payload: bytes = b"", timeout: float | None = 20, **metadata: str) -> Any:
        pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        method: Any = self.channel.unary_unary(path)
        return method(payload, timeout=timeout, metadata=pairs)

    async def call(self, path: str, payload: bytes = b"", **metadata: Any) -> Reply:
        call = self.start(path, payload, **metadata)
        data: bytes | None = None
        with contextlib.suppress(grpc.aio.AioRpcError):
            data = await call
        initial = {name: str(value) for name, value in (await call.initial_metadata()) or ()}
        trailing = dict((await call.trailing_metadata()) or ())
        return Reply(data, await call.code(), await call.details(), initial, trailing)


@dataclass
class Server:
    ingress: GrpcIngress
    waiting: Waiting
    port: int
