"""What tests of the generator share: the cases, and types of the fixtures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CASES = HERE / "cases"

#: Compiles protos given as text, one as `a.proto` or several by name, to a descriptor set with positions.
Compile = Callable[[str | Mapping[str, str]], bytes]

#: Imports all modules of a case's expected output, by name relative to its root: case and flavour.
LoadCase = Callable[[str, str], Mapping[str, Any]]

#: Which message libraries a case is generated with; betterproto knows neither proto2 nor keywords as names.
FLAVOURS = {
    "dialects": ["protobuf_py", "google"],
    "greeter": ["protobuf_py", "betterproto", "google"],
    "keyword_package": ["protobuf_py", "google"],
    "nasty": ["protobuf_py", "google"],
    "nopackage": ["protobuf_py", "betterproto", "google"],
    "shop": ["protobuf_py", "betterproto", "google"],
    "types": ["protobuf_py", "betterproto", "google"],
}
EVERY = [(case, flavour) for case, flavours in FLAVOURS.items() for flavour in flavours]


def expected_files(folder: Path) -> dict[str, str]:
    """The expected output in a folder: path -> text."""
    found = [path for path in folder.rglob("*.py*") if path.suffix in (".py", ".pyi")]
    paths = [path for path in found if "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}
