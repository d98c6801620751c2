"""The names that generated Python has, and the collisions among them. The only place that joins names and suffixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protobuf import DescField, DescFile, DescMessage
from protobuf.plugin import Module
from restate_protocol.contract.reading import Element, Reading
from restate_protocol.services import ServiceKind

from restate_codegen.model import FileUnit, Generation, ServiceUnit
from restate_codegen.naming import error_class_name, identifier, snake_case, upper_case


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """What is generated for one service.

    Args:
        service: name of the service without its package.
    """

    service: str

    @property
    def constant(self) -> str:
        """The ServiceDescriptor."""
        return upper_case(self.service)

    @property
    def client(self) -> str:
        """The client class."""
        return f"{self.service}Client"

    @property
    def handlers(self) -> str:
        """The base class of the user's handlers."""
        return f"{self.service}Handlers"

    @property
    def context(self) -> str:
        """The context of exclusive, run and plain handlers."""
        return f"{self.service}Context"

    @property
    def shared_context(self) -> str:
        """The context of shared handlers."""
        return f"{self.service}SharedContext"

    @property
    def state(self) -> str:
        """The state that may be written."""
        return f"{self.service}StateFields"

    @property
    def shared_state(self) -> str:
        """The state that may only be read."""
        return f"{self.service}SharedStateFields"

    @property
    def promises(self) -> str:
        """The promises of a workflow."""
        return f"{self.service}PromiseFields"


def handler_names(service: ServiceUnit) -> list[str]:
    """What the `_restate_handlers` module defines for a service, in order."""
    names = ServiceNames(service.name)
    found: list[str] = []
    if service.contract.state is not None:
        found += [names.state, names.shared_state]
    if service.contract.promises is not None:
        found.append(names.promises)
    found.append(names.context)
    if service.contract.kind is not ServiceKind.SERVICE:
        found.append(names.shared_context)
    return [*found, names.handlers]


def error_name(message: DescMessage) -> str:
    """The exception generated for an error message."""
    package = message.file.proto.package
    return error_class_name(message.type_name.removeprefix(f"{package}." if package else ""))


def module_of(file: DescFile, suffix: str) -> str:
    """The module generated for a file, relative to the root of the output: `.shop.v1.cart` and the suffix."""
    return Module.for_desc(file, suffix).path


def note_collisions(generation: Generation) -> None:
    """Notes a problem for each two things that would have one name, and for names that Python keeps to itself."""
    reading = generation.reading
    _note_twice(reading, ((module_of(unit.desc, "_pb"), unit.desc.name, unit.desc) for unit in generation.units))
    for unit in generation.units:
        _note_twice(reading, _defined(unit))
        _note_underscores(reading, [(one.name, one.desc) for one in unit.services])
        for service in unit.services:
            methods = service.desc.methods
            _note_members(reading, [(snake_case(one.name), one.name, one) for one in methods])
            for name in (service.contract.state, service.contract.promises):
                fields = _fields(generation, name)
                _note_members(reading, [(identifier(one.name), one.name, one) for one in fields])


def _fields(generation: Generation, message: str | None) -> list[DescField]:
    desc = generation.reading.registry.message(message) if message else None
    return list(desc.fields) if desc is not None else []


def _defined(unit: FileUnit) -> Iterator[tuple[str, str, Element]]:
    """What the modules of a file define: the name, for what, and where that is."""
    for message in unit.errors:
        yield error_name(message), message.type_name, message
    for service in unit.services:
        names = ServiceNames(service.name)
        for name in (names.constant, names.client, *handler_names(service)):
            yield name, service.desc.type_name, service.desc


def _note_members(reading: Reading, members: Sequence[tuple[str, str, Element]]) -> None:
    _note_underscores(reading, [(written, element) for _, written, element in members])
    _note_twice(reading, members)


def _note_underscores(reading: Reading, names: Iterable[tuple[str, Element]]) -> None:
    for name, element in names:
        if name.startswith("_"):
            text = f"{name} begins with an underscore, which Python keeps for private names"
            reading.problem(element, text, "Rename it.")


def _note_twice(reading: Reading, names: Iterable[tuple[str, str, Element]]) -> None:
    first: dict[str, str] = {}
    for name, source, element in names:
        other = first.setdefault(name, source)
        if other != source:
            text = f"{source} and {other} would both be `{name}` in Python"
            reading.problem(element, text, "Rename one of them.")
