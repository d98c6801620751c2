"""Who serves what: contracts and schemas of every deployment, and which deployment takes new invocations.

Invariant: what is in here is in the store. The newest deployment (by revision) of a service takes its new
invocations; pinned ones find theirs by id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from restate_protocol.contract.model import DEFAULTS, Defaults, Handler, Service
from restate_protocol.contract.read import read_contract
from restate_protocol.services import ServiceKind

from ..core.records import Deployment
from ..core.target import Target
from ..store.base import Store
from .bounds import UNBOUNDED, Bounds
from .canonical import Digests
from .schema import Schema


@dataclass(frozen=True, slots=True)
class Route:
    """A handler that takes new invocations."""

    service: Service
    handler: Handler
    deployment_id: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Loaded:
    """A deployment, read.

    Args:
        cuts: what this runtime does not grant of what the contract says, for people.
    """

    deployment: Deployment
    services: dict[str, Service]
    schema: Schema
    cuts: tuple[str, ...] = ()


def read_deployment(
    deployment: Deployment, descriptor_set: bytes, defaults: Defaults = DEFAULTS, bounds: Bounds = UNBOUNDED
) -> Loaded:
    """Reads the contract of a deployment.

    Args:
        defaults: options of handlers where the contract says nothing.
        bounds: the longest retentions.

    Raises:
        ContractError: its descriptors break a rule of the contract.
    """
    contract = read_contract(descriptor_set, deployment.services, defaults)
    return Loaded(
        deployment,
        {service.name: bounds.bounded(service) for service in contract.services},
        Schema(descriptor_set),
        tuple(cut for service in contract.services for cut in bounds.cuts(service)),
    )


class Registry:
    """Every deployment in memory.

    Args:
        defaults: options of handlers where their contracts say nothing.
        bounds: the longest retentions.
    """

    def __init__(self, defaults: Defaults = DEFAULTS, bounds: Bounds = UNBOUNDED) -> None:
        self._defaults = defaults
        self._bounds = bounds
        self._loaded: dict[str, Loaded] = {}
        self._newest: dict[str, Loaded] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._targets: dict[tuple[str, str, str | None], Target] = {}
        self._callbacks: list[Callable[[], None]] = []

    async def load(self, store: Store) -> None:
        """Takes in every deployment of a store."""
        for deployment in await store.deployments():
            descriptor_set = await store.descriptor_set(deployment.descriptor_hash)
            if descriptor_set is not None:
                self.add(self.read(deployment, descriptor_set))

    def read(self, deployment: Deployment, descriptor_set: bytes) -> Loaded:
        """Reads the contract of a deployment, and takes nothing in. Raises ContractError."""
        return read_deployment(deployment, descriptor_set, self._defaults, self._bounds)

    def add(self, loaded: Loaded) -> None:
        """Takes in a deployment that was committed; it replaces the one with its id."""
        self._loaded[loaded.deployment.id] = loaded
        self._newest = {}
        for one in sorted(self._loaded.values(), key=lambda one: one.deployment.revision):
            for name in one.services:
                self._newest[name] = one
        self._routes.clear()
        self._targets.clear()
        for callback in self._callbacks:
            callback()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls back after every change."""
        self._callbacks.append(callback)

    def deployments(self) -> list[Deployment]:
        """Every deployment, in order of revision."""
        return sorted((one.deployment for one in self._loaded.values()), key=lambda one: one.revision)

    def deployment(self, deployment_id: str) -> Loaded | None:
        """The deployment with this id."""
        return self._loaded.get(deployment_id)

    def next_revision(self) -> int:
        """The revision of the next registration."""
        return max((one.deployment.revision for one in self._loaded.values()), default=0) + 1

    def services(self) -> list[str]:
        """Full names of all services, sorted."""
        return sorted(self._newest)

    def service(self, name: str) -> Service | None:
        """The newest contract of a service."""
        loaded = self._newest.get(name)
        return None if loaded is None else loaded.services[name]

    def schema(self, service: str) -> Schema | None:
        """The newest schema of a service."""
        loaded = self._newest.get(service)
        return None if loaded is None else loaded.schema

    def schema_of(self, deployment_id: str) -> Schema | None:
        """The schema of a deployment."""
        loaded = self._loaded.get(deployment_id)
        return None if loaded is None else loaded.schema

    def route(self, service: str, handler: str) -> Route | None:
        """The handler that takes new invocations of this name."""
        known = self._routes.get((service, handler))
        if known is not None:
            return known
        loaded = self._newest.get(service)
        found = None if loaded is None else loaded.services[service].handler(handler)
        if loaded is None or found is None:
            return None
        route = Route(loaded.services[service], found, loaded.deployment.id, loaded.schema)
        self._routes[service, handler] = route
        return route

    def resolve(self, service: str, handler: str, deployment_id: str | None) -> Target | None:
        """The handler for the core: of a deployment, or of the newest one."""
        wanted = (service, handler, deployment_id)
        known = self._targets.get(wanted)
        if known is None:
            known = self._find(service, handler, deployment_id)
            if known is not None:
                self._targets[wanted] = known
        return known

    def _find(self, service: str, handler: str, deployment_id: str | None) -> Target | None:
        loaded = self._newest.get(service) if deployment_id is None else self._loaded.get(deployment_id)
        contract = None if loaded is None else loaded.services.get(service)
        found = None if contract is None else contract.handler(handler)
        if loaded is None or contract is None or found is None:
            return None
        in_workflow = contract.kind is ServiceKind.WORKFLOW
        digest = Digests(loaded.schema, found.request)
        return Target(service, found, loaded.deployment.id, in_workflow, contract, digest)
