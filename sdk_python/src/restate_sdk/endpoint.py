"""An endpoint: the services of one process, and the ways to connect them with a runtime.

`serve` and `dial` block and own the process: they install an event loop, print what they serve and stop in good
order on SIGTERM and SIGINT. Their async twins leave all this to the caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from restate_protocol.collecting import collect_less
from restate_protocol.polling import prefer_pollers

from .errors import EndpointError
from .services import Deployment, Handlers, deploy
from .session import Session, wall_clock_ms
from .transport.memory import MemoryPeer

#: Threads for the plain functions of runs.
RUN_THREADS = 64
#: How long attempts may go on, in seconds, once the process was told to stop.
GRACE_SECONDS = 10.0


class _Stoppable(Protocol):
    async def stop(self, grace: float) -> None: ...


class RunningEndpoint:
    """An endpoint that serves or dials.

    Args:
        transport: the server or the dialler.
        executor: the threads of runs.
        port: the real port; 0 for an endpoint that dials.
    """

    def __init__(self, transport: _Stoppable, executor: ThreadPoolExecutor, port: int) -> None:
        self._transport = transport
        self._executor = executor
        self.port = port

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stops: takes nothing new, lets attempts finish for `grace` seconds, ends the others.

        An attempt that is ended loses nothing: the runtime starts another one elsewhere.
        """
        await self._transport.stop(grace)
        self._executor.shutdown(wait=False, cancel_futures=True)


class Endpoint:
    """Serves handlers to a runtime.

    Args:
        handlers: one instance of each handler class.
        version_label: names this version of the code. Endpoints with the same services and label are replicas of one
            deployment; another label makes another deployment, and invocations stay with the one they began on.

    Raises:
        EndpointError: no handlers, not an instance of a generated class, two of one service, or a handler that is not
            a coroutine function.
    """

    def __init__(self, *handlers: Handlers, version_label: str = "") -> None:
        self._deployment = deploy(handlers, version_label)

    def __repr__(self) -> str:
        return f"Endpoint({', '.join(self.services)})"

    @property
    def services(self) -> list[str]:
        """Full names of the services."""
        return [service.name for service in self._deployment.services]

    @property
    def deployment(self) -> Deployment:
        """What is served, as the runtime will know it."""
        return self._deployment

    def serve(self, host: str = "127.0.0.1", port: int = 9080) -> None:
        """Serves until SIGTERM or SIGINT. Blocks.

        Args:
            host: the address to bind. Anyone who reaches it can call the handlers: bind more only in a safe network.
            port: the port; 0 for any.

        Raises:
            SystemExit: the address cannot be bound; exit code 1.
        """

        async def begin() -> RunningEndpoint:
            running = await self.serve_async(host, port)
            print(self._announcement(host, running.port), flush=True)
            return running

        _block(begin)

    def dial(self, address: str, *, dev_name: str = "") -> None:
        """Dials a runtime and works for it until SIGTERM or SIGINT. Blocks, and reconnects for ever.

        Args:
            address: host:port of the runtime's admin gRPC port.
            dev_name: this is a development server of that name, whose deployment is replaced at each connect.
        """

        async def begin() -> RunningEndpoint:
            running = await self.dial_async(address, dev_name=dev_name)
            print(f"Working for the runtime at {address}\n{self._listing()}", flush=True)
            return running

        _block(begin)

    async def serve_async(self, host: str = "127.0.0.1", port: int = 9080) -> RunningEndpoint:
        """Serves in the running loop.

        Args:
            host: the address to bind.
            port: the port; 0 for any, see `RunningEndpoint.port`.

        Raises:
            EndpointError: the address cannot be bound.
        """
        from .transport.server import EndpointServer

        executor = _executor()
        server = EndpointServer(lambda: Session(self._deployment, executor=executor))
        return RunningEndpoint(server, executor, await server.start(host, port))

    async def dial_async(self, address: str, *, dev_name: str = "") -> RunningEndpoint:
        """Dials a runtime in the running loop, and again whenever the session ends.

        Args:
            address: host:port of the runtime's admin gRPC port.
            dev_name: this is a development server of that name.
        """
        from .transport.dial import Dialler

        executor = _executor()
        dialler = Dialler(
            address,
            lambda: Session(self._deployment, executor=executor, dev_name=dev_name, speaks_first=True),
        )
        return RunningEndpoint(dialler, executor, 0)

    def connect_in_memory(
        self, *, now_ms: Callable[[], int] = wall_clock_ms, speaks_first: bool = False, dev_name: str = ""
    ) -> MemoryPeer:
        """A session in this process, for tests and embedded runtimes. Gives the runtime's end.

        Args:
            now_ms: the clock that sleeps and delays are counted from, in milliseconds since the epoch.
            speaks_first: the endpoint dials, so its hello comes at once.
            dev_name: this is a development server of that name.
        """
        return MemoryPeer(self._deployment, now_ms=now_ms, speaks_first=speaks_first, dev_name=dev_name)

    def _announcement(self, host: str, port: int) -> str:
        reachable = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::", "localhost") else host
        register = f"Register it with the runtime: restate-cli deployments register {reachable}:{port}"
        return f"Serving on {host}:{port}\n{self._listing()}\n{register}"

    def _listing(self) -> str:
        width = max(len(name) for name in self.services)
        lines = []
        for service in self._deployment.services:
            names = ", ".join(handler.name for handler in service.handlers)
            lines.append(f"  {service.name:<{width}}  {service.kind.value:<14}  {names}")
        return "\n".join(lines)


def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RUN_THREADS, thread_name_prefix="restate-run")


def _block(begin: Callable[[], Awaitable[RunningEndpoint]]) -> None:
    """Runs an endpoint in a loop of its own until a signal; exits with 1 where it cannot begin.

    Logs go to stderr, unless the app has set up logging itself.
    """
    prefer_pollers(os.environ)
    collect_less()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_signal(begin))
    except EndpointError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


async def _until_signal(begin: Callable[[], Awaitable[RunningEndpoint]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = await begin()
    await stop.wait()
    await running.stop()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, else the default."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
