"""One life of a runtime in the test process, from start to stop or crash. The parts are those of the server.

Sessions are not its concern (`links`): they are dialled in. Nothing listens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..admin.service import Admin
from ..core.decision import Report
from ..core.records import Deployment
from ..deployments.dispatch import Dispatcher
from ..deployments.manager import Deployments
from ..deployments.registry import Loaded, Registry
from ..engine.loop import Engine
from ..ingress.admission import Admission, Limits
from ..ingress.waiting import Waiting
from ..store.base import Store
from .overrides import Overrides

#: The longest value, in bytes, as the server's setting `max_message_bytes` has it by default.
MAX_VALUE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a node runs with.

    Args:
        overrides: options of all handlers.
        timers_in_memory: how many of the next timers are held in memory.
        session_credits: the most attempts given to one session at once.
        delivery_timeout_s: an attempt that is not confirmed in that (real) time ends its session.
        limits: what the ingress takes.
    """

    overrides: Overrides = field(default_factory=Overrides)
    timers_in_memory: int = 10_000
    session_credits: int = 1_000
    delivery_timeout_s: float = 60.0
    limits: Limits = field(default_factory=lambda: Limits(MAX_VALUE_BYTES))


class _Registry(Registry):
    """Reads a contract once for all nodes of the process: that takes longer than most tests."""

    _read: ClassVar[dict[tuple[bytes, tuple[str, ...]], Loaded]] = {}

    def read(self, deployment: Deployment, descriptor_set: bytes) -> Loaded:
        what = (descriptor_set, deployment.services)
        known = self._read.get(what)
        if known is None:
            known = self._read[what] = super().read(deployment, descriptor_set)
        return replace(known, deployment=deployment)


class Node:
    """See the module.

    Args:
        store: where it finds and leaves its work.
        clock: milliseconds since the epoch.
        options: see there.
        report: hears of what operators want to know.
    """

    def __init__(
        self, store: Store, clock: Callable[[], int], options: NodeOptions, report: Callable[[Report], None]
    ) -> None:
        self.store = store
        self.registry = _Registry()
        self.dispatcher = Dispatcher(options.session_credits)
        resolve = options.overrides.resolving(self.registry.resolve)
        self.engine = Engine(store, self.dispatcher, resolve, clock, report, options.timers_in_memory)
        self.deployments = Deployments(
            store, self.registry, self.dispatcher, clock, options.limits.max_message_bytes, options.delivery_timeout_s
        )
        self.waiting = Waiting()
        self.admission = Admission(self.registry, options.limits)
        self.admin = Admin(store, self.engine, self.deployments, self.engine.live_status)

    async def start(self) -> None:
        """Opens the store and takes up its work.

        Raises:
            StoreError: the store cannot be used.
        """
        await self.store.open()
        await self.registry.load(self.store)
        await self.engine.start()
        self.deployments.start()

    async def stop(self) -> None:
        """Commits what is decided, and ends. Sessions that were dialled in are ended by who dialled."""
        await self.deployments.stop()
        await self.engine.stop()
        await self._close()

    async def crash(self) -> None:
        """Ends as `kill -9` does: what is not committed is gone."""
        await self.engine.abandon()
        await self.deployments.stop()
        await self._close()

    async def _close(self) -> None:
        if self.engine.failed.done() and not self.engine.failed.cancelled():
            self.engine.failed.exception()  # whoever asked has heard of it
        await self.store.close()
