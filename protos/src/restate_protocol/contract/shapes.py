"""How fields look, in words a .proto uses. Pure functions over descriptors."""

from __future__ import annotations

from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    DescOneof,
    ScalarType,
)

INTEGERS = frozenset(
    {
        ScalarType.INT32,
        ScalarType.INT64,
        ScalarType.UINT32,
        ScalarType.UINT64,
        ScalarType.SINT32,
        ScalarType.SINT64,
        ScalarType.FIXED32,
        ScalarType.FIXED64,
        ScalarType.SFIXED32,
        ScalarType.SFIXED64,
    }
)


def type_text(field: DescField) -> str:
    """The type of a field as written in a .proto: `int64`, `repeated string`, `map<string, a.v1.Item>`."""
    match field.value:
        case DescFieldValueScalar(scalar=scalar):
            return _element_text(scalar)
        case DescFieldValueMessage(message=message):
            return _element_text(message)
        case DescFieldValueEnum(enum=enum):
            return _element_text(enum)
        case DescFieldValueList(element=element):
            return f"repeated {_element_text(element)}"
        case DescFieldValueMap(key=key, value=value):
            return f"map<{_element_text(key)}, {_element_text(value)}>"


def oneof_of(field: DescField) -> DescOneof | None:
    """The oneof a field is in, if any. The hidden oneof of an `optional` field does not count."""
    match field.value:
        case DescFieldValueScalar() | DescFieldValueMessage() | DescFieldValueEnum():
            return None if field.proto.proto3_optional else field.value.oneof
        case _:
            return None


def scalar_of(field: DescField) -> ScalarType | None:
    """The scalar type of a singular field; None for anything else."""
    return field.value.scalar if isinstance(field.value, DescFieldValueScalar) else None


def has_presence(field: DescField) -> bool:
    """Whether an absent value differs from the default: `optional`, message and proto2 fields."""
    match field.value:
        case DescFieldValueMessage():
            return True
        case DescFieldValueScalar() | DescFieldValueEnum():
            return field.presence.name != "IMPLICIT"
        case _:
            return False


def is_required(field: DescField) -> bool:
    """Whether it is a `required` field of proto2, or LEGACY_REQUIRED in an edition."""
    return field.presence.name == "LEGACY_REQUIRED"


def required_below(message: DescMessage) -> DescField | None:
    """The first `required` field in a message or in anything it contains."""
    seen: set[str] = set()
    todo = [message]
    while todo:
        one = todo.pop()
        if one.type_name in seen:
            continue
        seen.add(one.type_name)
        for field in one.fields:
            if is_required(field):
                return field
        todo += [inner for field in one.fields if (inner := _message_of(field)) is not None]
    return None


def _message_of(field: DescField) -> DescMessage | None:
    match field.value:
        case DescFieldValueMessage(message=message):
            return message
        case DescFieldValueList(element=DescMessage() as message) | DescFieldValueMap(value=DescMessage() as message):
            return message
        case _:
            return None


def _element_text(element: ScalarType | DescMessage | DescEnum) -> str:
    return element.name.lower() if isinstance(element, ScalarType) else element.type_name
