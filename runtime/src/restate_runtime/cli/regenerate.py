"""Generates code again, with the inputs and flags that `restate-codegen generate` recorded.

On an error nothing is written: what was generated before stays and goes on working.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restate_codegen.generate import GeneratorError, Options, generate
from restate_codegen.inputs import Inputs, on_disk, read_inputs
from restate_codegen.output import RECORD, OutputError, write_output
from restate_protocol.contract.problems import ContractError
from restate_protocol.errors import RestateError

#: Folders below the app's that a record is looked for in.
_MAX_DEPTH = 3
_PASSED_OVER = frozenset({".git", ".venv", "node_modules", "__pycache__", ".restate"})


class RegenerateError(RestateError):
    """Nothing was written, and why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An output folder and how it was made.

    Args:
        out: the folder.
        record: what the generator recorded, without the list of files.
        files: the generated files.
    """

    out: Path
    record: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def inputs(self) -> Inputs:
        """The folders of protos."""
        return Inputs(self._folders("inputs"), self._folders("include"))

    def _folders(self, name: str) -> tuple[Path, ...]:
        return tuple((self.out / folder).resolve() for folder in self.record.get(name, ()))


def find_records(folder: Path) -> list[Recorded]:
    """Every output folder below the app's folder."""
    return [recorded for path in _walk(folder, _MAX_DEPTH) if (recorded := _read(path)) is not None]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / RECORD).is_file():
        yield folder
    if depth == 0:
        return
    for child in _children(folder):
        if child.is_dir() and not child.is_symlink() and child.name not in _PASSED_OVER:
            yield from _walk(child, depth - 1)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []  # not ours to read


def _read(out: Path) -> Recorded | None:
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        files = tuple(out / name for name in record.pop("files"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return Recorded(out, record, files)


def regenerate(recorded: Recorded) -> int:
    """Generates again. Gives the number of files that changed.

    Raises:
        RegenerateError: the protos have problems, or the folder cannot be written. Nothing was.
    """
    inputs = recorded.inputs
    try:
        options = Options(recorded.record.get("lang", "python"), recorded.record.get("messages", "protobuf-py"))
        read = read_inputs(inputs)
        files = generate(read.descriptor_set, read.files, options)
        written = write_output(recorded.out, files, recorded.record)
    except ContractError as error:
        raise RegenerateError(str(on_disk(error, inputs.roots))) from None
    except (OutputError, GeneratorError, OSError) as error:
        raise RegenerateError(str(error)) from None
    return written.changed + written.removed
