"""grpc.health.v1: the runtime as "" and every service by its name, following registrations."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from .admission import Routes
from .errors import INGRESS, SOURCE

SERVICE = "grpc.health.v1.Health"


class Servicer(aio.HealthServicer):
    """The library's, with what it leaves out: List, and an error that says what is unknown."""

    def __init__(self) -> None:
        super().__init__()
        self._statuses: dict[str, Any] = {"": HealthCheckResponse.SERVING}

    async def set(self, service: str, status: Any) -> None:
        """Sets the status of a service."""
        self._statuses[service] = status
        await super().set(service, status)

    async def enter_graceful_shutdown(self) -> None:
        """Sets everything to NOT_SERVING, for good."""
        self._statuses = dict.fromkeys(self._statuses, HealthCheckResponse.NOT_SERVING)
        await super().enter_graceful_shutdown()

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802 (its name)
        """The status of the runtime or of a service."""
        status = self._statuses.get(request.service)
        if status is None:
            message = f"no deployment serves {request.service}"
            await context.abort(grpc.StatusCode.NOT_FOUND, message, ((SOURCE, INGRESS),))
        return HealthCheckResponse(status=status)

    async def List(self, request: Any, context: Any) -> Any:  # noqa: N802 (its name)
        """The status of the runtime and of every service."""
        found = {name: HealthCheckResponse(status=status) for name, status in self._statuses.items()}
        return pb.HealthListResponse(statuses=found)  # type: ignore[attr-defined]  # younger than its type stubs


class _Handlers:
    """Takes the place of a server where the library registers its handlers, and keeps the one that serves by path.

    A registered method is asked for by itself each time the server takes a call, whatever method that is of: three of
    them cost every call more than they would ever save.
    """

    def __init__(self) -> None:
        self.handlers: tuple[Any, ...] = ()

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        """Those that look at the path."""
        self.handlers = handlers

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """The same again, to be registered."""


class Health:
    """Keeps the library's servicer in step with the routes.

    Args:
        routes: whose services are SERVING.
    """

    def __init__(self, routes: Routes) -> None:
        self.servicer = Servicer()
        self._routes = routes
        self._shown: set[str] = set()
        self._changed = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        routes.on_change(self._changed.set)

    def handlers(self) -> tuple[Any, ...]:
        """What serves the paths of the service."""
        anything: Any = _Handlers()
        add_HealthServicer_to_server(self.servicer, anything)
        found: tuple[Any, ...] = anything.handlers
        return found

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
