"""Handlers bound to the services they implement, and the manifest that tells the runtime about them.

Everything a user can get wrong when building an Endpoint is found here, before anything is served.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar

from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from restate_protocol import ids
from restate_protocol.contract.read import read_contract
from restate_protocol.immutable import immutable
from restate_protocol.services import HandlerDescriptor, ServiceDescriptor

from .context import Context
from .errors import EndpointError


class Handlers(ABC):
    """Base of generated handler classes: one abstract coroutine method for each rpc."""

    #: The service, and the context class of each method by its Python name. Set by generated code.
    __restate_service__: ClassVar[ServiceDescriptor]
    __restate_contexts__: ClassVar[Mapping[str, type[Context]]]


@immutable
class BoundHandler:
    """One rpc and the method that implements it."""

    service: ServiceDescriptor
    descriptor: HandlerDescriptor[Any, Any]
    context: type[Context]
    method: Callable[[Any, Any], Coroutine[Any, Any, Any]]
    state_names: Callable[[], Mapping[int, str]]


@immutable
class Deployment:
    """What one endpoint serves.

    Args:
        services: the bound services, by name.
        handlers: the bound handlers, by (service, handler).
        version_label: the user's label of this version of the code.
        descriptor_set: a FileDescriptorSet with everything the services need.
        id: dep_…, the hash of all this.
    """

    services: tuple[ServiceDescriptor, ...]
    handlers: Mapping[tuple[str, str], BoundHandler]
    version_label: str
    descriptor_set: bytes
    id: str


def deploy(handlers: Iterable[Handlers], version_label: str) -> Deployment:
    """Binds handlers.

    Raises:
        EndpointError: there are none, one is not what generated code makes, or two implement one service.
    """
    bound: dict[tuple[str, str], BoundHandler] = {}
    services: dict[str, ServiceDescriptor] = {}
    for one in handlers:
        service = _service_of(one)
        if service.name in services:
            raise EndpointError(f"{service.name} is given to the endpoint twice; an endpoint serves a service once")
        services[service.name] = service
        bound |= {(service.name, handler.name): _bind(one, service, handler) for handler in service.handlers}
    if not services:
        raise EndpointError("an endpoint needs at least one service: Endpoint(Greeter())")
    ordered = tuple(services[name] for name in sorted(services))
    files = merge_file_sets([service.file_set() for service in ordered])
    return Deployment(
        ordered, bound, version_label, files, ids.deployment_id_text(version_label, sorted(services), files)
    )


def _service_of(handlers: object) -> ServiceDescriptor:
    if isinstance(handlers, type):
        raise EndpointError(f"{handlers.__name__} is a class; give the endpoint an instance: {handlers.__name__}()")
    service = getattr(type(handlers), "__restate_service__", None)
    if not isinstance(handlers, Handlers) or not isinstance(service, ServiceDescriptor):
        raise EndpointError(
            f"{type(handlers).__name__} implements no service: derive it from a generated class such as GreeterHandlers"
        )
    return service


def _bind(handlers: Handlers, service: ServiceDescriptor, descriptor: HandlerDescriptor[Any, Any]) -> BoundHandler:
    method = getattr(handlers, descriptor.python_name)
    if not inspect.iscoroutinefunction(method):
        raise EndpointError(
            f"{type(handlers).__name__}.{descriptor.python_name} must be `async def`: handlers are coroutines, and"
            " blocking code belongs into ctx.run"
        )
    context = type(handlers).__restate_contexts__[descriptor.python_name]
    return BoundHandler(service, descriptor, context, method, functools.partial(_state_names, service))


@functools.lru_cache(maxsize=256)
def _state_names(service: ServiceDescriptor) -> Mapping[int, str]:
    """Names of the state fields by number, from the contract; read once, when first asked."""
    contract = read_contract(service.file_set(), [service.name])
    return {field.number: field.name for one in contract.services for field in one.state_fields}


def merge_file_sets(file_sets: Iterable[bytes]) -> bytes:
    """One FileDescriptorSet with every file once, in the order of first appearance."""
    files: dict[str, FileDescriptorProto] = {}
    for data in file_sets:
        for file in FileDescriptorSet.from_binary(data).file:
            files.setdefault(file.name, file)
    return FileDescriptorSet(file=list(files.values())).to_binary()
