"""Reads a contract from a serialized google.protobuf.FileDescriptorSet.

Everything wrong is told at once; with source info in the descriptors, each problem has its line and column.
Invariant: what comes out of `read_contract` keeps every rule of the contract.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from protobuf import DescFile, DescMethod, DescService, Registry
from protobuf.wkt import FileDescriptorSet

from restate_protocol.bundled import is_bundled
from restate_protocol.gen.restate.v1.options_pb import ServiceOptions, ext_service
from restate_protocol.services import HandlerMode, ServiceKind

from .applies import check_handler_applies, check_service_applies
from .keys import read_idempotency_key, read_key
from .knobs import check_knobs, check_merged_retry, merged_flag, merged_ms, merged_retry
from .model import DEFAULTS, Contract, Defaults, Handler, Service
from .modes import has_no_side_effects, options_of, read_modes
from .named import fields_of, read_errors, read_promises, read_state
from .problems import ContractError, Problem
from .reading import SERVICE_OPTION, Reading
from .shapes import required_below

_BUNDLED = (
    "google/",
    "buf/validate/",
    "restate/v1/",
    "restate/protocol/v1/",
    "restate/ingress/v1/",
    "restate/admin/v1/",
)
_REFUSED_PACKAGES = ("restate", "grpc")
_PACKAGE = (2,)
_INPUT_TYPE = (2,)
_OUTPUT_TYPE = (3,)
_KINDS = {
    ServiceOptions.Kind.SERVICE: ServiceKind.SERVICE,
    ServiceOptions.Kind.VIRTUAL_OBJECT: ServiceKind.VIRTUAL_OBJECT,
    ServiceOptions.Kind.WORKFLOW: ServiceKind.WORKFLOW,
}


def read_contract(
    descriptor_set: bytes, services: Sequence[str] | None = None, defaults: Defaults = DEFAULTS
) -> Contract:
    """The contract in a descriptor set.

    Args:
        descriptor_set: a serialized FileDescriptorSet with all imports. Source info is optional.
        services: full names of the services to read. None: all in files that are not bundled with us.
        defaults: what handlers have that neither they nor their services say.

    Raises:
        ContractError: with every problem found.
    """
    contract, reading = examine(descriptor_set, services=services, defaults=defaults)
    if reading.problems:
        raise ContractError(reading.problems)
    return contract


def examine(
    descriptor_set: bytes,
    *,
    services: Sequence[str] | None = None,
    files: Collection[str] | None = None,
    defaults: Defaults = DEFAULTS,
) -> tuple[Contract, Reading]:
    """The contract as far as it can be read, and the reading with its problems; for callers who add rules.

    Args:
        descriptor_set: a serialized FileDescriptorSet with all imports. Source info is optional.
        services: full names of the services to read. None: all in `files`.
        files: names of the user's files. None: all that are not bundled with us.
        defaults: what handlers have that neither they nor their services say.

    Raises:
        ContractError: the bytes are no descriptor set, or an import is missing.
    """
    registry = _registry(descriptor_set)
    every = [one for one in registry if isinstance(one, DescFile)]
    users = [one for one in every if (one.name in files if files is not None else not is_bundled(one.name))]
    reading = Reading(registry, frozenset(one.name for one in users), defaults)
    chosen = _chosen(reading, users, services)
    for file in users:
        if services is None or any(one.file is file for one in chosen):
            _check_package(reading, file)
    _check_names(reading, chosen)
    return Contract(tuple(_service(reading, one) for one in chosen)), reading


def _registry(descriptor_set: bytes) -> Registry:
    try:
        return FileDescriptorSet.from_binary(descriptor_set).to_registry()
    except ValueError as error:
        mend = "Build it with all imports, as `protoc --include_imports` or `buf build` do."
        raise ContractError([Problem("", 0, 0, f"the descriptor set cannot be read: {error}", mend)]) from error


def _chosen(reading: Reading, users: Iterable[DescFile], names: Sequence[str] | None) -> list[DescService]:
    found = [service for file in users for service in file.services]
    if names is None:
        return found
    for name in names:
        if not any(service.type_name == name for service in found):
            text = f"there is no service {name} in the descriptor set"
            reading.problems.append(Problem("", 0, 0, text, "Add the file that defines it."))
    return [service for service in found if service.type_name in names]


def _check_package(reading: Reading, file: DescFile) -> None:
    root = file.proto.package.partition(".")[0]
    if root in _REFUSED_PACKAGES:
        text = f"the package {file.proto.package} begins with `{root}`, which is taken"
        reading.problem(file, text, "Use a package name of your own.", *_PACKAGE)


def _check_names(reading: Reading, services: Iterable[DescService]) -> None:
    first: dict[str, DescService] = {}
    for service in services:
        other = first.setdefault(service.type_name, service)
        if other is not service:
            text = f"the service {service.type_name} is also defined in {other.file.name}"
            reading.problem(service, text, "Rename one of them.")


def _service(reading: Reading, desc: DescService) -> Service:
    options = _options_of(desc)
    kind = _kind(reading, desc, options)
    check_knobs(reading, desc, options)
    check_service_applies(reading, desc, options, kind)
    state = read_state(reading, desc, options.state) if options.state else None
    promises = read_promises(reading, desc, options.promises) if options.promises else None
    modes = read_modes(reading, desc, kind)
    handlers = [_handler(reading, one, mode, options) for one, mode in zip(desc.methods, modes, strict=True)]
    return Service(
        name=desc.type_name,
        kind=kind,
        file=desc.file.name,
        handlers=tuple(handlers),
        key_type=_key_type(reading, desc, handlers),
        state=options.state or None,
        promises=options.promises or None,
        state_fields=fields_of(state),
        promise_fields=fields_of(promises),
    )


def _options_of(desc: DescService) -> ServiceOptions:
    options = desc.proto.options
    return (options[ext_service] if options is not None else None) or ServiceOptions()


def _kind(reading: Reading, desc: DescService, options: ServiceOptions) -> ServiceKind:
    kind = _KINDS.get(options.kind)
    if kind is None:
        text = f"`kind` of {desc.type_name} is {int(options.kind)}, which has no meaning"
        reading.problem(desc, text, "Write SERVICE, VIRTUAL_OBJECT or WORKFLOW.", *SERVICE_OPTION, 1)
        return ServiceKind.SERVICE
    if kind is not ServiceKind.SERVICE and not desc.methods:
        reading.problem(desc, f"{desc.type_name} has no rpc", "Add one, or remove its options.")
    return kind


def _handler(reading: Reading, method: DescMethod, mode: HandlerMode, defaults: ServiceOptions) -> Handler:
    own = options_of(method)
    check_knobs(reading, method, own)
    _check_method(reading, method)
    check_handler_applies(reading, method, own, mode)
    check_merged_retry(reading, method, own, merged_retry(own, defaults, DEFAULTS.retry))
    idempotency = read_idempotency_key(reading, method.input)
    if mode is HandlerMode.RUN and idempotency is not None:
        text = f"{method.name} is a run handler, deduped by its key, but has the idempotency key `{idempotency}`"
        reading.problem(method, text, "Take the option off the field, or use another request.", *_INPUT_TYPE)
    ours = reading.defaults
    milliseconds: dict[str, Any] = {}
    for name, attribute in _MILLISECONDS.items():
        value = merged_ms(name, own, defaults)
        milliseconds[attribute] = getattr(ours, attribute, None) if value is None else value
    return Handler(
        name=method.name,
        mode=mode,
        private=merged_flag("private", own, defaults),
        request=method.input.type_name,
        response=method.output.type_name,
        key=None if mode is HandlerMode.SERVICE else read_key(reading, method),
        idempotency=idempotency,
        errors=read_errors(reading, method, list(own.errors)),
        retry=merged_retry(own, defaults, reading.defaults.retry),
        lazy_state=mode is not HandlerMode.SERVICE and merged_flag("lazy_state", own, defaults, ours.lazy_state),
        no_side_effects=has_no_side_effects(method),
        **milliseconds,
    )


_MILLISECONDS = {
    "inactivity_timeout": "inactivity_ms",
    "abort_timeout": "abort_ms",
    "journal_retention": "journal_retention_ms",
    "idempotency_retention": "idempotency_retention_ms",
    "workflow_retention": "workflow_retention_ms",
    "execution_timeout": "execution_timeout_ms",
}


def _check_method(reading: Reading, method: DescMethod) -> None:
    if method.method_kind != "unary":
        text = f"{method.name} streams, and durable handlers take one request and give one response"
        reading.problem(method, text, "Remove `stream`.")
    required = required_below(method.output)
    if required is not None:
        text = f"the response {method.output.type_name} has the required field `{required.name}`"
        reading.problem(method, text, "Make it optional.", *_OUTPUT_TYPE)


def _key_type(reading: Reading, desc: DescService, handlers: Sequence[Handler]) -> type[str] | type[int] | None:
    keyed = [(method, one, one.key) for method, one in zip(desc.methods, handlers, strict=True) if one.key is not None]
    if not keyed:
        return None
    _, first, key = keyed[0]
    for method, other, its_key in keyed[1:]:
        if its_key.type is not key.type:
            first_is = f"that of {first.name} is {_KEY_TYPES[key.type]}"
            text = f"the key of {other.name} is {_KEY_TYPES[its_key.type]}, but {first_is}"
            reading.problem(method, text, f"Use one type of key in all requests of {desc.type_name}.", *_INPUT_TYPE)
    return key.type


_KEY_TYPES: dict[type[str] | type[int], str] = {str: "a string", int: "an integer"}
