"""Emits `_restate`: typed errors, descriptors and clients of one file. It needs no handler SDK."""

from __future__ import annotations

from protobuf import DescMessage
from restate_protocol.contract.model import Handler
from restate_protocol.services import HandlerMode, ServiceKind

from restate_codegen.comments import comment_of
from restate_codegen.model import FileUnit, Generation, ServiceUnit
from restate_codegen.naming import snake_case, upper_case
from restate_codegen.writer import Item, Source, Symbol, from_import

from . import descriptors, handlers
from .flavour import MessageFlavour
from .header import start
from .names import ServiceNames, error_name, handler_names, module_of

SUFFIX = "_restate"

_TYPING = "typing"
_CALLERS = "restate_protocol.callers"
_ERRORS = "restate_protocol.errors"
_LAZY = "restate_protocol.lazy"
_SERVICES = "restate_protocol.services"
_STUB = "restate_client.stub"


def emit_clients(generation: Generation, unit: FileUnit, flavour: MessageFlavour) -> Source:
    """The `_restate` module of a file with services or errors."""
    source = start(unit.desc, SUFFIX, f"Clients, services and errors of {unit.desc.name}.")
    _define(source, unit)
    _own_errors(source, unit, flavour)
    errors = _Errors(generation, unit, source)
    errors.emit_imports()
    public = _public_names(unit, errors)
    if not unit.services:
        source.blank(2)
        source.call("__all__ = ", public, "[]")
        return source
    typevar = _typevar(source)
    for service in unit.services:
        source.blank(1 if service is unit.services[0] else 2)
        constants = _descriptors(source, generation, service, flavour, errors)
        _client(source, generation, service, flavour, typevar, constants)
    _handlers_on_demand(source, unit, public)
    return source


def _define(source: Source, unit: FileUnit) -> None:
    for service in unit.services:
        names = ServiceNames(service.name)
        source.define(names.constant, names.client, *handler_names(service))
        source.members(*(snake_case(one.name) for one in service.contract.handlers))
    source.define(*map(error_name, unit.errors))


def _own_errors(source: Source, unit: FileUnit, flavour: MessageFlavour) -> None:
    for message in unit.errors:
        base = source.use(Symbol(_ERRORS, "TypedError"))
        detail = source.use(flavour.message(message))
        source.blank(2)
        with source.block(f"class {error_name(message)}({base}[{detail}]):"):
            source.docstring(comment_of(message) or f"A terminal error that carries a {message.type_name}.")
            source.blank()
            source.line(f'detail_type = "{message.type_name}"')
            source.line(f"detail_class = {detail}")


class _Errors:
    """The exceptions that a file's services name, wherever they are defined."""

    def __init__(self, generation: Generation, unit: FileUnit, source: Source) -> None:
        self._source = source
        self._own = {message.type_name: error_name(message) for message in unit.errors}
        self._foreign: dict[str, tuple[str, str, str]] = {}
        names = [name for one in unit.services for handler in one.contract.handlers for name in handler.errors]
        for name in names:
            if name not in self._own and name not in self._foreign:
                self._foreign[name] = self._claim(generation.message(name))

    def name(self, message: str) -> str:
        """What to write for the exception of an error message."""
        return self._own.get(message) or self._foreign[message][2]

    def names(self) -> list[str]:
        """All of them, as the module has them."""
        return [*self._own.values(), *(local for _, _, local in self._foreign.values())]

    def emit_imports(self) -> None:
        """Imports come after the file's own errors: two files may each name the other's."""
        by_module: dict[str, list[str]] = {}
        for module, written, local in self._foreign.values():
            by_module.setdefault(module, []).append(f"{written} as {local}")
        if by_module:
            self._source.blank(2)
            self._source.line("# After the errors of this file, because files may name each other's.")
        for module, names in sorted(by_module.items()):
            for line in from_import(module, sorted(names)):
                self._source.line(line)

    def _claim(self, message: DescMessage) -> tuple[str, str, str]:
        module = self._source.relative(module_of(message.file, SUFFIX))
        name = error_name(message)
        return module, name, self._source.claim(name)


def _typevar(source: Source) -> str:
    caller = source.use(Symbol(_CALLERS, "Caller"))
    make = source.use(Symbol(_TYPING, "TypeVar"))
    name = source.claim("C_co")
    source.blank(2)
    source.line(f'{name} = {make}("{name}", bound={caller}, covariant=True)')
    return name


def _descriptors(
    source: Source, generation: Generation, service: ServiceUnit, flavour: MessageFlavour, errors: _Errors
) -> list[str]:
    """The descriptors of a service and its handlers; gives the handlers' constants."""
    names = ServiceNames(service.name)
    constants = []
    for handler in service.contract.handlers:
        constant = source.claim(f"_{names.constant}_{upper_case(handler.name)}")
        arguments = _handler_arguments(source, generation, service, handler, flavour, errors)
        source.call(f"{constant} = {source.use(Symbol(_SERVICES, 'HandlerDescriptor'))}", arguments)
        constants.append(constant)
    _service_descriptor(source, service, constants)
    return constants


def _handler_arguments(
    source: Source,
    generation: Generation,
    service: ServiceUnit,
    handler: Handler,
    flavour: MessageFlavour,
    errors: _Errors,
) -> list[str]:
    request = generation.message(handler.request)
    arguments = [
        f'"{service.contract.name}"',
        f'"{handler.name}"',
        f'"{snake_case(handler.name)}"',
        _mode(source, handler.mode),
        source.use(flavour.message(request)),
        source.use(flavour.message(generation.message(handler.response))),
    ]
    attributes = {field.name: flavour.attribute(field) for field in request.fields}
    if handler.key is not None:
        arguments.append(f'key_field="{attributes[handler.key.name]}"')
    if handler.idempotency is not None:
        arguments.append(f'idempotency_field="{attributes[handler.idempotency]}"')
    if handler.errors:
        classes = ", ".join(map(errors.name, handler.errors))
        arguments.append(f"errors=({classes}{',' if len(handler.errors) == 1 else ''})")
    if handler.no_side_effects:
        arguments.append("no_side_effects=True")
    return arguments


def _mode(source: Source, mode: HandlerMode) -> str:
    return f"{source.use(Symbol(_SERVICES, 'HandlerMode'))}.{mode.name}"


def _service_descriptor(source: Source, service: ServiceUnit, constants: list[str]) -> None:
    key_type = service.contract.key_type
    file_set = source.use(Symbol(module_of(service.desc.file, descriptors.SUFFIX), "file_set"))
    arguments: list[Item] = [
        f'"{service.contract.name}"',
        f"{source.use(Symbol(_SERVICES, 'ServiceKind'))}.{service.contract.kind.name}",
        constants,
        source.builtin(key_type.__name__) if key_type is not None else "None",
        file_set,
    ]
    constant, descriptor = ServiceNames(service.name).constant, source.use(Symbol(_SERVICES, "ServiceDescriptor"))
    # The type is written out because type checkers meet the constant in the handler half, within an import cycle.
    source.call(f"{constant}: {descriptor} = {descriptor}", arguments)


def _client(
    source: Source,
    generation: Generation,
    service: ServiceUnit,
    flavour: MessageFlavour,
    typevar: str,
    constants: list[str],
) -> None:
    names = ServiceNames(service.name)
    base = source.use(Symbol(_STUB, "Client"))
    source.blank(2)
    with source.block(f"class {names.client}({base}[{typevar}]):"):
        source.docstring(
            comment_of(service.desc) or f"Calls {service.contract.name}, a {_KINDS[service.contract.kind]}."
        )
        for method, handler, constant in zip(service.desc.methods, service.contract.handlers, constants, strict=True):
            request = source.use(flavour.message(generation.message(handler.request)))
            response = source.use(flavour.message(generation.message(handler.response)))
            result = f"{source.use(Symbol(_STUB, 'Method'))}[{typevar}, {request}, {response}]"
            source.blank()
            source.line(f"@{source.builtin('property')}")
            with source.block(f"def {snake_case(handler.name)}(self) -> {result}:"):
                if comment := comment_of(method):
                    source.docstring(comment)
                source.line(f"return self._method({constant})")


_KINDS = {
    ServiceKind.SERVICE: "service",
    ServiceKind.VIRTUAL_OBJECT: "virtual object",
    ServiceKind.WORKFLOW: "workflow",
}


def _public_names(unit: FileUnit, errors: _Errors) -> list[str]:
    """What the module itself has for others, in quotes."""
    names = errors.names()
    for service in unit.services:
        names += [ServiceNames(service.name).constant, ServiceNames(service.name).client]
    return [f'"{name}"' for name in sorted(names)]


def _handlers_on_demand(source: Source, unit: FileUnit, own: list[str]) -> None:
    """Re-exports the handler half: to type checkers at once, to programs when they ask, by name or by star."""
    names = sorted(name for service in unit.services for name in handler_names(service))
    module = source.relative(module_of(unit.desc, handlers.SUFFIX))
    source.blank(2)
    source.line("# The handler half needs the SDK; callers do without.")
    with source.block(f"if {source.use(Symbol(_TYPING, 'TYPE_CHECKING'))}:"):
        for line in from_import(module, [f"{name} as {name}" for name in names]):
            source.line(line)
    lazy = source.use(Symbol(_LAZY, "lazy_attributes"))
    with source.block("else:"):
        source.call("_OWN = ", own, "[]")
        quoted = [f'"{name}"' for name in names]
        source.call(f"__getattr__ = {lazy}", ["__name__", f'"{module}"', *quoted, "own=_OWN"])
