"""Sockets that listen: bound by us, so that a taken port is a clear error and port 0 becomes a real one."""

from __future__ import annotations

import errno
import socket

from .errors import ListenError, PortInUse


def address_text(host: str, port: int) -> str:
    """host:port, with brackets where the host is an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(what: str, host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet.

    Args:
        what: which server it is for, for the error.
        host: name or address of an interface.
        port: 0: any free port.

    Raises:
        PortInUse: another program listens there.
        ListenError: the host is unknown or the port is not allowed.
    """
    address = address_text(host, port)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(what, address, f"{error.strerror or error}. Give the address of an interface") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(0)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(what, address) from None
        raise ListenError(what, address, f"{error.strerror or error}. Choose another address or port") from None
    return sock


def check_free(what: str, host: str, port: int) -> None:
    """Raises what `bind` raises; for servers that bind by themselves."""
    bind(what, host, port).close()
