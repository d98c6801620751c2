"""Puts the runtime together, starts it and stops it. Holds no rules.

Start: store, registry, engine, deployments, admin, ingress; so that nothing is accepted before it can be kept.
Stop: ingress, deployments, engine, admin, store; so that nothing is lost and callers hear what became of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from restate_protocol.contract.model import Defaults, OnMaxAttempts, RetryPolicy

from .admin.http import admin_app
from .admin.service import Admin
from .config import Settings
from .core.decision import Report
from .deployments.acceptor import SessionAcceptor
from .deployments.backlog import Window
from .deployments.bounds import Bounds
from .deployments.dialer import CHANNEL_OPTIONS
from .deployments.dispatch import Dispatcher
from .deployments.manager import Deployments
from .deployments.registry import Registry
from .engine.loop import Engine
from .engine.overload import LoadLimits
from .engine.sweeps import SweepTimes
from .ingress.admission import Admission, Limits
from .ingress.cors import CorsRules
from .ingress.grpc import GrpcIngress, Keepalive
from .ingress.http import HttpIngress
from .ingress.http_server import HttpServer
from .ingress.ports import address_text, check_free
from .ingress.session import SessionLimits
from .ingress.waiting import Waiting
from .store.base import Store
from .store.sqlite.store import SqliteStore
from .telemetry.metrics import Metrics
from .telemetry.traces import Traces

_log = structlog.get_logger("restate.server")


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that are listened on, real ones where 0 was asked for."""

    ingress_grpc: int
    ingress_http: int
    admin_grpc: int
    admin_http: int


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def handler_defaults(settings: Settings) -> Defaults:
    """Options of handlers where neither they nor their services say anything."""
    retry = RetryPolicy(
        settings.default_retry_initial_interval_ms,
        settings.default_retry_factor,
        settings.default_retry_max_interval_ms,
        settings.default_retry_max_attempts,
        OnMaxAttempts(settings.default_retry_on_max_attempts),
    )
    return Defaults(
        retry=retry,
        inactivity_ms=settings.default_inactivity_timeout_ms,
        abort_ms=settings.default_abort_timeout_ms,
        journal_retention_ms=settings.default_journal_retention_ms,
        idempotency_retention_ms=settings.default_idempotency_retention_ms,
        workflow_retention_ms=settings.default_workflow_retention_ms,
        lazy_state=settings.default_lazy_state == "on",
    )


def retention_bounds(settings: Settings) -> Bounds:
    """The longest retentions, whatever contracts and defaults say."""
    return Bounds(
        settings.max_journal_retention_ms, settings.max_idempotency_retention_ms, settings.max_workflow_retention_ms
    )


def load_limits(settings: Settings) -> LoadLimits:
    """How much work from outside is taken on."""
    return LoadLimits(settings.max_waiting_callers, settings.max_queued_invocations, settings.max_bytes_in_flight)


def keepalive(settings: Settings) -> Keepalive:
    """How connections of the gRPC ingress are kept."""
    return Keepalive(settings.grpc_keepalive_ms, settings.grpc_keepalive_timeout_ms, settings.grpc_min_ping_interval_ms)


def cors_rules(settings: Settings) -> CorsRules | None:
    """Which pages may call the HTTP ingress; None: those of no other origin."""
    if not settings.cors_allowed_origins:
        return None
    return CorsRules(
        settings.cors_allowed_origins,
        (*settings.cors_allowed_headers, *settings.journal_headers),
        settings.cors_max_age_ms // 1000,
        settings.cors_credentials == "on",
    )


class Server:
    """One runtime.

    Args:
        settings: see config.
        store: where journals live; by default SQLite at `settings.db`.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, settings: Settings, store: Store | None = None, clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        self.settings = settings
        self.store = store or SqliteStore(settings.db)
        self.registry = Registry(handler_defaults(settings), retention_bounds(settings))
        window = Window(settings.ready_in_memory, settings.ready_bytes_in_memory)
        self.dispatcher = Dispatcher(settings.session_credits, window)
        self.engine = Engine(
            self.store,
            self.dispatcher,
            self.registry.resolve,
            clock,
            self._report,
            settings.timers_in_memory,
            SweepTimes(settings.retention_sweep_ms / 1000, settings.abort_sweep_ms / 1000),
            load_limits(settings),
            settings.commit_gather_ms,
        )
        self.deployments = Deployments(
            self.store,
            self.registry,
            self.dispatcher,
            clock,
            settings.max_message_bytes,
            settings.delivery_timeout_ms / 1000,
        )
        self.traces = Traces(self.store, settings, clock)
        self._waiting = Waiting()
        limits = Limits(
            settings.max_message_bytes, settings.max_key_bytes, settings.journal_headers, settings.max_metadata_bytes
        )
        admission = Admission(self.registry, limits)
        session_limits = SessionLimits(settings.ingress_session_credits, settings.ingress_session_buffer_bytes)
        self._grpc = GrpcIngress(admission, self.engine, self._waiting, keepalive(settings), session_limits)
        self._http = HttpIngress(
            admission, self.engine, self._waiting, cors_rules(settings), settings.max_http_head_bytes
        )
        self._admin: grpc.aio.Server | None = None
        answers = {"grpc": self._grpc.answers, "http": self._http.answers}
        self.metrics = Metrics(self.store, self.engine, self.dispatcher, answers, self._grpc.sessions)
        self._admin_http = HttpServer(
            admin_app(self._problem, self.metrics.page), "the admin HTTP port", settings.max_http_head_bytes
        )
        self._stopping = False

    async def start(self) -> Ports:
        """Opens the store, takes up its work, and listens.

        Raises:
            StoreError: the store cannot be used.
            PortInUse, ListenError: a port cannot be listened on.
        """
        settings = self.settings
        await self.store.open()
        await self.registry.load(self.store)
        await self.traces.start()
        await self.engine.start()
        self.deployments.start()
        return Ports(
            admin_grpc=await self._start_admin(),
            ingress_grpc=await self._grpc.start(settings.host, settings.ingress_grpc_port),
            ingress_http=await self._http.start(settings.host, settings.ingress_http_port),
            admin_http=await self._admin_http.start(settings.host, settings.admin_http_port),
        )

    async def stop(self, drained: Callable[[], Awaitable[None]] | None = None) -> None:
        """Lets what runs finish for the grace period; what is left goes on after the next start.

        Args:
            drained: awaited when nothing runs any more or the grace is over, while sessions are still open.
        """
        grace_s = self.settings.drain_grace_ms / 1000
        self._stopping = True
        self.deployments.drain()
        await asyncio.gather(self._grpc.stop(grace_s + 1), self._http.stop(grace_s + 1), self._send_away(grace_s))
        if drained is not None:
            await drained()
        await self.deployments.stop()
        await self.engine.stop()
        if self._admin is not None:
            await self._admin.stop(0)
        await self._admin_http.stop(0)
        await self.traces.stop()
        await self.store.close()

    async def _send_away(self, grace_s: float) -> None:
        """Answers those who still wait once nothing runs any more: what is suspended goes on after the next start."""
        await _at_most(self._at_rest(), grace_s)
        self._waiting.send_away()

    async def _at_rest(self) -> None:
        await self.dispatcher.idle()
        await self.engine.settled()

    async def _start_admin(self) -> int:
        host, port = self.settings.host, self.settings.admin_grpc_port
        check_free("the admin API", host, port)
        server = grpc.aio.server(options=[*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)])
        admin = Admin(self.store, self.engine, self.deployments, self.engine.live_status)
        server.add_generic_rpc_handlers((SessionAcceptor(self.deployments), admin.handler()))
        bound = server.add_insecure_port(address_text(host, port))
        await server.start()
        self._admin = server
        return bound

    def _problem(self) -> str:
        """Why no work can be taken now, for the health check."""
        if self.engine.failed.done():
            return "the store failed; the runtime is stopping"
        return "the runtime is stopping" if self._stopping else ""

    def _report(self, report: Report) -> None:
        self.metrics.report(report)
        if report.kind in ("attempt_failed", "attempt_lost", "run_failed"):
            _log.warning(report.kind, invocation_id=report.invocation_id, reason=report.detail)
        self.traces.report(report)


async def serve(
    settings: Settings,
    *,
    ready: Callable[[Server, Ports], None] | None = None,
    drained: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Runs a runtime until SIGTERM or SIGINT, then drains it.

    Args:
        ready: called once it listens.
        drained: as in `Server.stop`.

    Raises:
        StoreError: the store cannot be used, or a commit failed: nothing was acknowledged after that.
        PortInUse, ListenError: a port cannot be listened on.
    """
    server = Server(settings)
    stop = asyncio.Event()
    _on_signals(stop.set)
    stopped = asyncio.get_running_loop().create_task(stop.wait())
    try:
        ports = await server.start()
        if ready is not None:
            ready(server, ports)
        await asyncio.wait((stopped, server.engine.failed), return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping")
    finally:
        stopped.cancel()
        await server.stop(drained)
    if server.engine.failed.done():
        await server.engine.failed


async def _at_most(waiting: Coroutine[Any, Any, None], seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, seconds)


def _on_signals(act: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, act)
