"""What generated `_pb2` modules stand on: the check of the installed protobuf, and the pool of descriptors.

Google's messages live in one pool for the whole process. A file may be added to it any number of times as long as its
contents are the same, whoever adds it; then its classes are the same too. A file of the same name with other contents
is an error, here with a mend. Bundled files are taken from wherever they are: the pool, the package that usually brings
them (googleapis-common-protos and the like), or else from us; so they never clash, in whichever order things load.
"""

from __future__ import annotations

import importlib
from collections.abc import MutableMapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from restate_protocol.file_sets import bundled_file

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

_INSTALL = "Run: pip install 'restate-grpc-protocol[google]'"


def require_protobuf(module: str, generated_with: str) -> None:
    """Checks that protobuf is installed and not older than the generator that made a module.

    Args:
        module: the `__name__` of the module.
        generated_with: the version of protobuf that its code is for (`7.35.1`).

    Raises:
        ImportError: protobuf is missing or too old.
    """
    what = "has messages of Google's protobuf (--messages google)"
    needs = f"{module} {what} and needs protobuf {generated_with} or newer"
    try:
        from google.protobuf import __version__ as installed
    except ImportError as error:
        raise ModuleNotFoundError(f"{needs}, which is not installed. {_INSTALL}", name="google.protobuf") from error
    if _numbers(installed) < _numbers(generated_with):
        raise ImportError(f"{needs}; {installed} is installed. {_INSTALL}", name="google.protobuf")


def add_file(serialized: bytes) -> FileDescriptor:
    """Adds a file to the pool of the process, or finds it there.

    Args:
        serialized: a serialized google.protobuf.FileDescriptorProto whose imports are in the pool.

    Raises:
        TypeError: the pool has the file or one of its messages with other contents.
    """
    from google.protobuf import descriptor_pool

    try:
        return descriptor_pool.Default().AddSerializedFile(serialized)
    except TypeError as error:
        raise TypeError(_clash(serialized, error)) from error


def bundled(name: str, module: str, namespace: MutableMapping[str, Any]) -> None:
    """Fills a module with the classes of a bundled file.

    Args:
        name: the file as imported (`google/rpc/status.proto`).
        module: the `__name__` of the module.
        namespace: its globals.
    """
    from google.protobuf.internal import builder

    builder_any: Any = builder
    file = _find(name)
    namespace["DESCRIPTOR"] = file
    builder_any.BuildMessageAndEnumDescriptors(file, namespace)
    builder_any.BuildTopDescriptorsAndMessages(file, module, namespace)


def _find(name: str) -> FileDescriptor:
    from google.protobuf import descriptor_pool

    pool = descriptor_pool.Default()
    try:
        return pool.FindFileByName(name)
    except KeyError:
        pass
    try:
        importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        return pool.FindFileByName(name)
    except (ImportError, KeyError):  # nobody else brings it
        return _add_ours(name)


def _add_ours(name: str) -> FileDescriptor:
    proto = bundled_file(name).proto
    for dependency in proto.dependency:
        _find(dependency)
    return add_file(proto.to_binary())


def _clash(serialized: bytes, error: TypeError) -> str:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    name = FileDescriptorProto.FromString(serialized).name
    return (
        f"{name} was loaded before with other contents or under another name, by other generated code: {error}."
        " Google's protobuf has one pool for the whole process: generate both from the same file, and give protoc the"
        " same folder for imports; or use --messages protobuf-py here, which has no such pool."
    )


def _numbers(version: str) -> tuple[int, ...]:
    """7.35.1 -> (7, 35, 1); what follows the digits of a part is left out."""
    digits = ["".join(takewhile(str.isdigit, part)) for part in version.split(".")[:3]]
    return tuple(int(one) for one in digits if one)
