"""JSON Schema of messages and enums, as ProtoJSON writes them.

https://protobuf.dev/programming-guides/json: 64-bit integers are texts, bytes are base64, well-known types have forms
of their own. Invariant: what the ingress answers fits the schema; what fits it may still break a rule of the contract.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    ScalarType,
)

from .openapi_comments import comment_of
from .openapi_rules import constrained, rules_of

REF = "#/components/schemas/"

Node = dict[str, Any]

_INT64: Node = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
_UINT64: Node = {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}
_INT32: Node = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Node = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}
_FLOAT: Node = {"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}

_SCALARS: dict[ScalarType, Node] = {
    ScalarType.DOUBLE: _FLOAT,
    ScalarType.FLOAT: _FLOAT,
    ScalarType.INT64: _INT64,
    ScalarType.SINT64: _INT64,
    ScalarType.SFIXED64: _INT64,
    ScalarType.UINT64: _UINT64,
    ScalarType.FIXED64: _UINT64,
    ScalarType.INT32: _INT32,
    ScalarType.SINT32: _INT32,
    ScalarType.SFIXED32: _INT32,
    ScalarType.UINT32: _UINT32,
    ScalarType.FIXED32: _UINT32,
    ScalarType.BOOL: {"type": "boolean"},
    ScalarType.STRING: {"type": "string"},
    ScalarType.BYTES: {"type": "string", "contentEncoding": "base64"},
}

#: What the keys of a map look like, as names in JSON.
_KEYS: dict[ScalarType, str] = {
    **dict.fromkeys((one for one, node in _SCALARS.items() if node in (_INT64, _INT32)), "^-?[0-9]+$"),
    **dict.fromkeys((one for one, node in _SCALARS.items() if node in (_UINT64, _UINT32)), "^[0-9]+$"),
    ScalarType.BOOL: "^(true|false)$",
}

_ANY_MESSAGE: Node = {
    "type": "object",
    "description": "Any message, with its type.",
    "properties": {"@type": {"type": "string", "description": "type.googleapis.com/ and the full name."}},
    "additionalProperties": True,
}

_WELL_KNOWN: dict[str, Node] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["1.5s"]},
    "google.protobuf.FieldMask": {"type": "string", "description": "Paths of fields, with commas between."},
    "google.protobuf.Any": _ANY_MESSAGE,
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
    "google.protobuf.DoubleValue": _FLOAT,
    "google.protobuf.FloatValue": _FLOAT,
    "google.protobuf.Int64Value": _INT64,
    "google.protobuf.UInt64Value": _UINT64,
    "google.protobuf.Int32Value": _INT32,
    "google.protobuf.UInt32Value": _UINT32,
}


class Schemas:
    """The schemas of one descriptor set, each under the full name of its message or enum.

    Args:
        suffix: what comes after each name.

    Attributes:
        found: what was asked for, and all that it refers to.
    """

    def __init__(self, suffix: str = "") -> None:
        self.found: dict[str, Node] = {}
        self._suffix = suffix

    def ref(self, desc: DescMessage | DescEnum) -> Node:
        """Where a message or enum is used."""
        known = _WELL_KNOWN.get(desc.type_name)
        if known is not None:
            return dict(known)
        if desc.type_name == "google.protobuf.NullValue":
            return {"type": "null"}
        name = desc.type_name + self._suffix
        if name not in self.found:
            self.found[name] = {}  # messages may contain themselves
            self.found[name] = self._message(desc) if isinstance(desc, DescMessage) else _enum(desc)
        return {"$ref": REF + name}

    def _message(self, desc: DescMessage) -> Node:
        node: Node = {"type": "object", **described(desc)}
        required: list[str] = []
        properties = {field.json_name: self._field(field, required) for field in desc.fields}
        if properties:
            node["properties"] = properties
        if required:
            node["required"] = required
        pairs = [
            list(pair) for oneof in desc.oneofs for pair in combinations([one.json_name for one in oneof.fields], 2)
        ]
        if pairs:
            # At most one field of each oneof: no two of them together.
            node["not"] = {"anyOf": [{"required": pair} for pair in pairs]}
        return node

    def _field(self, field: DescField, required: list[str]) -> Node:
        node, rules = self._value(field), rules_of(field)
        if rules is not None:
            node = constrained(rules, node)
            if rules.required:
                required.append(field.json_name)
        return {**node, **described(field)}

    def _value(self, field: DescField) -> Node:
        match field.value:
            case DescFieldValueList(element=element):
                return {"type": "array", "items": self._single(element)}
            case DescFieldValueMap(key=key, value=value):
                node: Node = {"type": "object", "additionalProperties": self._single(value)}
                return {**node, "propertyNames": {"pattern": _KEYS[key]}} if key in _KEYS else node
            case DescFieldValueMessage(message=message):
                return self.ref(message)
            case DescFieldValueEnum(enum=enum):
                return self.ref(enum)
            case scalar:
                return dict(_SCALARS[scalar.scalar])

    def _single(self, element: DescMessage | DescEnum | ScalarType) -> Node:
        return dict(_SCALARS[element]) if isinstance(element, ScalarType) else self.ref(element)


def described(desc: Any) -> Node:
    """The comment in the contract, where it is stored, and whether it is deprecated."""
    comment = comment_of(desc)
    node: Node = {"description": comment} if comment else {}
    return {**node, "deprecated": True} if getattr(desc, "deprecated", False) else node


def _enum(desc: DescEnum) -> Node:
    return {"type": "string", "enum": [value.name for value in desc.values], **described(desc)}
