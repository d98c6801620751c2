"""The messages of one descriptor set: checking, reading keys, JSON, rules, and the files for reflection.

One Schema holds one private registry; nothing here touches a global pool, so two deployments may define the same
name differently. Messages stay inside: callers pass bytes and get bytes, text, keys or errors.

Invariant: bytes that come in are never re-encoded; a method either accepts them as they are or raises
InvalidMessage.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from typing import Any

from protobuf import DescFile, DescMessage, DescService, Message, Registry
from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from protovalidate import CompilationError, EvaluationError, ValidationError, Validator
from restate_protocol.contract.model import Handler, KeyField
from restate_protocol.immutable import immutable

from .json_names import TwoNames, refuse_two_names
from .json_problems import MAX_JSON_DEPTH, Problem, locate, too_deep
from .json_text import DuplicateName, parse

# What protobuf-py raises for bytes or JSON that are not the message; OverflowError is an integer out of range.
_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, EOFError)


class SchemaError(ValueError):
    """A descriptor set that cannot be used: not one, incomplete, or with rules that do not compile."""


@immutable
class Violation:
    """What is wrong with one field.

    Args:
        field: path from the top of the message (`items[0].count`); empty where it is the message itself.
        description: what is wrong, for people.
    """

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class Fault(enum.Enum):
    """In which way a message is not what the contract says."""

    UNREADABLE = "unreadable"  # not the message, or a value of the wrong type
    UNKNOWN_FIELD = "unknown field"  # JSON with a name that the message does not have
    RULE = "rule"  # a protovalidate rule is broken
    KEY = "key"  # the key is missing or empty


class InvalidMessage(ValueError):
    """A message that is not what the contract says.

    Args:
        type_name: full name of the message.
        violations: what is wrong; at least one.
        fault: in which way.
    """

    def __init__(self, type_name: str, violations: tuple[Violation, ...], fault: Fault = Fault.UNREADABLE) -> None:
        super().__init__(f"not a valid {type_name}: " + "; ".join(map(str, violations)))
        self.type_name = type_name
        self.violations = violations
        self.fault = fault


@immutable
class Request:
    """What the ingress reads from a request.

    Args:
        key: in canonical form, None for plain services.
        idempotency_key: from the annotated field; None where there is none or it is empty.
    """

    key: str | None
    idempotency_key: str | None


class Schema:
    """Everything that is known from one serialized google.protobuf.FileDescriptorSet.

    Args:
        descriptor_set: the set, complete with all imports, in any order.

    Raises:
        SchemaError: it is not a descriptor set, or an import is missing.
    """

    __slots__ = ("_types", "_validator", "descriptor_set", "registry")

    def __init__(self, descriptor_set: bytes) -> None:
        self.descriptor_set = descriptor_set
        self.registry: Registry = _registry(descriptor_set)
        self._types: dict[str, type[Message[Any]]] = {}
        self._validator: Validator | None = None

    # Messages

    def message_type(self, full_name: str) -> type[Message[Any]]:
        """The class of a message, made from the descriptors.

        Raises:
            SchemaError: the set does not define it.
        """
        known = self._types.get(full_name)
        if known is None:
            desc = self.registry.message(full_name)
            if desc is None:
                raise SchemaError(f"the descriptor set does not define the message {full_name}")
            known = self._types[full_name] = desc.type
        return known

    def has(self, full_name: str) -> bool:
        """Whether the set defines the message."""
        return self.registry.message(full_name) is not None

    def decode(self, full_name: str, data: bytes) -> Message[Any]:
        """The message in these bytes. For reading only: bytes are never made from it again.

        Raises:
            InvalidMessage: they are not such a message.
        """
        try:
            return self.message_type(full_name).from_binary(data)
        except SchemaError:
            raise
        except _UNREADABLE as error:
            raise _invalid(full_name, "", f"the bytes are not this message ({error})") from None

    def check(self, full_name: str, data: bytes) -> None:
        """Accepts bytes that are such a message. Rules are not looked at.

        Raises:
            InvalidMessage: they are not.
        """
        self.decode(full_name, data)

    def validate(self, full_name: str, data: bytes) -> None:
        """Accepts bytes that are such a message and keep its protovalidate rules.

        Raises:
            InvalidMessage: they are not, or do not; with the paths of the fields.
        """
        self._check_rules(full_name, self.decode(full_name, data))

    def field(self, full_name: str, data: bytes, field_name: str) -> Any:
        """The value of one top-level field, by its name in the contract; its default where it is absent.

        Raises:
            InvalidMessage: the bytes are not such a message.
            SchemaError: the message has no such field.
        """
        message = self.decode(full_name, data)
        for desc in message.desc().fields:
            if desc.name == field_name:
                return message[desc]
        raise SchemaError(f"{full_name} has no field {field_name}")

    # JSON

    def to_json(self, full_name: str, data: bytes) -> str:
        """ProtoJSON of a message.

        Raises:
            InvalidMessage: the bytes are not such a message, or it has no JSON form.
        """
        message = self.decode(full_name, data)
        try:
            return message.to_json(registry=self.registry)
        except _UNREADABLE as error:
            raise _invalid(full_name, "", f"it has no JSON form ({error})") from None

    def from_json(self, full_name: str, text: str | bytes) -> bytes:
        """The bytes of a message from ProtoJSON. Unknown fields are refused.

        Raises:
            InvalidMessage: it is not such a message; with the path of the field where that can be told.
        """
        return self._from_json(full_name, text).to_binary()

    def _from_json(self, full_name: str, text: str | bytes) -> Message[Any]:
        # The parser of protobuf-py recurses natively; what is nested too deep would overflow the stack.
        if too_deep(text):
            raise _invalid(
                full_name, "", f"the JSON is nested deeper than {MAX_JSON_DEPTH} levels or its brackets do not match"
            )
        cls = self.message_type(full_name)
        try:
            # Parsed twice: the parser of protobuf-py is fast and keeps the last of two equal names in silence.
            message = cls.from_json(text, registry=self.registry)
            refuse_two_names(cls.desc(), text, parse(text), self.registry)
        except json.JSONDecodeError as error:
            raise _invalid(full_name, "", f"not JSON ({error})") from None
        except DuplicateName as error:
            raise _invalid(full_name, "", str(error)) from None
        except TwoNames as error:
            raise _invalid(full_name, error.path, str(error)) from None
        except _UNREADABLE as error:
            problem = locate(cls.desc(), text, self.registry) or Problem("", str(error))
            fault = Fault.UNKNOWN_FIELD if problem.unknown else Fault.UNREADABLE
            raise _invalid(full_name, problem.path, problem.message, fault) from None
        return message

    # Requests

    def reader(self, handler: Handler) -> RequestReader:
        """How the requests of a handler are read. Worth keeping: this is where the names are looked up."""
        return RequestReader(self, handler)

    def key_of(self, handler: Handler, data: bytes) -> str | None:
        """The key of a request in canonical form (UTF-8 text or decimal); None for plain services.

        Raises:
            InvalidMessage: not such a message, or the key is missing.
        """
        if handler.key is None:
            return None
        return _read_key(handler, handler.key, self.decode(handler.request, data), _local(self, handler))

    def response_of(self, service: str, handler: str) -> str | None:
        """Full name of a handler's response message; None where the set does not define the handler."""
        desc = self.registry.service(service)
        methods = () if desc is None else desc.methods
        return next((one.output.type_name for one in methods if one.name == handler), None)

    # Rules

    def check_rules(self, full_name: str) -> None:
        """Compiles the protovalidate rules of a message, so that registration can refuse bad ones.

        Raises:
            SchemaError: a rule does not compile.
        """
        try:
            self._rules().collect_violations(self.message_type(full_name)())
        except CompilationError as error:
            raise SchemaError(f"the validation rules of {full_name} do not compile: {error}") from None
        except EvaluationError:
            pass  # depends on the value, which is empty here

    def _rules(self) -> Validator:
        if self._validator is None:
            self._validator = Validator(self.registry)
        return self._validator

    def _check_rules(self, full_name: str, message: Message[Any]) -> None:
        try:
            self._rules().validate(message)
        except ValidationError as error:
            raise InvalidMessage(full_name, tuple(map(_violation, error.violations)), Fault.RULE) from None
        except EvaluationError as error:
            raise _invalid(full_name, "", f"a validation rule failed ({error})", Fault.RULE) from None
        except CompilationError as error:
            raise SchemaError(f"the validation rules of {full_name} do not compile: {error}") from None

    # Files, for reflection

    def file(self, name: str) -> DescFile | None:
        """A file by its name in the set."""
        return self.registry.file(name)

    def file_of(self, symbol: str) -> DescFile | None:
        """The file that defines a service, method, message, field, enum, enum value or extension."""
        parent, _, last = symbol.rpartition(".")
        known = self._defined(symbol)
        if known is not None:
            return known
        holder = self.registry.service(parent) or self.registry.message(parent) or self.registry.enum(parent)
        if holder is None or last not in _member_names(holder):
            return None
        return holder.file

    def _defined(self, symbol: str) -> DescFile | None:
        reg = self.registry
        desc = reg.service(symbol) or reg.message(symbol) or reg.enum(symbol) or reg.extension(symbol)
        return None if desc is None else desc.file


class RequestReader:
    """How the requests of one handler are read, worked out once."""

    __slots__ = ("_cls", "_handler", "_idempotency", "_key", "_key_local", "_name", "_schema")

    def __init__(self, schema: Schema, handler: Handler) -> None:
        self._schema = schema
        self._handler = handler
        self._name = handler.request
        self._cls = schema.message_type(handler.request)
        self._key = handler.key
        self._key_local = "" if handler.key is None else _local(schema, handler)
        self._idempotency = None if handler.idempotency is None else _local_name(self._cls, handler.idempotency)

    def read(self, data: bytes) -> Request:
        """Checks a request in full and reads its keys: decoded once, rules included.

        Raises:
            InvalidMessage: not such a message, a rule is broken, or the key is missing.
        """
        try:
            message = self._cls.from_binary(data)
        except _UNREADABLE as error:
            raise _invalid(self._name, "", f"the bytes are not this message ({error})") from None
        return self._read(message)

    def read_json(self, text: str | bytes) -> tuple[Request, bytes]:
        """As `read`, from ProtoJSON; with the bytes of the message.

        Raises:
            InvalidMessage: not such a message, a rule is broken, or the key is missing.
        """
        message = self._schema._from_json(self._name, text)
        return self._read(message), message.to_binary()

    def _read(self, message: Message[Any]) -> Request:
        self._schema._check_rules(self._name, message)
        key = None if self._key is None else _read_key(self._handler, self._key, message, self._key_local)
        if self._idempotency is None:
            return Request(key, None)
        value = getattr(message, self._idempotency)
        return Request(key, str(value) if value else None)


def _read_key(handler: Handler, field: KeyField, message: Message[Any], local: str) -> str:
    """The key in canonical form. An integer 0 counts only where `optional` tells it from absent."""
    value = getattr(message, local)
    if field.type is str:
        if value:
            return str(value)
    elif value or (field.optional and message.has_field(field.name)):
        return str(value)
    raise _invalid(handler.request, field.name, "the key is missing or empty", Fault.KEY)


def _local(schema: Schema, handler: Handler) -> str:
    assert handler.key is not None
    return _local_name(schema.message_type(handler.request), handler.key.name)


def _local_name(cls: type[Message[Any]], field_name: str) -> str:
    """The Python name of a field; keywords differ from the contract's."""
    for desc in cls.desc().fields:
        if desc.name == field_name:
            return desc.local_name
    raise SchemaError(f"{cls.desc().type_name} has no field {field_name}")


def _invalid(type_name: str, path: str, description: str, fault: Fault = Fault.UNREADABLE) -> InvalidMessage:
    return InvalidMessage(type_name, (Violation(path, description),), fault)


def _violation(found: Any) -> Violation:
    """A violation of protovalidate, with its path as text."""
    path = ""
    for element in () if found.proto.field is None else found.proto.field.elements:
        if element.field_name:
            path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            value = subscript.value
            path += f"[{json.dumps(value) if isinstance(value, str | bool) else value}]"
    return Violation(path, found.proto.message or found.proto.rule_id)


def _member_names(holder: Any) -> set[str]:
    if isinstance(holder, DescService):
        return {method.name for method in holder.methods}
    if isinstance(holder, DescMessage):
        return {field.name for field in holder.fields} | {oneof.name for oneof in holder.oneofs}
    return {value.name for value in holder.values}


def _registry(descriptor_set: bytes) -> Registry:
    try:
        files = FileDescriptorSet.from_binary(descriptor_set).file
    except _UNREADABLE as error:
        raise SchemaError(f"not a google.protobuf.FileDescriptorSet: {error}") from None
    ordered = FileDescriptorSet(file=list(_imports_first(files)))
    try:
        return ordered.to_registry()
    except (*_UNREADABLE, LookupError, AttributeError) as error:
        raise SchemaError(f"the descriptor set cannot be linked: {error}") from None


def _imports_first(files: list[FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    """The files so that each comes after its imports.

    Raises:
        SchemaError: an import is missing.
    """
    by_name = {file.name: file for file in files}
    done: set[str] = set()
    stack = [(file.name, False) for file in reversed(files)]
    while stack:
        name, imports_done = stack.pop()
        if name in done:
            continue
        if imports_done:
            done.add(name)
            yield by_name[name]
            continue
        stack.append((name, True))
        for dependency in by_name[name].dependency:
            if dependency not in by_name:
                raise SchemaError(f"{name} imports {dependency}, which is not in the descriptor set")
            if dependency not in done:
                stack.append((dependency, False))
