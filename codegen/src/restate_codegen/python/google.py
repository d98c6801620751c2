"""The flavour google: messages of Google's protobuf, by protoc's own generator, with the stubs of mypy-protobuf.

`<file>_pb2.py` and `.pyi` are what protoc and mypy-protobuf write, with imports that are relative. `<file>_pb.py`
beside them gives the classes under the names they have in every flavour. Bundled messages are those of
restate_protocol.google. (The stubs that protoc writes itself do not pass mypy --strict, and do not know oneofs.)
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

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
from protobuf.plugin import Ident
from protobuf.wkt import FileDescriptorSet
from restate_protocol.bundled import is_bundled

from restate_codegen.errors import GeneratorError
from restate_codegen.model import FileUnit, Generation, all_messages
from restate_codegen.protoc import compile_python
from restate_codegen.writer import Source, Symbol, from_import

from .google_stubs import as_written, protoc_module, stubs_of
from .header import header, start
from .names import module_of
from .relocate import Relocation
from .scalars import SCALARS

_OURS = "restate_protocol.google.gen"
_WELL_KNOWN = "google/protobuf/"
#: The base of the classes has a wider DESCRIPTOR in types-protobuf than in the stubs of mypy-protobuf.
PYRIGHT = "# pyright: reportIncompatibleVariableOverride=false"
_VERSION = re.compile(r"^# Protobuf Python Version: (\S+)$", re.MULTILINE)


class Google:
    """Messages of Google's protobuf."""

    name = "google"

    def message(self, desc: DescMessage) -> Symbol:
        return _symbol(desc)

    def attribute(self, field: DescField) -> str:
        """The name as written: keywords too, which need getattr and setattr."""
        return field.name

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
        for unit in generation.units:
            for desc in _types(unit.desc):
                if desc.parent is not None and keyword.iskeyword(desc.name):
                    text = f"{desc.type_name} is called like a keyword of Python, and is within another message"
                    generation.reading.problem(desc, text, "Rename it, or use --messages protobuf-py.")

    def files(self, generation: Generation) -> Mapping[str, str]:
        names = [unit.desc.name for unit in generation.units]
        protos = [as_written(one) for one in FileDescriptorSet.from_binary(generation.descriptor_set).file]
        compiled = compile_python(FileDescriptorSet(file=protos).to_binary(), names)
        stubs = stubs_of(protos, {unit.desc.name: module_of(unit.desc, "_pb2") for unit in generation.units})
        relocation = Relocation({protoc_module(one.name): _module(one) for one in _all_files(generation)})
        files = {}
        for unit in generation.units:
            messages = start(unit.desc, "_pb", f"The messages of {unit.desc.name}.")
            files[messages.path] = _reexports(unit, messages)
            source = start(unit.desc, "_pb2", "")
            text = compiled[protoc_module(unit.desc.name).replace(".", "/") + ".py"]
            files[source.path] = _lines(header(unit.desc), relocation.python(text, source, _prologue(unit, text)))
            stub = relocation.stub(stubs[unit.desc.name], source)
            files[f"{source.path}i"] = _lines([*header(unit.desc), PYRIGHT], stub)
        return files


def _lines(above: Iterable[str], text: str) -> str:
    return "\n".join([*above, text.rstrip("\n"), ""])


def _prologue(unit: FileUnit, text: str) -> list[str]:
    """The check of the runtime's version comes before protobuf's own, because it says what to do."""
    version = _VERSION.search(text)
    if version is None:
        raise GeneratorError(f"protoc does not say which protobuf its code for {unit.desc.name} needs")
    return [
        "from restate_protocol.google.pool import add_file as _add_file, require_protobuf as _require_protobuf",
        f'_require_protobuf(__name__, "{version[1]}")',
    ]


def _all_files(generation: Generation) -> Iterator[DescFile]:
    """Every file that a user's may import; the well-known ones come with protobuf and stay where they are."""
    known = [one for one in generation.reading.registry if isinstance(one, DescFile)]
    return (one for one in known if not one.name.startswith(_WELL_KNOWN))


def _module(file: DescFile) -> str:
    return f"{_OURS}.{protoc_module(file.name)}" if is_bundled(file.name) else module_of(file, "_pb2")


def _types(file: DescFile) -> Iterator[DescMessage | DescEnum]:
    yield from file.enums
    for message in all_messages(file):
        yield message
        yield from message.nested_enums


def _symbol(desc: DescMessage | DescEnum) -> Symbol:
    if is_bundled(desc.file.name):
        package = desc.file.proto.package
        return Symbol(f"{_OURS}.{protoc_module(desc.file.name)}", desc.type_name.removeprefix(f"{package}."))
    return Symbol(module_of(desc.file, "_pb"), Ident.for_desc(desc).name)


def _element_type(element: ScalarType | DescMessage | DescEnum, source: Source) -> str:
    match element:
        case ScalarType():
            return source.builtin(SCALARS[element])
        case DescEnum():
            symbol = _symbol(element)
            return source.use(Symbol(symbol.module, f"{symbol.name}.ValueType"))
        case DescMessage():
            return source.use(_symbol(element))


def _reexports(unit: FileUnit, source: Source) -> str:
    descs: list[DescMessage | DescEnum] = [*unit.desc.enums, *unit.desc.messages]
    names = sorted(f"{one.name} as {_public_name(one)}" for one in descs if not keyword.iskeyword(one.name))
    module = PurePosixPath(source.path).stem + "2"
    for line in from_import(f".{module}", names) if names else []:
        source.line(line)
    _keywords(source, module, [one for one in descs if keyword.iskeyword(one.name)])
    source.blank()
    source.call("__all__ = ", sorted(f'"{_public_name(one)}"' for one in descs), "[]")
    return source.text()


def _public_name(desc: DescMessage | DescEnum) -> str:
    return Ident.for_desc(desc).name


def _keywords(source: Source, module: str, descs: Sequence[DescMessage | DescEnum]) -> None:
    """Python cannot import what is called like a keyword; the stubs have it under a name of their own."""
    if not descs:
        return
    source.define(*map(_public_name, descs))
    type_checking = source.use(Symbol("typing", "TYPE_CHECKING"))
    source.blank()
    with source.block(f"if {type_checking}:"):
        for desc in descs:
            source.line(f"from .{module} import _r_{desc.name} as {_public_name(desc)}")
    with source.block("else:"):
        source.line(f"from . import {module} as _messages")
        source.blank()
        for desc in descs:
            source.line(f'{_public_name(desc)} = getattr(_messages, "{desc.name}")')
