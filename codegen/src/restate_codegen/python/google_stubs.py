"""What Google's compilers make of files: names of modules, stubs, and descriptors in the form they know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from protobuf.wkt.google.protobuf.descriptor_pb import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from .compilers import run_plugin


def protoc_module(name: str) -> str:
    """The module that protoc makes of a file."""
    return name.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"


def stubs_of(protos: Sequence[FileDescriptorProto], modules: Mapping[str, str]) -> dict[str, str]:
    """The stubs that mypy-protobuf makes: file -> text.

    It gets the files under names without keywords, because it writes imports from these names.

    Args:
        protos: the files and all imports, each after its imports.
        modules: file -> its `_pb2` module in the output, for the files to make stubs of.
    """
    names = {name: _renamed(module) for name, module in modules.items()}
    files = [_with_names(proto, names) for proto in protos]
    found = run_plugin("mypy-protobuf", "mypy_protobuf.main", "quiet", files, *names.values())
    return {name: found[f"{names[name].removesuffix('.proto')}_pb2.pyi"] for name in modules}


def _renamed(module: str) -> str:
    return module.removeprefix(".").removesuffix("_pb2").replace(".", "/") + ".proto"


def _with_names(proto: FileDescriptorProto, names: Mapping[str, str]) -> FileDescriptorProto:
    copy = FileDescriptorProto.from_binary(proto.to_binary())
    copy.name = names.get(copy.name, copy.name)
    copy.dependency = [names.get(name, name) for name in copy.dependency]
    return copy


def as_written(proto: FileDescriptorProto) -> FileDescriptorProto:
    """The file without the names in JSON that compilers fill in.

    Google's pool tells a file with them from one without, and teams' own `_pb2` modules are without.
    """
    copy = FileDescriptorProto.from_binary(proto.to_binary())
    todo = list(copy.message_type)
    _clear_json_names(copy.extension)
    while todo:
        message: DescriptorProto = todo.pop()
        _clear_json_names([*message.field, *message.extension])
        todo += message.nested_type
    return copy


def _clear_json_names(fields: Iterable[FieldDescriptorProto]) -> None:
    for field in fields:
        first, *rest = field.name.split("_")
        if field.json_name == first + "".join(part[:1].upper() + part[1:] for part in rest):
            field.clear_field("json_name")
