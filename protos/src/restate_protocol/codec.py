"""The codec seam: the only place that knows which library a user's messages come from.

Three flavours: protobuf-py (default), betterproto2, and Google's protobuf; the last two need not be installed. The
runtime never sees the user's classes; it works on bytes and descriptors. Bytes are journaled as first encoded and never
re-encoded, because not every flavour encodes maps in one order.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .codec_betterproto import BetterProto
from .codec_flavour import Flavour
from .codec_google import Google

M = TypeVar("M")


class ProtobufPy(Flavour):
    """Messages of protobuf-py."""

    name = "protobuf-py"

    def owns(self, cls: type[Any]) -> bool:
        from protobuf import Message

        return issubclass(cls, Message)

    def encode(self, message: Any) -> bytes:
        data: bytes = message.to_binary()
        return data

    def decode(self, cls: type[M], data: bytes) -> M:
        any_cls: Any = cls
        message: M = any_cls.from_binary(data)
        return message

    def to_json(self, message: Any) -> str:
        text: str = message.to_json()
        return text

    def from_json(self, cls: type[M], text: str) -> M:
        any_cls: Any = cls
        try:
            message: M = any_cls.from_json(text)
        except TypeError as error:  # it takes JSON that is no object for a mistake of the caller
            raise ValueError(str(error)) from error
        return message

    def full_name(self, cls: type[Any]) -> str:
        any_cls: Any = cls
        name: str = any_cls.desc().type_name
        return name

    def has(self, message: Any, attribute: str) -> bool:
        return bool(message.has_field(attribute))

    def unknown(self, message: Any) -> dict[str, str]:
        kept: dict[int, list[bytes]] = getattr(message, "_unknown_fields", None) or {}
        return {f"unknown field {number}": b"".join(values).hex() for number, values in kept.items()}


FLAVOURS: list[Flavour] = [ProtobufPy(), BetterProto(), Google()]

_by_class: dict[type[Any], Flavour] = {}


def flavour_of(cls: type[Any]) -> Flavour | None:
    """The flavour whose message this class is, or None where it is no message."""
    known = _by_class.get(cls)
    if known is None:
        known = next((flavour for flavour in FLAVOURS if flavour.owns(cls)), None)
        if known is not None:
            _by_class[cls] = known
    return known


def is_message(cls: type[Any]) -> bool:
    """Whether this class is a message of some flavour."""
    return flavour_of(cls) is not None


def _flavour(cls: type[Any]) -> Flavour:
    flavour = flavour_of(cls)
    if flavour is None:
        names = ", ".join(one.name for one in FLAVOURS)
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} is not a message of {names}")
    return flavour


def encode(message: Any) -> bytes:
    """Bytes of a message."""
    return _flavour(type(message)).encode(message)


def decode(cls: type[M], data: bytes) -> M:
    """A message from bytes.

    Raises:
        ValueError: they are not such a message.
    """
    return _flavour(cls).decode(cls, data)


def to_json(message: Any) -> str:
    """ProtoJSON of a message.

    Raises:
        ValueError: it holds an Any of a type that is not loaded.
    """
    return _flavour(type(message)).to_json(message)


def from_json(cls: type[M], text: str) -> M:
    """A message from ProtoJSON.

    Raises:
        ValueError: it is not such a message.
    """
    return _flavour(cls).from_json(cls, text)


def full_name(cls: type[Any]) -> str:
    """Full name of a message class, as in the contract."""
    return _flavour(cls).full_name(cls)


def with_field(cls: type[M], attribute: str, value: object) -> M:
    """A message with only one field, as state and promises are stored.

    Raises:
        TypeError: the value does not fit the field; some flavours say so only when the message is encoded.
    """
    return _flavour(cls).with_field(cls, attribute, value)


def field(message: Any, attribute: str) -> Any:
    """The value of a field, by its attribute in Python: a list where it is repeated, a dict where it is a map."""
    return _flavour(type(message)).field(message, attribute)


def has(message: Any, attribute: str) -> bool:
    """Whether a field is set; one without presence is set when it is not the default."""
    return _flavour(type(message)).has(message, attribute)


def unknown(message: Any) -> dict[str, str]:
    """Unknown fields of the message itself, as text for people: what differs in bytes differs here."""
    return _flavour(type(message)).unknown(message)
