"""How to reach a runtime: TLS, keepalive and the options of gRPC channels; where a channel may be used.

No connections here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from .errors import ConnectionMisused

if TYPE_CHECKING:
    import grpc

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # Requests are checked before they are sent, with a clearer error; responses are limited by the runtime.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A runtime that was started again answers at once: no back-off shared with older connections, and a short one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS towards the runtime.

    Args:
        root_certificates: PEM of the authorities to trust. Default: those of gRPC.
        private_key: PEM of the client's key, for mutual TLS.
        certificate_chain: PEM of the client's certificates, for mutual TLS.
        server_name: name in the runtime's certificate where it differs from the address.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("mutual TLS takes both private_key and certificate_chain")

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel."""
        import grpc

        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """HTTP/2 pings, which find a connection that broke without a word and keep one open through proxies.

    Pings go out only while calls wait. The runtime ends connections that ping more often than its setting
    grpc_min_ping_interval_ms allows; other gRPC servers, such as proxies, may allow no more than one in five minutes.

    Args:
        interval: time without a word from the runtime before a ping. Default 1 min.
        timeout: how long to wait for the answer to a ping before the connection counts as lost. Default 20 s.

    Raises:
        ValueError: one of them is below a millisecond.
    """

    interval: timedelta = timedelta(minutes=1)
    timeout: timedelta = timedelta(seconds=20)

    def __post_init__(self) -> None:
        if min(self.interval, self.timeout) < timedelta(milliseconds=1):
            raise ValueError("the interval and the timeout of a Keepalive are at least a millisecond")


def channel_options(tls: Tls | None, keepalive: Keepalive | None) -> list[tuple[str, str | int]]:
    """The options of a channel, in gRPC's form."""
    options = list(_OPTIONS)
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    if keepalive is not None:
        options.append(("grpc.keepalive_time_ms", keepalive.interval // timedelta(milliseconds=1)))
        options.append(("grpc.keepalive_timeout_ms", keepalive.timeout // timedelta(milliseconds=1)))
    return options


class Home:
    """The process in which a channel was opened. gRPC does not survive a fork.

    Args:
        target: where the channel leads, for the message.
    """

    __slots__ = ("_process", "_target")

    def __init__(self, target: str) -> None:
        self._process = os.getpid()
        self._target = target

    @property
    def here(self) -> bool:
        """Whether this is that process."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Lets nobody else use the channel.

        Raises:
            ConnectionMisused: this is another process.
        """
        if os.getpid() != self._process:
            raise ConnectionMisused(
                f"the connection to {self._target} was opened in process {self._process} and is used in process"
                f" {os.getpid()}, which was forked from it: gRPC does not survive that. Connect after the fork, for"
                " example in gunicorn's post_fork, or make the first call there"
            )
