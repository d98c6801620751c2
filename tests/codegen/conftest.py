"""Compiling protos in tests of the contract and the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from restate_codegen.protoc import compile_protos

Compile = Callable[[str | Mapping[str, str]], bytes]


@pytest.fixture
def compile_text(tmp_path: Path) -> Compile:
    """Compiles protos given as text, one as `a.proto` or several by name, to a descriptor set with positions."""

    def compile_them(text: str | Mapping[str, str]) -> bytes:
        files = {"a.proto": text} if isinstance(text, str) else text
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return compile_protos([tmp_path], list(files)).descriptor_set

    return compile_them
