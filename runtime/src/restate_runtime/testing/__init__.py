"""The real runtime in the test process, for tests of handlers: `async with environment(Endpoint(...)) as env:`.

Not for production: it listens on nothing but what is asked for, its clock is set by the test, and it can be killed.
Needs the SDK (`restate-grpc-sdk`), which a test of handlers has anyway.
"""

from __future__ import annotations

from .clock import VirtualClock
from .environment import Environment, environment
from .overrides import Overrides
from .verbs import Verbs

__all__ = ["Environment", "Overrides", "Verbs", "VirtualClock", "environment"]
