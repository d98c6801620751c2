"""gRPC settings of sessions, the same on both ways of connecting."""

from __future__ import annotations

from typing import Any

ENDPOINT_SERVICE = "restate.protocol.v1.Endpoint"
RUNTIME_SESSION = "/restate.protocol.v1.Runtime/Session"

#: The longest gRPC message, in bytes: well above the longest value, because a value travels inside a batch. 64 MiB.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.max_pings_without_data", 0),
]

#: Two endpoints on one port would silently share the runtime's connections.
SERVER_OPTIONS: list[tuple[str, Any]] = [
    *CHANNEL_OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]
