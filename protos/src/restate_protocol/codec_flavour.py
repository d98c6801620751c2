"""What a message library must offer to be a flavour of the codec seam. Knows no library itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

M = TypeVar("M")


class Flavour(ABC):
    """What a message library must offer."""

    name: str

    @abstractmethod
    def owns(self, cls: type[Any]) -> bool:
        """Whether this class is one of its messages."""

    @abstractmethod
    def encode(self, message: Any) -> bytes:
        """Bytes of a message."""

    @abstractmethod
    def decode(self, cls: type[M], data: bytes) -> M:
        """A message from bytes; raises ValueError where they are not one."""

    @abstractmethod
    def to_json(self, message: Any) -> str:
        """ProtoJSON of a message."""

    @abstractmethod
    def from_json(self, cls: type[M], text: str) -> M:
        """A message from ProtoJSON; raises ValueError where it is not one."""

    @abstractmethod
    def full_name(self, cls: type[Any]) -> str:
        """Full name of a message class, as in the contract."""

    @abstractmethod
    def has(self, message: Any, attribute: str) -> bool:
        """Whether a field is set; one without presence is set when it is not the default."""

    @abstractmethod
    def unknown(self, message: Any) -> dict[str, str]:
        """Unknown fields of the message itself, as text for people: what differs in bytes differs here."""

    def with_field(self, cls: type[M], attribute: str, value: object) -> M:
        """A message with only one field; raises TypeError where the value does not fit, here or when encoded."""
        any_cls: Any = cls
        message: M = any_cls(**{attribute: value})
        return message

    def field(self, message: Any, attribute: str) -> Any:
        """The value of a field: a list where it is repeated, a dict where it is a map."""
        return getattr(message, attribute)
