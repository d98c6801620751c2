"""The one way from descriptors to files, whoever asks: the command line, a protoc plugin, a development server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from restate_protocol.bundled import is_bundled
from restate_protocol.contract.problems import ContractError

from .errors import GeneratorError
from .load import load
from .python.emit import FLAVOURS, emit_python
from .python.names import note_collisions

__all__ = ["DEFAULT_LANGUAGE", "DEFAULT_MESSAGES", "FLAVOURS", "LANGUAGES", "GeneratorError", "Options", "generate"]

LANGUAGES = ("python",)
DEFAULT_LANGUAGE = "python"
DEFAULT_MESSAGES = "protobuf-py"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen.

    Args:
        lang: the language, one of LANGUAGES.
        messages: the library for messages, one of FLAVOURS.
    """

    lang: str = DEFAULT_LANGUAGE
    messages: str = DEFAULT_MESSAGES

    def __post_init__(self) -> None:
        _check("language", self.lang, LANGUAGES)
        _check("message library", self.messages, tuple(FLAVOURS))


def generate(descriptor_set: bytes, files: Sequence[str], options: Options) -> dict[str, str]:
    """Generates all files.

    Args:
        descriptor_set: a serialized FileDescriptorSet with all imports, positions and comments.
        files: names of the .proto files to generate for. Bundled ones are passed over.
        options: what was chosen.

    Returns:
        Path relative to the root of the output -> text, sorted by path. The same input gives the same bytes.

    Raises:
        ContractError: with everything that is wrong with the protos.
        GeneratorError: a generator of messages failed or is not installed.
    """
    generation = load(descriptor_set, [name for name in files if not is_bundled(name)])
    flavour = FLAVOURS[options.messages]
    note_collisions(generation)
    flavour.note_problems(generation)
    if generation.reading.problems:
        raise ContractError(generation.reading.problems)
    return emit_python(generation, flavour)


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise GeneratorError(f"{value!r} is no {what} that restate-codegen knows. Use one of: {', '.join(known)}.")
