"""Compiling protos given as text, and importing the expected output of the cases."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from restate_codegen.protoc import compile_protos

from tests.codegen.harness import CASES, Compile, LoadCase, expected_files


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is generated now as the expected output")


@pytest.fixture
def compile_text(tmp_path: Path) -> Compile:
    def compile_them(text: str | Mapping[str, str]) -> bytes:
        files = {"a.proto": text} if isinstance(text, str) else text
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return compile_protos([tmp_path], list(files)).descriptor_set

    return compile_them


@pytest.fixture
def load_case() -> LoadCase:
    def load(case: str, flavour: str) -> Mapping[str, Any]:
        folder = CASES / case / "expected" / flavour
        package = import_package(f"golden_{case}_{flavour}", folder)
        paths = [path for path in expected_files(folder) if path.endswith(".py")]
        names = [path.removesuffix(".py").replace("/", ".") for path in paths]
        modules = [name for name in names if not name.endswith("__init__")]
        return {name: importlib.import_module(f"{package}.{name}") for name in modules}

    return load


def import_package(name: str, folder: Path) -> str:
    """Makes a folder importable under a name of its own, so that cases do not meet."""
    if name not in sys.modules:
        start, places = folder / "__init__.py", [str(folder)]
        spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=places)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return name
