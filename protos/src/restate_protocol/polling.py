"""How gRPC's core waits for sockets in our processes.

Its event engine hands every read and write through threads of its own; its pollers do it on the thread that waits
anyway. With Python on top that is several thread switches less for each message. `make bench` shows the difference
(with GRPC_EXPERIMENTS set to anything, this choice is not made). The choice is the process's, so only programs make
it, never a library on import.
"""

from __future__ import annotations

from collections.abc import MutableMapping

VARIABLE = "GRPC_EXPERIMENTS"
POLLERS = "-event_engine_client,-event_engine_listener"


def prefer_pollers(environ: MutableMapping[str, str]) -> None:
    """Chooses the pollers unless the environment says something.

    gRPC looks when it is imported: after that this changes nothing. So nothing may import `grpc` before a program
    calls this.
    """
    environ.setdefault(VARIABLE, POLLERS)
