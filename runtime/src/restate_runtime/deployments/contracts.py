"""The contracts of stored deployments, for reading: what a service offers and what its bytes mean.

Independent of the registry, which routes new work: journals stay readable when their deployment serves nothing any
more. Descriptor sets are content-addressed, so what was read once never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from restate_protocol import journal as j
from restate_protocol.contract.model import Contract, Field, Service
from restate_protocol.contract.problems import ContractError
from restate_protocol.contract.read import read_contract

from restate_runtime.core.records import Deployment, Invocation
from restate_runtime.store.base import Store

from .schema import Schema, SchemaError


@dataclass(frozen=True, slots=True)
class Reader:
    """A contract and the schema that its messages are read with."""

    contract: Contract
    schema: Schema


class Contracts:
    """Reads the contracts of deployments from the store, each once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers: dict[tuple[str, tuple[str, ...]], Reader | None] = {}

    async def of(self, deployment: Deployment) -> Reader | None:
        """The contract of a deployment; None where its descriptors cannot be read any more."""
        key = (deployment.descriptor_hash, deployment.services)
        if key not in self._readers:
            data = await self._store.descriptor_set(deployment.descriptor_hash)
            self._readers[key] = None if data is None else _read(data, deployment.services)
        return self._readers[key]

    async def view(self, invocation: Invocation) -> View:
        """What is needed to read the journal of an invocation."""
        deployments = await self._store.deployments()
        pinned = next((one for one in deployments if one.id == invocation.deployment_id), None)
        newest = {name: one for one in deployments for name in one.services}
        readers = {name: reader for name, one in newest.items() if (reader := await self.of(one))}
        pinned_reader = await self.of(pinned) if pinned else None
        return View(invocation.service, pinned_reader or readers.get(invocation.service), readers)


@dataclass(frozen=True, slots=True)
class View:
    """How one invocation's bytes are read.

    Args:
        service: full name of its service.
        pinned: the deployment it runs on, or the newest of its service before it runs; None where unknown.
        others: the newest deployment of each service, for what it calls.
    """

    service: str
    pinned: Reader | None
    others: dict[str, Reader]

    def own(self) -> Service | None:
        """The invocation's own service."""
        return None if self.pinned is None else self.pinned.contract.service(self.service)

    def field_name(self, command: j.Entry) -> str | None:
        """The name of the state entry or promise that a command is about."""
        service = self.own()
        if service is None:
            return None
        match command:
            case j.GetState() | j.SetState() | j.ClearState():
                return name_of(service.state_fields, command.number)
            case j.GetPromise() | j.PeekPromise() | j.CompletePromise():
                return name_of(service.promise_fields, command.number)
            case _:
                return None

    def other(self, name: str) -> tuple[Service, Schema] | None:
        """A service it calls: as its own deployment has it, else the newest."""
        for reader in (self.pinned, self.others.get(name)):
            service = None if reader is None else reader.contract.service(name)
            if reader is not None and service is not None:
                return service, reader.schema
        return None


def name_of(fields: Sequence[Field], number: int) -> str | None:
    """The name of the field of this number."""
    return next((one.name for one in fields if one.number == number), None)


def _read(data: bytes, services: tuple[str, ...]) -> Reader | None:
    try:
        return Reader(read_contract(data, services), Schema(data))
    except (ContractError, SchemaError):
        return None
