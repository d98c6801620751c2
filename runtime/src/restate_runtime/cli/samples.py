"""How to call each handler, as lines to paste: curl and grpcurl with JSON that the request's message accepts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from protobuf import DescEnum, DescField, DescMessage, ScalarType
from restate_protocol.contract.model import Service

from restate_runtime.deployments.schema import Schema

#: Messages within messages that a sample shows; deeper ones are left out.
MAX_DEPTH = 3

_WELL_KNOWN: dict[str, Any] = {
    "google.protobuf.Timestamp": "2026-01-01T00:00:00Z",
    "google.protobuf.Duration": "1s",
    "google.protobuf.FieldMask": "",
    "google.protobuf.Struct": {},
    "google.protobuf.Value": None,
    "google.protobuf.ListValue": [],
    "google.protobuf.Empty": {},
    "google.protobuf.BoolValue": True,
    "google.protobuf.StringValue": "text",
    "google.protobuf.BytesValue": "",
    **{f"google.protobuf.{name}Value": 1 for name in ("Int32", "Int64", "UInt32", "UInt64", "Float", "Double")},
}
_TEXT = {ScalarType.STRING: None, ScalarType.BYTES: "", ScalarType.BOOL: True}


def call_lines(services: Iterable[Service], schema: Schema, addresses: Mapping[str, str]) -> list[str]:
    """For each public handler its name, then a curl and a grpcurl line.

    Args:
        addresses: host:port of `ingress_http` and `ingress_grpc`.
    """
    lines: list[str] = []
    for service in services:
        for handler in service.handlers:
            if handler.private:
                continue
            method = f"{service.name}/{handler.name}"
            body = _quoted(json.dumps(sample(schema, handler.request), ensure_ascii=False))
            lines += [
                f"{method}  ({handler.mode.value})",
                f"  curl -H 'content-type: application/json' -d {body} http://{addresses['ingress_http']}/{method}",
                f"  grpcurl -plaintext -d {body} {addresses['ingress_grpc']} {method}",
            ]
    return lines


def sample(schema: Schema, full_name: str) -> dict[str, Any]:
    """ProtoJSON of a message with something in each field; of a oneof only the first."""
    shown = _message(schema.message_type(full_name).desc(), MAX_DEPTH)
    return shown if isinstance(shown, dict) else {}


def _message(desc: DescMessage, depth: int) -> Any:
    if desc.type_name in _WELL_KNOWN:
        return _WELL_KNOWN[desc.type_name]
    if depth == 0 or desc.type_name == "google.protobuf.Any":
        return {}
    shown: dict[str, Any] = {}
    oneofs: set[str] = set()
    for field in desc.fields:
        oneof = getattr(field.value, "oneof", None)
        if oneof is not None and oneof.name in oneofs:
            continue
        if oneof is not None:
            oneofs.add(oneof.name)
        shown[field.json_name] = _field(field, depth)
    return shown


def _field(field: DescField, depth: int) -> Any:
    value: Any = field.value
    for name in ("scalar", "message", "enum"):
        if hasattr(value, name):
            return _one(getattr(value, name), field.name, depth)
    if hasattr(value, "element"):
        return [_one(value.element, field.name, depth)]
    return {_key(value.key): _one(value.value, field.name, depth)}


def _one(kind: ScalarType | DescMessage | DescEnum, name: str, depth: int) -> Any:
    match kind:
        case DescMessage():
            return _message(kind, depth - 1)
        case DescEnum():
            return kind.values[min(1, len(kind.values) - 1)].name
        case ScalarType.STRING:
            return name
        case _:
            return _TEXT.get(kind, 1)


def _key(kind: ScalarType) -> str:
    return {ScalarType.STRING: "key", ScalarType.BOOL: "true"}.get(kind, "1")


def _quoted(text: str) -> str:
    """As one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
