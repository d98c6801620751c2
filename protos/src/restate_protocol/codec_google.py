"""The flavour google: messages of Google's protobuf. Nothing of it is imported before such a message turns up.

Its messages have no list or dict in their fields but containers of their own, which live as long as the message;
`field` copies them. Its parser of JSON takes `[]` for an empty message, which is refused here.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, MutableSequence
from typing import Any, TypeVar

from .codec_flavour import Flavour

M = TypeVar("M")

#: Messages that are something else than an object in JSON.
_WELL_KNOWN = "google.protobuf."


class Google(Flavour):
    """Messages of Google's protobuf."""

    name = "google"

    def owns(self, cls: type[Any]) -> bool:
        library: Any = sys.modules.get("google.protobuf.message")
        return library is not None and issubclass(cls, library.Message)

    def encode(self, message: Any) -> bytes:
        from google.protobuf.message import EncodeError

        try:
            data: bytes = message.SerializeToString(deterministic=True)
        except EncodeError as error:  # a required field of proto2 is not set
            raise ValueError(str(error)) from error
        return data

    def decode(self, cls: type[M], data: bytes) -> M:
        from google.protobuf.message import DecodeError

        any_cls: Any = cls
        try:
            message: M = any_cls.FromString(data)
        except DecodeError as error:
            raise ValueError(str(error)) from error
        return message

    def to_json(self, message: Any) -> str:
        from google.protobuf import json_format

        try:
            return json_format.MessageToJson(message, indent=None, ensure_ascii=False)
        except (json_format.Error, TypeError) as error:  # an Any of a type that is not loaded, for one
            raise ValueError(str(error)) from error

    def from_json(self, cls: type[M], text: str) -> M:
        from google.protobuf import json_format

        any_cls: Any = cls
        if not text.lstrip().startswith("{") and not self.full_name(cls).startswith(_WELL_KNOWN):
            raise ValueError(f"{self.full_name(cls)} in JSON is an object")
        try:
            message: M = json_format.Parse(text, any_cls())
        except json_format.Error as error:
            raise ValueError(str(error)) from error
        return message

    def full_name(self, cls: type[Any]) -> str:
        any_cls: Any = cls
        name: str = any_cls.DESCRIPTOR.full_name
        return name

    def with_field(self, cls: type[M], attribute: str, value: object) -> M:
        any_cls: Any = cls
        try:
            message: M = any_cls(**{attribute: value})
        except ValueError as error:  # a number out of range, or a field that is not there
            raise TypeError(f"{attribute} of {self.full_name(cls)}: {error}") from error
        return message

    def field(self, message: Any, attribute: str) -> Any:
        value = getattr(message, attribute)
        if isinstance(
            value, sys.modules["google.protobuf.message"].Message
        ):  # Struct and ListValue look like containers
            return value
        if isinstance(value, MutableMapping):
            return dict(value)
        return list(value) if isinstance(value, MutableSequence) else value

    def has(self, message: Any, attribute: str) -> bool:
        field = message.DESCRIPTOR.fields_by_name[attribute]
        return bool(message.HasField(attribute)) if field.has_presence else bool(getattr(message, attribute))

    def unknown(self, message: Any) -> dict[str, str]:
        from google.protobuf.unknown_fields import UnknownFieldSet

        fields: dict[str, list[str]] = {}
        kept: Any = UnknownFieldSet(message)
        for one in kept:
            fields.setdefault(f"unknown field {one.field_number}", []).append(_unknown_text(one.data))
        return {name: " ".join(values) for name, values in fields.items()}


def _unknown_text(data: Any) -> str:
    """A number, bytes, or the fields of a group."""
    if isinstance(data, bytes):
        return data.hex()
    if isinstance(data, int):
        return str(data)
    return f"({' '.join(f'{one.field_number}: {_unknown_text(one.data)}' for one in data)})"
