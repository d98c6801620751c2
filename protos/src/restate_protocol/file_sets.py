"""Descriptor sets of generated code: the user's files as text, completed with the bundled ones from this package.

Generated code carries only what is the user's own. The rest is the same for everybody and is added here, so that
the same contract gives the same bytes whichever compiler read it.
"""

from __future__ import annotations

import base64
import importlib

from protobuf import DescFile
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.descriptor_pb import FileDescriptorProto

from restate_protocol.bundled import is_bundled

_WELL_KNOWN = "google/protobuf/"


def complete(text: str) -> bytes:
    """A serialized FileDescriptorSet with every import, each file after what it imports.

    Args:
        text: base64 of a FileDescriptorSet with the user's files, each after what it imports.
    """
    own = FileDescriptorSet.from_binary(base64.b64decode(text)).file
    bundled: dict[str, FileDescriptorProto] = {}
    for file in own:
        for name in filter(is_bundled, file.dependency):
            _collect(bundled_file(name), bundled)
    return FileDescriptorSet(file=[*bundled.values(), *own]).to_binary()


def bundled_file(name: str) -> DescFile:
    """The descriptor of a bundled .proto, by its name as imported."""
    root = "protobuf.wkt" if name.startswith(_WELL_KNOWN) else "restate_protocol.gen"
    module = name.removesuffix(".proto").replace("/", ".")
    desc: DescFile = importlib.import_module(f"{root}.{module}_pb").desc()
    return desc


def _collect(file: DescFile, found: dict[str, FileDescriptorProto]) -> None:
    if file.name not in found:
        for dependency in file.dependencies:
            _collect(dependency, found)
        found[file.name] = file.proto
