"""grpc.health.v1: the runtime as "" and every service by its name, following registrations."""

from __future__ import annotations

import asyncio

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from .admission import Routes

SERVICE = "grpc.health.v1.Health"


class Health:
    """Keeps the library's servicer in step with the routes.

    Args:
        routes: whose services are SERVING.
    """

    def __init__(self, routes: Routes) -> None:
        self.servicer = aio.HealthServicer()
        self._routes = routes
        self._shown: set[str] = set()
        self._changed = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        routes.on_change(self._changed.set)

    async def start(self) -> None:
        """Shows what is registered now, and follows from here."""
        await self._show()
        self._follower = asyncio.create_task(self._follow(), name="ingress health")

    async def drain(self) -> None:
        """Everything is NOT_SERVING from now on."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])
        await self.servicer.enter_graceful_shutdown()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._show()

    async def _show(self) -> None:
        now = set(self._routes.services())
        for name in now - self._shown:
            await self.servicer.set(name, HealthCheckResponse.SERVING)
        for name in self._shown - now:
            await self.servicer.set(name, HealthCheckResponse.NOT_SERVING)
        self._shown = now
