"""From a descriptor set to a Generation: reads and checks the contract, and finds what belongs to which file."""

from __future__ import annotations

from collections.abc import Sequence

from protobuf import DescFile
from restate_protocol.contract.model import Service
from restate_protocol.contract.read import examine

from .model import FileUnit, Generation, ServiceUnit, all_messages


def load(descriptor_set: bytes, files: Sequence[str]) -> Generation:
    """Reads what is to be generated. Problems of the contract are in its reading; the caller adds its own and raises.

    Args:
        descriptor_set: a serialized FileDescriptorSet with all imports.
        files: names of the files to generate for. Bundled ones among them are passed over by callers.

    Raises:
        ContractError: the bytes are no descriptor set, or an import is missing.
    """
    contract, reading = examine(descriptor_set, files=files)
    errors = {name for service in contract.services for handler in service.handlers for name in handler.errors}
    services = {(service.file, service.name): service for service in contract.services}
    descs = [one for one in reading.registry if isinstance(one, DescFile) and one.name in reading.files]
    units = tuple(_unit(desc, services, errors) for desc in descs)
    return Generation(descriptor_set, reading, units)


def _unit(desc: DescFile, services: dict[tuple[str, str], Service], errors: set[str]) -> FileUnit:
    return FileUnit(
        desc,
        tuple(ServiceUnit(services[desc.name, one.type_name], one) for one in desc.services),
        tuple(message for message in all_messages(desc) if message.type_name in errors),
    )
