"""How to reach a runtime: TLS and the options of gRPC channels. No connections here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # The runtime has one documented limit for payloads; a second one here would only say it less clearly.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A runtime that was started again answers at once: no back-off shared with older connections, and a short one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
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

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel."""
        import grpc

        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)


def channel_options(tls: Tls | None) -> list[tuple[str, str | int]]:
    """The options of a channel, in gRPC's form."""
    options = list(_OPTIONS)
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
