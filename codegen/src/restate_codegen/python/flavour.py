"""What a message flavour tells the emitters: where classes are, how fields are called and typed, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from protobuf import DescField, DescMessage

from restate_codegen.model import Generation
from restate_codegen.writer import Source, Symbol


class MessageFlavour(Protocol):
    """One library for messages, as the generator sees it."""

    #: As given to --messages.
    name: str

    def message(self, desc: DescMessage) -> Symbol:
        """The class of a message."""

    def attribute(self, field: DescField) -> str:
        """The attribute of a field, which is also its keyword in the constructor."""

    def type_of(self, field: DescField, source: Source) -> str:
        """The type of a field that is present: `int`, `list[str]`, `Item`. Imports what it needs."""

    def note_problems(self, generation: Generation) -> None:
        """Notes what this library cannot do.

        Raises:
            GeneratorError: its compiler is not installed.
        """

    def files(self, generation: Generation) -> Mapping[str, str]:
        """The message modules: path relative to the root of the output -> text."""
