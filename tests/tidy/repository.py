"""The files of the repository as the rules see them: what people wrote, without environments and generated code."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FOLDERS = ("protos", "clients", "sdk_python", "codegen", "runtime", "examples", "tests", "benchmarks", "docs")
# Environments, caches, and what a program made.
_NOT_OURS = {"gen", "expected", "node_modules", "__pycache__", "build", "dist", "third_party"}


def files(*suffixes: str) -> list[Path]:
    """Files with one of these suffixes, those at the top included, in a stable order."""
    found = [path for path in ROOT.iterdir() if path.suffix in suffixes and path.is_file()]
    for folder in _FOLDERS:
        found += [path for path in _below(ROOT / folder) if path.suffix in suffixes]
    return sorted(found)


def _below(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _NOT_OURS:
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path


def name_of(path: Path) -> str:
    """The path as one would write it from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def text_of(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(text_of(path), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a Python file, inner ones too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def documents() -> list[Path]:
    """What users read: the README and everything in docs."""
    return [ROOT / "README.md", *(path for path in files(".md") if name_of(path).startswith("docs/"))]


def documentation() -> str:
    """All of it, as one text."""
    return "\n".join(text_of(path) for path in documents() if path.is_file())
