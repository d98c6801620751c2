"""Emits `_restate_descriptors`: the descriptors of a file and of what it needs, as text."""

from __future__ import annotations

import base64
import textwrap

from restate_codegen.file_set import own_files
from restate_codegen.model import FileUnit, Generation
from restate_codegen.writer import Source, Symbol

from .header import start

SUFFIX = "_restate_descriptors"
_WIDTH = 100


def emit_descriptors(generation: Generation, unit: FileUnit) -> Source:
    """The module that carries the descriptors."""
    source = start(unit.desc, SUFFIX, f"The descriptors of {unit.desc.name} and of its imports.")
    source.define("file_set", "_OWN_FILES")
    complete = source.use(Symbol("restate_protocol.file_sets", "complete"))
    source.blank()
    with source.block("def file_set() -> bytes:"):
        source.docstring("A serialized google.protobuf.FileDescriptorSet with all imports.")
        source.line(f"return {complete}(_OWN_FILES)")
    source.blank(2)
    with source.block("_OWN_FILES = ("):
        text = base64.b64encode(own_files(generation, unit)).decode()
        for line in textwrap.wrap(text, _WIDTH):
            source.line(f'"{line}"')
    source.line(")")
    return source
