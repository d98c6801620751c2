"""Registers deployments and keeps their sessions open, whoever dials.

Invariant: a deployment is committed before the first invocation is routed to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial

import structlog
from restate_protocol import ids
from restate_protocol.contract.problems import ContractError
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.status import StatusCode

from ..core.decision import PutDeployment, PutDescriptorSet
from ..core.records import Deployment
from ..store.base import Store
from . import compatibility, handshake
from .dialer import Dialer, check_address, dial
from .dispatch import Dispatcher
from .errors import DeploymentError
from .registry import Loaded, Registry
from .sessions import Session, SessionEnded

_log = structlog.get_logger(__name__)

# How many invocations an error names.
_NAMED_MAX = 5
# How often sessions are looked at for attempts that nobody confirmed.
_LOOK_EVERY_S = 1.0


class Deployments:
    """See the module.

    Args:
        max_value_bytes: the longest value the runtime takes, told to endpoints.
        delivery_timeout_s: an attempt not confirmed in that time makes its session suspect, and it is closed.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        dispatcher: Dispatcher,
        clock: Callable[[], int],
        max_value_bytes: int,
        delivery_timeout_s: float,
    ) -> None:
        self._store = store
        self._registry = registry
        self._dispatcher = dispatcher
        self._clock = clock
        self._max_value_bytes = max_value_bytes
        self._delivery_timeout_s = delivery_timeout_s
        self._dialers: dict[tuple[str, str], Dialer] = {}
        self._registering = asyncio.Lock()
        self._draining = False

    def start(self) -> None:
        """Dials every endpoint that is registered with an address."""
        for deployment in self._registry.deployments():
            self._dial(deployment)

    async def stop(self) -> None:
        """Closes every session that this side dialled."""
        await asyncio.gather(*(dialer.stop() for dialer in self._dialers.values()))

    def drain(self) -> None:
        """Tells every endpoint that no new work comes."""
        self._draining = True
        for session in self._dispatcher.all_sessions():
            session.draining = True
            session.send(pb.Drain())

    # Registration

    async def register(self, address: str, force: bool) -> tuple[Deployment, bool]:
        """Dials an endpoint, stores what it serves and keeps a session with it.

        Returns:
            the deployment, and whether it is new.

        Raises:
            DeploymentError: UNAVAILABLE, nobody answers; FAILED_PRECONDITION, it speaks another version or would
                break what is there; INVALID_ARGUMENT, it breaks a rule of the contract.
        """
        check_address(address)
        async with dial(address) as (write, messages):
            hello = await handshake.greet(write, messages, self._max_value_bytes)
            manifest = await handshake.describe(write, messages, hello)
        return await self._take(hello, manifest, address, force)

    def sessions(self, deployment_id: str) -> int:
        """How many sessions of the deployment are open."""
        return self._dispatcher.sessions(deployment_id)

    def last_error(self, deployment_id: str) -> str:
        """Why the endpoint could not be reached the last time, if so."""
        errors = [one.last_error for (id_, _), one in self._dialers.items() if id_ == deployment_id]
        return "; ".join(error for error in errors if error)

    async def _take(
        self, hello: pb.EndpointHello, manifest: handshake.ManifestOf, address: str, force: bool
    ) -> tuple[Deployment, bool]:
        async with self._registering:
            known = self._registry.deployment(_id_of(hello))
            if known is not None and not hello.dev_name:
                return await self._join(known, address), False
            deployment = self._describe(hello, manifest, address)
            loaded = self._read(deployment, manifest)
            if not force:
                self._check(loaded, hello.dev_name)
            await self._commit(loaded, manifest)
            for cut in loaded.cuts:
                _log.info("an option is more than this runtime grants", deployment=deployment.id, cut=cut)
            return deployment, known is None

    def _check(self, loaded: Loaded, dev_name: str) -> None:
        """Refuses what would break state, keys or promises; a development server is only warned."""
        if not dev_name:
            compatibility.check(self._registry, loaded)
            return
        lines = compatibility.problems(self._registry, loaded)
        if lines:
            # In the text and not beside it, so that people read lines.
            _log.warning(
                f"what is stored does not fit the contract of {dev_name}:\n{lines}\n"
                "  Handlers that use it will fail. Take the change back, or start with another database (--db)."
            )

    def _describe(self, hello: pb.EndpointHello, manifest: handshake.ManifestOf, address: str) -> Deployment:
        return Deployment(
            id=_id_of(hello),
            address=address,
            version_label=manifest.version_label,
            descriptor_hash=manifest.descriptor_hash,
            services=tuple(sorted(manifest.services)),
            created_ms=self._clock(),
            revision=self._registry.next_revision(),
            dev_name=hello.dev_name,
        )

    def _read(self, deployment: Deployment, manifest: handshake.ManifestOf) -> Loaded:
        try:
            return self._registry.read(deployment, manifest.descriptor_set)
        except ContractError as error:
            message = f"the contract of the endpoint breaks a rule:\n{error}"
            raise DeploymentError(message, StatusCode.INVALID_ARGUMENT) from error

    async def _join(self, known: Loaded, address: str) -> Deployment:
        """One more address for a deployment that is there: a replica, or a restart elsewhere."""
        addresses = [one for one in known.deployment.address.split(",") if one]
        if not address or address in addresses:
            return known.deployment
        deployment = replace(known.deployment, address=",".join([*addresses, address]))
        await self._store.commit([PutDeployment(deployment)])
        self._registry.add(replace(known, deployment=deployment))
        self._dial(deployment)
        return deployment

    async def _commit(self, loaded: Loaded, manifest: handshake.ManifestOf) -> None:
        deployment = loaded.deployment
        await self._store.commit(
            [PutDescriptorSet(manifest.descriptor_hash, manifest.descriptor_set), PutDeployment(deployment)]
        )
        self._registry.add(loaded)
        _log.info("deployment registered", deployment=deployment.id, services=list(deployment.services))
        self._dial(deployment)

    def _dial(self, deployment: Deployment) -> None:
        for address in deployment.address.split(","):
            where = (deployment.id, address)
            if address and where not in self._dialers:
                dialer = Dialer(address, partial(self._dialled, deployment.id))
                self._dialers[where] = dialer
                dialer.start()

    # Sessions

    async def _dialled(self, deployment_id: str, write: handshake.Write, messages: AsyncIterator[bytes]) -> None:
        hello = await handshake.greet(write, messages, self._max_value_bytes)
        if hello.deployment_id != deployment_id:
            raise DeploymentError(
                f"the endpoint is {hello.deployment_id} now, not {deployment_id}: "
                "register it again if that is its new version"
            )
        await self._serve(Session(deployment_id, hello.credits, self._dispatcher, hello.features), write, messages)

    async def dialled_in(self, write: handshake.Write, messages: AsyncIterator[bytes]) -> None:
        """An endpoint dialled the runtime: its first frame registers it.

        Raises:
            DeploymentError: it cannot be registered.
        """
        hello = await handshake.greet(write, messages, self._max_value_bytes)
        loaded = self._registry.deployment(_id_of(hello))
        if loaded is None or hello.dev_name:
            manifest = await handshake.describe(write, messages, hello)
            await self._take(hello, manifest, "", force=False)
        await self._serve(Session(_id_of(hello), hello.credits, self._dispatcher, hello.features), write, messages)

    async def _serve(self, session: Session, write: handshake.Write, messages: AsyncIterator[bytes]) -> None:
        """Runs a session to its end and tells what was lost."""
        loop = asyncio.get_running_loop()
        writer = loop.create_task(session.write_forever(write))
        watcher = loop.create_task(self._watch(session))
        reader = loop.create_task(_read(session, messages))
        session.draining = self._draining
        self._dispatcher.opened(session)
        reason = "the session ended"
        try:
            tasks = {writer, watcher, reader}
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = next((str(task.exception()) for task in done if task.exception() is not None), reason)
        finally:
            for task in (writer, watcher, reader):
                task.cancel()
            await asyncio.gather(writer, watcher, reader, return_exceptions=True)
            self._dispatcher.closed(session, reason)
            # One side said before that it would end: nothing to look at.
            tell = _log.info if self._draining or session.draining else _log.warning
            tell("session closed", deployment=session.deployment_id, reason=reason)

    async def _watch(self, session: Session) -> None:
        """Ends a session that does not confirm what it is sent."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            late = session.suspect(loop.time() - self._delivery_timeout_s)
            if late:
                names = ", ".join(ids.invocation_id_text(one) for one in late[:_NAMED_MAX])
                raise SessionEnded(
                    f"{len(late)} attempts were not confirmed within {self._delivery_timeout_s:g} s ({names}): the "
                    "endpoint hangs, or a handler blocks its event loop (blocking work belongs into ctx.run)"
                )


async def _read(session: Session, messages: AsyncIterator[bytes]) -> None:
    async for data in messages:
        session.receive(data)
    raise SessionEnded("the endpoint closed the session")


def _id_of(hello: pb.EndpointHello) -> str:
    """Development servers of one name share one deployment, whatever their code is at the moment."""
    return f"dep_dev_{hello.dev_name}" if hello.dev_name else hello.deployment_id
