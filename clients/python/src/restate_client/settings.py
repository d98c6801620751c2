"""What a connection is told when it is made: address, TLS, headers, waits, limits. No connections here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from restate_protocol.status import StatusCode

from . import wire
from .channels import Keepalive, Tls
from .errors import MessageTooLong
from .outgoing import Outgoing
from .retry import RetryPolicy

DEFAULT_RETRY = RetryPolicy()
DEFAULT_KEEPALIVE = Keepalive()

#: The longest request, in bytes. It is the default of the runtime's own limit.
MAX_REQUEST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What both kinds of connection have in common.

    Args:
        target: where the runtime is, as gRPC has it.
        tls: TLS options; None for plain text.
        metadata: goes with every call.
        retry: how calls are tried again; None: they are not.
        timeout_s: how long each call waits that says nothing else, in seconds; None for ever.
        keepalive: pings while calls wait; None for none.
        max_request_bytes: the longest request.
    """

    target: str
    tls: Tls | None = None
    metadata: wire.Metadata = ()
    retry: RetryPolicy | None = DEFAULT_RETRY
    timeout_s: float | None = None
    keepalive: Keepalive | None = DEFAULT_KEEPALIVE
    max_request_bytes: int = MAX_REQUEST_BYTES

    def wait_s(self, outgoing: Outgoing) -> float | None:
        """How long a call waits, in seconds; None for ever.

        Raises:
            MessageTooLong: its request is longer than the limit.
        """
        if len(outgoing.data) > self.max_request_bytes:
            raise too_long(outgoing, self.max_request_bytes)
        timeout_s = self.timeout_s if outgoing.timeout_s is None else outgoing.timeout_s
        return None if timeout_s == math.inf else timeout_s


def too_long(outgoing: Outgoing, limit: int) -> MessageTooLong:
    """What a request over the connection's limit raises."""
    return MessageTooLong(
        f"the request of {outgoing.method} has {len(outgoing.data)} bytes, the connection's limit is {limit}: send"
        " less, or raise max_request_bytes of connect() and the runtime's setting max_message_bytes",
        code=StatusCode.RESOURCE_EXHAUSTED,
    )


def settings_of(
    address: str,
    tls: Tls | None,
    headers: Mapping[str, str | bytes] | None,
    retry: RetryPolicy | None,
    timeout: timedelta | None,
    keepalive: Keepalive | None,
    max_request_bytes: int,
) -> Settings:
    """The settings that the arguments of `connect` mean.

    Raises:
        ValueError: one of them makes no sense.
    """
    if max_request_bytes < 1:
        raise ValueError(f"max_request_bytes is at least 1, not {max_request_bytes}")
    metadata = wire.headers_metadata(headers or {})
    return Settings(wire.target_of(address), tls, metadata, retry, wire.seconds(timeout), keepalive, max_request_bytes)
