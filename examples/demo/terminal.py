"""What the demo says: plain lines that read well without colour."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def say(text: str) -> None:
    """One step of the story."""
    print(f"\n{text}", flush=True)


def show_command(where: str, command: Sequence[str]) -> None:
    """A command as one would type it, after the name of the folder it runs in."""
    print(f"  {where}$ {shlex.join(command)}", flush=True)


def show(text: str) -> None:
    """What a command printed, or what the demo found."""
    for line in text.splitlines():
        print(f"    {line}", flush=True)
