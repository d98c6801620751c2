"""What is put in place of the real thing for a run, besides the loop: ids from the seed, silence, and a cache."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import structlog
from restate_runtime.core.records import Deployment
from restate_runtime.deployments import manager, registry
from restate_runtime.engine import loop as engine_loop


@contextmanager
def patched(chance: random.Random) -> Iterator[None]:
    """Ids come from the seed, and a contract is read once for all runs."""
    with (
        mock.patch.object(engine_loop, "os", SimpleNamespace(urandom=chance.randbytes)),
        mock.patch.object(registry, "read_deployment", _read_once),
    ):
        yield


_read_deployment = registry.read_deployment
_loaded: dict[tuple[Any, ...], registry.Loaded] = {}


def _read_once(deployment: Deployment, *what: Any) -> registry.Loaded:
    """What it serves is read once; it itself is another one in each run."""
    known = _loaded.get(what)
    if known is None:
        known = _loaded[what] = _read_deployment(deployment, *what)
    return replace(known, deployment=deployment)


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
