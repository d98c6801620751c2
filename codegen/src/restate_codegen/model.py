"""What generators work on: a checked contract beside the descriptors it came from, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protobuf import DescFile, DescMessage, DescService
from restate_protocol.contract.model import Service
from restate_protocol.contract.reading import Reading


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """One service: what it means, and how it is written."""

    contract: Service
    desc: DescService

    @property
    def name(self) -> str:
        """Its name without the package."""
        return self.desc.name


@dataclass(frozen=True, slots=True)
class FileUnit:
    """One .proto file to generate for.

    Args:
        desc: the file.
        services: its services, in order.
        errors: the messages it defines that some handler names in `errors`, in order.
    """

    desc: DescFile
    services: tuple[ServiceUnit, ...]
    errors: tuple[DescMessage, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """Everything there is to generate.

    Args:
        descriptor_set: the serialized FileDescriptorSet it was read from, with positions and comments.
        reading: the descriptors, and what is wrong with them.
        units: the files to generate for, in the order of the descriptor set.
    """

    descriptor_set: bytes
    reading: Reading
    units: tuple[FileUnit, ...]

    def message(self, full_name: str) -> DescMessage:
        """A message that the contract names; it is known to exist."""
        desc = self.reading.registry.message(full_name)
        assert desc is not None, full_name
        return desc


def all_messages(file: DescFile) -> Iterator[DescMessage]:
    """Every message of a file, nested ones after the ones they are in."""
    todo = list(file.messages)
    while todo:
        message = todo.pop(0)
        yield message
        todo = [*message.nested_messages, *todo]
