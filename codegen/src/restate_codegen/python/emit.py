"""Emits a whole generation: message modules of the flavour, and ours beside them."""

from __future__ import annotations

from pathlib import PurePosixPath

from restate_codegen.model import FileUnit, Generation

from .betterproto import BetterProto
from .clients import emit_clients
from .descriptors import emit_descriptors
from .flavour import MessageFlavour
from .google import Google
from .handlers import emit_handlers
from .protobuf_py import ProtobufPy

FLAVOURS: dict[str, MessageFlavour] = {one.name: one for one in (ProtobufPy(), BetterProto(), Google())}


def emit_python(generation: Generation, flavour: MessageFlavour) -> dict[str, str]:
    """All files: path relative to the root of the output -> text."""
    files = dict(flavour.files(generation))
    for unit in generation.units:
        files |= _own_files(generation, unit, flavour)
    return _with_packages(files)


def _own_files(generation: Generation, unit: FileUnit, flavour: MessageFlavour) -> dict[str, str]:
    if not unit.services and not unit.errors:
        return {}
    sources = [emit_clients(generation, unit, flavour)]
    if unit.services:
        sources += [emit_handlers(generation, unit, flavour), emit_descriptors(generation, unit)]
    return {source.path: source.text() for source in sources}


def _with_packages(files: dict[str, str]) -> dict[str, str]:
    """Adds an empty `__init__.py` to every folder, the root included."""
    folders = {folder for path in files for folder in PurePosixPath(path).parents}
    packages = {str(folder / "__init__.py"): "" for folder in folders}
    return dict(sorted((packages | files).items()))
