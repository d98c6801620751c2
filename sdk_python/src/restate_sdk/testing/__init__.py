"""Testing handlers without a runtime: replay a recorded journal against today's code."""

from __future__ import annotations

from .replay import Ending, Replayed, replay

__all__ = ["Ending", "Replayed", "replay"]
