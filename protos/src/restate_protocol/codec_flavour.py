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
