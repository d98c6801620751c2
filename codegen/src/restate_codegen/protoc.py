"""protoc, in this process: .proto files in, a serialized FileDescriptorSet with positions out.

No protoc, buf or network is needed: the compiler comes with grpcio-tools, the bundled protos with restate_protocol.
Whatever protoc complains about becomes a Problem like any other.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc_tools
from grpc_tools import protoc
from restate_protocol.bundled import include_dirs
from restate_protocol.contract.problems import ContractError, Problem

_LINE = re.compile(r"^(?P<file>[^:]+\.proto):(?P<line>\d+):(?P<column>\d+): (?P<text>.*)$")
_WARNING = "warning: "

#: protoc writes to file descriptor 2, of which there is one in a process.
_stderr_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Compiled:
    """What protoc made of the files.

    Args:
        descriptor_set: a serialized FileDescriptorSet with imports and source info.
        warnings: what protoc had to say all the same.
    """

    descriptor_set: bytes
    warnings: tuple[Problem, ...]


def compile_protos(roots: Sequence[Path], files: Sequence[str]) -> Compiled:
    """Compiles files.

    Args:
        roots: folders that imports are relative to, in order. The bundled protos come after them.
        files: names relative to one of the roots.

    Raises:
        ContractError: a file does not compile; with everything protoc said.
    """
    with tempfile.TemporaryDirectory(prefix="restate-codegen-") as scratch:
        out = Path(scratch, "set.binpb")
        code, said = _run(["protoc", "--error_format=gcc", *_flags(roots), f"-o{out}", *files])
        problems = _problems(said)
        warnings = tuple(one for one in problems if one.message.startswith(_WARNING))
        if code != 0:
            raise ContractError(one for one in problems if one not in warnings)
        return Compiled(out.read_bytes(), warnings)


def compile_python(descriptor_set: bytes, files: Sequence[str]) -> dict[str, str]:
    """The `_pb2` modules that protoc makes of files: path -> text, imports as protoc writes them.

    Args:
        descriptor_set: a serialized FileDescriptorSet with all imports.
        files: names of the files to generate for.

    Raises:
        ContractError: protoc does not take them; with everything it said.
    """
    with tempfile.TemporaryDirectory(prefix="restate-codegen-") as scratch:
        given, out = Path(scratch, "set.binpb"), Path(scratch, "out")
        given.write_bytes(descriptor_set)
        out.mkdir()
        code, said = _run(["protoc", f"--descriptor_set_in={given}", f"--python_out={out}", *files])
        if code != 0:
            raise ContractError(_problems(said))
        return {path.relative_to(out).as_posix(): path.read_text(encoding="utf-8") for path in out.rglob("*.py")}


def _flags(roots: Sequence[Path]) -> list[str]:
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    folders = [*roots, *include_dirs(), well_known]
    return ["--include_imports", "--include_source_info", *(f"-I{folder}" for folder in folders)]


def _run(arguments: Sequence[str]) -> tuple[int, str]:
    """Runs protoc; gives its exit code and what it wrote to standard error."""
    with _stderr_lock, tempfile.TemporaryFile() as said:
        with _stderr_to(said):
            code: int = protoc.main(list(arguments))
        said.seek(0)
        return code, said.read().decode("utf-8", "replace")


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _problems(said: str) -> list[Problem]:
    """What protoc said, line by line. That a file was not found is said twice; the place of the import tells more."""
    lines = [line for line in said.splitlines() if line.strip()]
    placed = [line for line in lines if _LINE.match(line)]
    return [_problem(line) for line in placed or lines]


def _problem(line: str) -> Problem:
    match = _LINE.match(line)
    if match is None:
        return Problem("protoc", 0, 0, line.rstrip(". "), "Check the files and folders given.")
    text = match["text"]
    return Problem(match["file"], int(match["line"]), int(match["column"]), text.rstrip("."), _mend(text))


def _mend(text: str) -> str:
    if text.startswith("Import ") and text.endswith("was not found or had errors."):
        return "Imports are relative to the folder of protos, or to one given with --include."
    if text.endswith("is not defined."):
        return "Check the spelling, or import the file that defines it."
    if text.endswith("is unused."):
        return "Remove the import."
    return "Correct it there."
