"""The default flavour: protobuf-py, through its own generator."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping

import protoc_gen_py  # type: ignore[import-untyped]
from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescFile,
    DescMessage,
    ScalarType,
)
from protobuf.plugin import Ident, run
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse
from restate_protocol.bundled import BUNDLED

from restate_codegen.errors import GeneratorError
from restate_codegen.model import Generation
from restate_codegen.writer import Source, Symbol

from .scalars import SCALARS

#: Where the messages of bundled protos are: one place, whoever imports them.
_OURS = "restate_protocol.gen"
_WELL_KNOWN = "google/protobuf/"


class ProtobufPy:
    """Messages of protobuf-py."""

    name = "protobuf-py"

    def message(self, desc: DescMessage) -> Symbol:
        return _symbol(desc)

    def attribute(self, field: DescField) -> str:
        return field.local_name

    def type_of(self, field: DescField, source: Source) -> str:
        match field.value:
            case DescFieldValueScalar(scalar=element) | DescFieldValueMessage(message=element):
                return _element_type(element, source)
            case DescFieldValueEnum(enum=enum):
                return _element_type(enum, source)
            case DescFieldValueList(element=element):
                return f"{source.builtin('list')}[{_element_type(element, source)}]"
            case DescFieldValueMap(key=key, value=value):
                return f"{source.builtin('dict')}[{_element_type(key, source)}, {_element_type(value, source)}]"

    def note_problems(self, generation: Generation) -> None:
        """It knows everything protobuf has."""

    def files(self, generation: Generation) -> Mapping[str, str]:
        request = CodeGeneratorRequest(
            file_to_generate=[unit.desc.name for unit in generation.units],
            parameter=",".join(["init_files=false", *_map_imports()]),
            proto_file=FileDescriptorSet.from_binary(generation.descriptor_set).file,
        )
        response = CodeGeneratorResponse.from_binary(_run(request.to_binary()))
        if response.error:
            raise GeneratorError(f"protoc-gen-py failed:\n{response.error}")
        return {file.name: file.content for file in response.file}


def _map_imports() -> list[str]:
    """Bundled files come from our package, unless they are well-known: those come with protobuf-py."""
    return [f"map_imports={folder}:{_OURS}" for folder in BUNDLED if folder != _WELL_KNOWN]


def _run(request: bytes) -> bytes:
    """Runs protoc-gen-py in this process. Its entry point reads standard input, so we call what that calls."""
    answer = io.BytesIO()
    version = importlib.metadata.version("protoc-gen-py")
    options, generate = protoc_gen_py._Options, protoc_gen_py._generate
    run("protoc-gen-py", version, options, generate, args=[], stdin=io.BytesIO(request), stdout=answer)
    return answer.getvalue()


def _symbol(desc: DescMessage | DescEnum) -> Symbol:
    ident = Ident.for_desc(desc)
    return Symbol(_module(desc.file, ident.module.path), ident.name)


def _module(file: DescFile, module: str) -> str:
    if file.name.startswith(_WELL_KNOWN):
        return f"protobuf.wkt{module}"
    return f"{_OURS}{module}" if file.name.startswith(BUNDLED) else module


def _element_type(element: ScalarType | DescMessage | DescEnum, source: Source) -> str:
    if isinstance(element, ScalarType):
        return source.builtin(SCALARS[element])
    return source.use(_symbol(element))
