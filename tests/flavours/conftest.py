"""One contract, generated with each message library into a package of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from restate_codegen.generate import Options, generate
from restate_codegen.inputs import Inputs, read_inputs

from .depot import FLAVOURS, Flavour

PROTOS = Path(__file__).parent / "protos"


@pytest.fixture(scope="session")
def flavours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Flavour]]:
    """By name: the contract's modules with messages of that library."""
    root = tmp_path_factory.mktemp("flavours")
    read = read_inputs(Inputs((PROTOS,)))
    for name in FLAVOURS:
        for path, text in generate(read.descriptor_set, read.files, Options(messages=name)).items():
            place = root / package(name) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(root))
    yield {name: Flavour(name, module(name, "pb"), module(name, "restate")) for name in FLAVOURS}
    sys.path.remove(str(root))


def package(name: str) -> str:
    return f"depot_{name.replace('-', '_')}"


def module(name: str, suffix: str) -> Any:
    found: ModuleType = importlib.import_module(f"{package(name)}.depot.v1.depot_{suffix}")
    return found
