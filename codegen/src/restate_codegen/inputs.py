"""The .proto files of some folders, compiled; problems named as the user knows the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restate_protocol.bundled import is_bundled
from restate_protocol.contract.problems import ContractError, Problem

from .protoc import compile_protos


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where protos are.

    Args:
        folders: every .proto below them is generated for; imports are relative to them.
        includes: more folders for imports; nothing is generated for what is there.
    """

    folders: tuple[Path, ...]
    includes: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """What imports are relative to, in order."""
        return (*self.folders, *self.includes)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read.

    Args:
        descriptor_set: a serialized FileDescriptorSet with imports, positions and comments.
        files: names of the user's files, sorted.
        warnings: what protoc had to say all the same.
    """

    descriptor_set: bytes
    files: tuple[str, ...]
    warnings: tuple[Problem, ...]


def read_inputs(inputs: Inputs) -> Read:
    """Compiles every .proto of the folders.

    Raises:
        ContractError: there are none, or they do not compile.
    """
    files = tuple(sorted(set(_names(inputs.folders))))
    if not files:
        folders = ", ".join(map(str, inputs.folders))
        raise ContractError([Problem(folders, 0, 0, "there is no .proto file here", "Give the folder of your protos.")])
    compiled = compile_protos(inputs.roots, files)
    return Read(compiled.descriptor_set, files, compiled.warnings)


def on_disk(error: ContractError, roots: Sequence[Path]) -> ContractError:
    """The same problems, with the paths of files in place of their names as imported."""
    return ContractError(replace(one, file=_path(one.file, roots)) for one in error.problems)


def _path(name: str, roots: Sequence[Path]) -> str:
    return next((str(root / name) for root in roots if name and (root / name).is_file()), name)


def _names(folders: Sequence[Path]) -> Iterator[str]:
    """Names as imported. Copies of bundled files, as `vendor` makes them, are nobody's contract."""
    for folder in folders:
        for path in folder.rglob("*.proto"):
            name = path.relative_to(folder).as_posix()
            if not is_bundled(name):
                yield name
