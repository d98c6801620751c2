"""Names and forms that gRPC and the ingress have for what a caller says: addresses, headers, durations. No I/O.

Both connections build what they send with these functions, so that they cannot differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from protobuf import Oneof
from restate_protocol import codec

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

DEFAULT_PORT = 8080

IDEMPOTENCY_KEY = "idempotency-key"
SEND = "restate-send"
DELAY = "restate-delay"
INVOCATION_ID = "restate-invocation-id"
STATUS = "restate-status"
ERROR_SOURCE = "restate-error-source"
STATUS_DETAILS = "grpc-status-details-bin"

_OWN_PREFIXES = ("restate-", "grpc-", ":")
_OWN_SIGNALS = "restate."


def target_of(address: str) -> str:
    """The gRPC target of an address.

    Raises:
        ValueError: the address is a URL.
    """
    if address.startswith(("http://", "https://")):
        bare = address.partition("//")[2].rstrip("/")
        raise ValueError(f"the address {address!r} has a scheme: write {bare!r}, and tls=Tls() for TLS")
    if not address:
        raise ValueError("the address is empty: write host:port, for example localhost:8080")
    return address if ":" in address else f"{address}:{DEFAULT_PORT}"


def headers_metadata(headers: Mapping[str, str | bytes]) -> Metadata:
    """A caller's headers as metadata.

    Raises:
        ValueError: a header that only the client itself may send, or one that gRPC cannot carry.
    """
    return tuple((_header_name(name, value), value) for name, value in headers.items())


def _header_name(name: str, value: str | bytes) -> str:
    lowered = name.lower()
    if lowered == IDEMPOTENCY_KEY:
        raise ValueError("give the idempotency key as the argument idempotency_key=, not as a header")
    if lowered.startswith(_OWN_PREFIXES):
        raise ValueError(f"the header {name!r} belongs to the protocol: leave it out")
    if isinstance(value, bytes) != lowered.endswith("-bin"):
        raise ValueError(f"the header {name!r}: bytes values, and no others, have names that end in -bin")
    return lowered


# Never for callees: they stay with the stream, where a proxy looks for them.
_SECRETS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def for_callees(metadata: Metadata) -> Metadata:
    """Of a connection's headers, those that go with each request on a session. The runtime gives them to callees."""
    return tuple((name, value) for name, value in metadata if name not in _SECRETS)


def checked_idempotency_key(key: str) -> str:
    """A key that gRPC can carry: printable ASCII. Anything else would fail far from the caller's line.

    Raises:
        ValueError: it is empty or has other characters.
    """
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(f"an idempotency key has one or more printable ASCII characters, not {key!r}")
    return key


def checked_signal_name(name: str) -> str:
    """A name that a signal may have.

    Raises:
        ValueError: it is empty or the runtime's own.
    """
    if not name or name.startswith(_OWN_SIGNALS):
        raise ValueError(f"a signal has a name that does not begin with {_OWN_SIGNALS!r}, not {name!r}")
    return name


def millis_of(delay: timedelta) -> int:
    """Whole milliseconds, rounded up: never too early."""
    return -(-delay // timedelta(milliseconds=1))


def duration_text(delay: timedelta) -> str:
    """`10s`, or `1500ms` where it is not whole seconds."""
    millis = millis_of(delay)
    return f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"


def seconds(timeout: timedelta | None) -> float | None:
    """A timeout in seconds; `timedelta.max` is infinite.

    Raises:
        ValueError: it is negative.
    """
    if timeout is None:
        return None
    if timeout == timedelta.max:
        return math.inf
    if timeout < timedelta():
        raise ValueError(f"a timeout cannot be negative: {timeout.total_seconds():g} s")
    return timeout.total_seconds()


def given_value(value: object) -> Oneof[Any, Any]:
    """What is given to an awakeable or as a signal: messages and bytes as they are, anything else as JSON.

    Raises:
        TypeError: the value is no message, no bytes, and not JSON.
    """
    if isinstance(value, bytes):
        return Oneof("payload", value)
    if codec.is_message(type(value)):
        return Oneof("payload", codec.encode(value))
    return Oneof("json", json.dumps(value))


def metadata_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Metadata as pairs, whatever container gRPC has for it."""
    return tuple((name, value) for name, value in metadata or ())


def text_in(metadata: Metadata, name: str) -> str | None:
    """The text under this name, if there is one."""
    return next((value for key, value in metadata if key == name and isinstance(value, str)), None)
