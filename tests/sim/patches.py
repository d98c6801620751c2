"""What is put in place of the real thing for a run, besides the loop: ids from the seed, and silence."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import structlog
from restate_runtime.deployments import manager
from restate_runtime.engine import loop as engine_loop


@contextmanager
def patched(chance: random.Random) -> Iterator[None]:
    """Ids come from the seed."""
    with mock.patch.object(engine_loop, "os", SimpleNamespace(urandom=chance.randbytes)):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without the thousand warnings of sessions that end."""
    sdk = logging.getLogger("restate_sdk")
    sdk.disabled = True
    try:
        with mock.patch.object(manager, "_log", mock.Mock(spec=structlog.get_logger().bind())):
            yield
    finally:
        sdk.disabled = False
