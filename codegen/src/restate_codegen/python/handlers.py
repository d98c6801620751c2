"""Emits `_restate_handlers`: contexts, typed state and promises, and the base classes of a file's handlers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from protobuf import DescField, DescMethod
from restate_protocol.contract.model import Field, Handler
from restate_protocol.services import HandlerMode, ServiceKind

from restate_codegen.comments import comment_of
from restate_codegen.model import FileUnit, Generation, ServiceUnit
from restate_codegen.naming import identifier, snake_case, upper_case
from restate_codegen.writer import Source, Symbol

from .flavour import MessageFlavour
from .header import start
from .names import ServiceNames, handler_names, module_of

SUFFIX = "_restate_handlers"

_STUB = "restate_sdk.stub"
_BASES = {
    ServiceKind.SERVICE: ("Context", "Context"),
    ServiceKind.VIRTUAL_OBJECT: ("ObjectContext", "ObjectSharedContext"),
    ServiceKind.WORKFLOW: ("WorkflowContext", "WorkflowSharedContext"),
}


def emit_handlers(generation: Generation, unit: FileUnit, flavour: MessageFlavour) -> Source:
    """The `_restate_handlers` module of a file with services."""
    source = start(unit.desc, SUFFIX, f"Handlers and contexts of {unit.desc.name}.")
    for service in unit.services:
        source.define(*handler_names(service))
        source.members(*(snake_case(one.name) for one in service.contract.handlers), "state", "promises")
        source.members(*(identifier(one.name) for one in service.contract.state_fields))
        source.members(*(identifier(one.name) for one in service.contract.promise_fields))
    for service in unit.services:
        _Emitter(source, generation, service, flavour).emit()
    return source


class _Emitter:
    """Writes what belongs to one service."""

    def __init__(self, source: Source, generation: Generation, service: ServiceUnit, flavour: MessageFlavour) -> None:
        self._source = source
        self._generation = generation
        self._service = service
        self._flavour = flavour
        self._names = ServiceNames(service.name)

    def emit(self) -> None:
        contract = self._service.contract
        if contract.state is not None:
            entries = self._entries("StateEntry", "STATE", contract.state, contract.state_fields)
            self._state(self._names.state, "StateFields", "StateField", entries)
            self._state(self._names.shared_state, "SharedStateFields", "SharedStateField", entries)
        if contract.promises is not None:
            entries = self._entries("PromiseEntry", "PROMISE", contract.promises, contract.promise_fields)
            self._promises(entries)
        own, shared = _BASES[contract.kind]
        self._context(self._names.context, own, self._names.state)
        if contract.kind is not ServiceKind.SERVICE:
            self._context(self._names.shared_context, shared, self._names.shared_state)
        self._handlers()

    def _stub(self, name: str) -> str:
        return self._source.use(Symbol(_STUB, name))

    def _entries(
        self, entry: str, middle: str, message: str, fields: tuple[Field, ...]
    ) -> list[tuple[Field, DescField, str]]:
        """One constant for each field of a state or promises message."""
        desc = self._generation.message(message)
        found = []
        self._source.blank(2)
        for field, field_desc in zip(fields, desc.fields, strict=True):
            constant = self._source.claim(f"_{self._names.constant}_{middle}_{upper_case(field.name)}")
            arguments = [
                f'"{field.name}"',
                str(field.number),
                f'"{self._flavour.attribute(field_desc)}"',
                self._source.use(self._flavour.message(desc)),
            ]
            if entry == "StateEntry":
                arguments.append(f"default={field.default}")
            self._source.call(f"{constant} = {self._stub(entry)}", arguments)
            found.append((field, field_desc, constant))
        return found

    def _state(self, name: str, base: str, field_class: str, entries: list[tuple[Field, DescField, str]]) -> None:
        writes = "The state" if base == "StateFields" else "The state, to be read only"
        with self._class(name, self._stub(base), f"{writes}: {self._service.contract.state}."):
            for field, desc, constant in entries:
                present = self._flavour.type_of(desc, self._source)
                value = present if field.default else f"{present} | None"
                self._field(desc, f"{self._stub(field_class)}[{value}]", constant)

    def _promises(self, entries: list[tuple[Field, DescField, str]]) -> None:
        doc = f"The durable promises: {self._service.contract.promises}."
        with self._class(self._names.promises, self._stub("PromiseFields"), doc):
            for _, desc, constant in entries:
                value = self._flavour.type_of(desc, self._source)
                self._field(desc, f"{self._stub('PromiseField')}[{value}]", constant)

    @contextmanager
    def _class(self, name: str, base: str, doc: str) -> Iterator[None]:
        self._source.blank(2)
        with self._source.block(f"class {name}({base}):"):
            self._source.docstring(doc)
            yield

    def _field(self, field: DescField, result: str, constant: str) -> None:
        self._property(identifier(field.name), result, f"return self._field({constant})", comment_of(field))

    def _property(self, name: str, result: str, body: str, doc: str = "") -> None:
        self._source.blank()
        self._source.line(f"@{self._source.builtin('property')}")
        with self._source.block(f"def {name}(self) -> {result}:"):
            if doc:
                self._source.docstring(doc)
            self._source.line(body)

    def _context(self, name: str, base: str, state: str) -> None:
        contract = self._service.contract
        key = f"[{self._source.builtin(contract.key_type.__name__)}]" if contract.key_type is not None else ""
        with self._class(name, self._stub(base) + key, _context_doc(base, contract.name)):
            if contract.state is not None:
                self._property("state", state, f"return {state}(self)")
            if contract.promises is not None:
                self._property("promises", self._names.promises, f"return {self._names.promises}(self)")

    def _handlers(self) -> None:
        contract, desc = self._service.contract, self._service.desc
        service = self._source.use(Symbol(module_of(desc.file, "_restate"), self._names.constant))
        doc = comment_of(desc) or f"Implements {contract.name}: one method for each rpc."
        with self._class(self._names.handlers, self._stub("Handlers"), doc):
            self._source.blank()
            self._source.line(f"__restate_service__ = {service}")
            contexts = [f'"{snake_case(one.name)}": {self._context_of(one)}' for one in contract.handlers]
            self._source.call("__restate_contexts__ = ", contexts, "{}")
            for handler, method in zip(contract.handlers, desc.methods, strict=True):
                self._handler(handler, method)

    def _context_of(self, handler: Handler) -> str:
        return self._names.shared_context if handler.mode is HandlerMode.SHARED else self._names.context

    def _handler(self, handler: Handler, method: DescMethod) -> None:
        request = self._source.use(self._flavour.message(self._generation.message(handler.request)))
        response = self._source.use(self._flavour.message(self._generation.message(handler.response)))
        arguments = ["self", f"ctx: {self._context_of(handler)}", f"request: {request}", "/"]
        self._source.blank()
        self._source.line(f"@{self._source.use(Symbol('abc', 'abstractmethod'))}")
        with self._source.function(f"async def {snake_case(handler.name)}", arguments, response):
            self._source.docstring(comment_of(method) or f"{handler.name} of {self._service.contract.name}.")


def _context_doc(base: str, service: str) -> str:
    return {
        "Context": f"What a handler of {service} may do.",
        "ObjectContext": f"What an exclusive handler of {service} may do, for one key at a time.",
        "ObjectSharedContext": f"What a shared handler of {service} may do.",
        "WorkflowContext": f"What the run handler of {service} may do, once for each key.",
        "WorkflowSharedContext": f"What the other handlers of {service} may do, before, during and after the run.",
    }[base]
