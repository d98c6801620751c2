"""The descriptors that go with a generated file: the user's own, and nothing that changes by itself."""

from __future__ import annotations

from collections.abc import Iterable

from protobuf import DescFile
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.descriptor_pb import FileDescriptorProto
from restate_protocol.bundled import is_bundled

from .model import FileUnit, Generation


def own_files(generation: Generation, unit: FileUnit) -> bytes:
    """A serialized FileDescriptorSet, without positions, comments and bundled files.

    It has the file, its imports, and the files of messages that its services name by text. Every file comes after
    its imports.
    """
    files: dict[str, DescFile] = {}
    _collect([unit.desc, *_named_files(generation, unit)], files)
    return FileDescriptorSet(file=[_bare(one.proto) for one in files.values()]).to_binary()


def _named_files(generation: Generation, unit: FileUnit) -> list[DescFile]:
    names: list[str] = []
    for service in unit.services:
        names += [name for name in (service.contract.state, service.contract.promises) if name]
        names += [name for handler in service.contract.handlers for name in handler.errors]
    return [generation.message(name).file for name in names]


def _collect(roots: Iterable[DescFile], found: dict[str, DescFile]) -> None:
    for file in roots:
        if file.name not in found and not is_bundled(file.name):
            _collect(file.dependencies, found)
            found[file.name] = file


def _bare(proto: FileDescriptorProto) -> FileDescriptorProto:
    copy = FileDescriptorProto.from_binary(proto.to_binary())
    copy.clear_field("source_code_info")
    return copy
