"""Compiling protos in tests of the contract and the generator, and the cases with their expected output."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from restate_codegen.protoc import compile_protos

Compile = Callable[[str | Mapping[str, str]], bytes]
Load = Callable[[str, str, str], ModuleType]

CASES = Path(__file__).parent / "cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is generated now as the expected output")


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


@pytest.fixture
def load_golden() -> Load:
    """Imports a module of a case's expected output: case, flavour, module (`greeter.v1.greeter_restate`)."""

    def load(case: str, flavour: str, module: str) -> ModuleType:
        package = f"golden_{case}_{flavour}"
        if package not in sys.modules:
            folder = CASES / case / "expected" / flavour
            spec = importlib.util.spec_from_file_location(
                package, folder / "__init__.py", submodule_search_locations=[str(folder)]
            )
            assert spec is not None
            assert spec.loader is not None
            sys.modules[package] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[package])
        return importlib.import_module(f"{package}.{module}")

    return load
