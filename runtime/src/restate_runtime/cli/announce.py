"""The line that tells people and programs that a runtime is ready, and where it listens."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restate_runtime.server import Ports


def announce(host: str, ports: Ports) -> None:
    """Prints `ready` and each port as name=host:port, real ports where 0 was asked for."""
    print("ready " + " ".join(f"{name}={address}" for name, address in addresses(host, ports).items()), flush=True)


def addresses(host: str, ports: Ports) -> dict[str, str]:
    """host:port of everything that listens, by the name of the port."""
    shown = f"[{host}]" if ":" in host else host
    return {one.name: f"{shown}:{getattr(ports, one.name)}" for one in fields(ports)}
